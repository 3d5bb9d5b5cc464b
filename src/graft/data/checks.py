"""Values row by row: texts that are texts, labels in 0..1, groups and times that can be read."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd

from graft.data.badrows import BadRow, shown
from graft.data.normal_form import is_blank

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
ISO_FIX = "write a number or an ISO 8601 date such as 2024-05-31T12:00:00"


def check_rows(
    frame: pd.DataFrame, rows: np.ndarray, label_range: tuple[float, float] = (0.0, 1.0)
) -> tuple[pd.DataFrame, list[BadRow]]:
    """Return the frame with clean types, and every row that has none.

    Texts must be strings with a visible character, labels finite numbers (or strings that are
    numbers) in the label range, which is scaled to 0..1, groups filled, times numbers or ISO 8601
    dates. Columns that are no roles are turned into strings, with `(missing)` for an empty cell.

    Args:
        frame: Role columns under their roles, and slice columns.
        rows: [N] row numbers for the errors.
        label_range: Smallest and largest label of the files.

    Returns:
        The frame without the bad rows (its index tells which are left; labels are float, groups
        and slices str, times float or UTC timestamps without a zone), and the bad rows.

    Example:
        >>> frame = pd.DataFrame({"sentence1": ["a", " "], "label": ["1", "yes"]})
        >>> clean, bad = check_rows(frame, np.array([1, 2]))
        >>> clean["label"].tolist(), [item.what for item in bad]
        ([1.0], ["sentence1 is empty: ' '", "label is 'yes', not a number"])
    """
    clean, bad = frame.copy(), []
    for column in frame.columns:
        if column in ("sentence1", "sentence2"):
            bad += _texts(frame[column], rows)
        elif column == "label":
            clean[column], found = _labels(frame[column], rows, label_range)
            bad += found
        elif column == "time":
            clean[column], found = _times(frame[column], rows)
            bad += found
        else:
            clean[column] = [_word(value) for value in frame[column]]
            if column == "group":
                empty = frame[column].isna().to_numpy() | (clean[column].str.strip() == "")
                bad += [
                    BadRow(int(row), "group is empty", "fill it or drop the row")
                    for row in rows[empty]
                ]
    wrong = {item.row for item in bad}
    kept = np.fromiter((int(row) not in wrong for row in rows), bool, len(rows))
    return clean[kept], bad


def _texts(column: pd.Series[Any], rows: np.ndarray) -> list[BadRow]:
    bad = []
    for row, value in zip(rows, column, strict=True):
        if isinstance(value, str):
            if is_blank(value):
                what = f"{column.name} is empty: {shown(value)}"
                bad.append(BadRow(int(row), what, "fill it or drop the row"))
        elif _missing(value):
            bad.append(BadRow(int(row), f"{column.name} is missing", "fill it or drop the row"))
        else:
            what = f"{column.name} is {shown(value)}, a {type(value).__name__}, not text"
            bad.append(BadRow(int(row), what, "put it in quotes, or name another column"))
    return bad


def _labels(
    column: pd.Series[Any], rows: np.ndarray, label_range: tuple[float, float]
) -> tuple[np.ndarray, list[BadRow]]:
    low, high = label_range
    values = np.array([_number(value) for value in column], dtype=np.float64)
    bad = [
        BadRow(
            int(row),
            f"label is {shown(value)}, not a number",
            f"write a number in {low:g} to {high:g}",
        )
        for row, value, number in zip(rows, column, values, strict=True)
        if math.isnan(number)
    ]
    with np.errstate(invalid="ignore"):
        outside = (values < low) | (values > high)
    if outside.any():
        known = values[~np.isnan(values)]
        span = f"the labels run from {known.min():g} to {known.max():g}"
        fix = f"set data.label_range ({span}; {int(outside.sum())} rows are outside)"
        bad += [
            BadRow(int(row), f"label is {number:g}, outside {low:g}..{high:g}", fix)
            for row, number in zip(rows[outside], values[outside], strict=True)
        ]
    return (values - low) / (high - low), bad


def _times(column: pd.Series[Any], rows: np.ndarray) -> tuple[pd.Series[Any], list[BadRow]]:
    numbers = np.array([_number(value) for value in column], dtype=np.float64)
    parsed: pd.Series[Any] = pd.Series(numbers, index=column.index)
    if np.isnan(numbers).mean() > 0.5:
        words = [None if _missing(value) else str(value) for value in column]
        stamps = pd.to_datetime(
            pd.Series(words, index=column.index), errors="coerce", utc=True, format="ISO8601"
        )
        # UTC without a zone: sorts and saves as plain numbers.
        parsed = stamps.dt.tz_convert(None).astype("datetime64[us]")
    bad = [
        BadRow(int(row), f"time is {shown(value)}, which cannot be read", ISO_FIX)
        for row, value, wrong in zip(rows, column, parsed.isna(), strict=True)
        if wrong
    ]
    return parsed, bad


def _number(value: object) -> float:
    """Return the finite number that `value` is or spells, NaN if there is none."""
    if isinstance(value, str):
        value = float(value) if NUMBER.fullmatch(value) else math.nan
    if isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating):
        # An integer of 400 digits has no float.
        number = (
            float(value) if not isinstance(value, int) or value.bit_length() < 1000 else math.inf
        )
        return number if math.isfinite(number) else math.nan
    return math.nan


def _missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value  # noqa: PLR0124


def _word(value: object) -> str:
    if _missing(value):
        return "(missing)"
    # Parquet and CSV tell the same number apart as 3.0 and 3; a slice must not.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
