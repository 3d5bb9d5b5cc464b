"""Values row by row: texts that are texts, labels, table columns, groups and times."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from graft.data.badrows import BadRow, bad_cells, shown
from graft.data.cells import MISSING, is_empty, is_missing, number_of, word_of
from graft.data.classes import class_names
from graft.data.columns import SPAN_ROLES
from graft.data.normal_form import is_blank
from graft.data.reading import PAIRS, Layout
from graft.data.series import COLUMN, series_of
from graft.data.tabular import names_of, numbers_of
from graft.data.times import times_of
from graft.data.windows import backward

_TIMES = ("time", *SPAN_ROLES)


def check_rows(
    frame: pd.DataFrame,
    rows: np.ndarray,
    label_range: tuple[float, float] = (0.0, 1.0),
    layout: Layout = PAIRS,
) -> tuple[pd.DataFrame, list[BadRow]]:
    """Return the frame with clean types, and every row that has none.

    Of pairs, texts must be strings with a visible character, and labels finite numbers (or strings
    that are numbers) in the label range, which is scaled to 0..1. Of a classification, labels are
    names, a row may lack texts and table values but not all of them, and numbers are finite. Groups
    must be filled, times are numbers or ISO 8601 dates. Series have a value and none that is
    infinite. All other columns are turned into strings,
    with `(missing)` for an empty cell.

    Args:
        frame: Role columns under their roles, other columns under their names.
        rows: [N] row numbers for the errors.
        label_range: Smallest and largest label of the files.
        layout: What the task reads, with its number columns.

    Returns:
        The frame without the bad rows (its index tells which are left; graded labels are float,
        classes, groups and slices str, times float or UTC timestamps without a zone), and the bad
        rows.

    Example:
        >>> frame = pd.DataFrame({"sentence1": ["a", " "], "label": ["1", "yes"]})
        >>> clean, bad = check_rows(frame, np.array([1, 2]))
        >>> clean["label"].tolist(), [item.what for item in bad]
        ([1.0], ["sentence1 is empty: ' '", "label is 'yes', not a number"])
    """
    unreadable = bad_cells(frame, rows)
    frame, rows = _without(unreadable, frame, rows)
    clean, bad = frame.copy(), list(unreadable)
    for name in frame.columns:
        clean[name], found = _column(frame[name], rows, label_range, layout)
        bad += found
    if layout.classes:
        bad += _hollow(clean, rows, layout)
    if layout.series:
        bad += backward(clean, rows)
    return _without(bad, clean, rows)[0], bad


def _column(
    column: pd.Series[Any], rows: np.ndarray, label_range: tuple[float, float], layout: Layout
) -> tuple[Any, list[BadRow]]:
    """Return the clean values of a column, and the rows that have none."""
    name = column.name
    if name == COLUMN and layout.series:
        return column, series_of(column, rows)
    if name in layout.texts:
        return _texts(column, rows, may_lack=layout.classes)
    if name in layout.table:
        return (numbers_of if name in layout.numbers else names_of)(column, rows)
    if name == "label":
        return class_names(column, rows) if layout.classes else _labels(column, rows, label_range)
    if name in _TIMES:
        return times_of(column, rows)
    words = [word_of(value) for value in column]
    return words, _groups(column, rows) if name == "group" else []


def _without(
    bad: list[BadRow], frame: pd.DataFrame, rows: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows that are not among the bad ones, and their numbers."""
    wrong = {item.row for item in bad}
    kept = np.fromiter((int(row) not in wrong for row in rows), bool, len(rows))
    return frame[kept], rows[kept]


def _texts(
    column: pd.Series[Any], rows: np.ndarray, *, may_lack: bool
) -> tuple[list[Any], list[BadRow]]:
    """Return the texts, "" where one may be lacking and is, and the rows that hold no text."""
    bad = []
    for row, value in zip(rows, column, strict=True):
        if isinstance(value, str):
            if not may_lack and is_blank(value):
                what = f"{column.name} is empty: {shown(value)}"
                bad.append(BadRow(int(row), what, "fill it or drop the row"))
        elif is_missing(value):
            if not may_lack:
                bad.append(BadRow(int(row), f"{column.name} is missing", "fill it or drop the row"))
        else:
            what = f"{column.name} is {shown(value)}, a {type(value).__name__}, not text"
            bad.append(BadRow(int(row), what, "put it in quotes, or name another column"))
    return ["" if may_lack and is_empty(value) else value for value in column], bad


def _hollow(clean: pd.DataFrame, rows: np.ndarray, layout: Layout) -> list[BadRow]:
    """Return the rows without any text and without any table value."""
    lacking = [clean[name] == "" for name in layout.texts]
    lacking += [
        clean[name].isna() if name in layout.numbers else clean[name] == MISSING
        for name in layout.table
    ]
    if not lacking:
        return []
    table = f" and no value in {list(layout.table)}" if layout.table else ""
    what = f"holds no text in {list(layout.texts)}{table}"
    empty = np.logical_and.reduce([part.to_numpy(dtype=bool) for part in lacking])
    return [BadRow(int(row), what, "fill it or drop the row") for row in rows[empty]]


def _groups(column: pd.Series[Any], rows: np.ndarray) -> list[BadRow]:
    return [
        BadRow(int(row), "group is empty", "fill it or drop the row")
        for row, value in zip(rows, column, strict=True)
        if is_empty(value)
    ]


def _labels(
    column: pd.Series[Any], rows: np.ndarray, label_range: tuple[float, float]
) -> tuple[np.ndarray, list[BadRow]]:
    low, high = label_range
    values = np.array([number_of(value) for value in column], dtype=np.float64)
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
