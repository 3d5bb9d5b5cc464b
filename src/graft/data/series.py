"""A series as a cell of a frame: float32 `[time, channels]`, NaN where a value is missing."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graft.core.errors import Problem
from graft.data.badrows import BadCell, BadRow, shown

COLUMN = "series"


def as_series(value: object) -> np.ndarray | BadCell:
    """Return the series that lists `[time][channel]`, or `[time]` of one channel, spell.

    Args:
        value: Lists or arrays; None is a missing value.

    Example:
        >>> as_series([[1, 2], [None, 4]]).tolist()
        [[1.0, 2.0], [nan, 4.0]]
        >>> as_series([1, 2, 3]).shape
        (3, 1)
        >>> as_series("1,2").what
        "is '1,2', not a list of numbers"
    """
    fix = "write a list of numbers, or a list of time steps that are lists of numbers"
    if not isinstance(value, list | tuple | np.ndarray):
        return BadCell(f"is {shown(value)}, not a list of numbers", fix)
    try:
        steps = [np.asarray(step, dtype=np.float32) for step in value]
        found = np.stack(steps) if steps else np.empty((0, 1), dtype=np.float32)
    except (TypeError, ValueError) as error:
        return BadCell(f"is no list of numbers: {error}", fix)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2:
        return BadCell(f"has {found.ndim} levels of lists, not [time][channel]", fix)
    return np.ascontiguousarray(found)


def side_by_side(channels: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray | BadCell:
    """Return the series of which each array is a channel.

    Example:
        >>> side_by_side([np.zeros(3), np.ones(3)], ["x", "y"]).shape
        (3, 2)
        >>> side_by_side([np.zeros(3), np.ones(2)], ["x", "y"]).what
        "has channels of different lengths: {'x': 3, 'y': 2}"
    """
    lengths = {name: len(channel) for name, channel in zip(names, channels, strict=True)}
    if len(set(lengths.values())) > 1:
        fix = "give all channels of a row the same length"
        return BadCell(f"has channels of different lengths: {lengths}", fix)
    return np.ascontiguousarray(np.stack(channels, axis=1), dtype=np.float32)


def series_of(column: pd.Series[Any], rows: np.ndarray) -> list[BadRow]:
    """Return the rows whose series says nothing or cannot be computed with.

    Args:
        column: Series `[time, channels]`.
        rows: [N] row numbers for the errors.

    Example:
        >>> column = pd.Series([np.array([[1.0], [np.inf]]), np.array([[np.nan]])])
        >>> [bad.what for bad in series_of(column, np.arange(1, 3))]
        ['series holds 1 infinite value, the first at step 2', 'series holds no value']
    """
    bad = []
    for row, series in zip(rows, column, strict=True):
        infinite = np.isinf(series)
        if not len(series):
            bad.append(BadRow(int(row), "series has no time step", "fill it or drop the row"))
        elif infinite.any():
            count, first = int(infinite.sum()), int(infinite.any(axis=1).argmax()) + 1
            values = f"{count} infinite value{'s' if count > 1 else ''}"
            what = f"series holds {values}, the first at step {first}"
            bad.append(BadRow(int(row), what, "write a number, or leave the value out"))
        elif np.isnan(series).all():
            bad.append(BadRow(int(row), "series holds no value", "fill it or drop the row"))
    return bad


def channel_names(
    columns: Iterable[tuple[str, np.ndarray, pd.Series[Any]]], named: tuple[str, ...]
) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the names of the channels, and the rows that have another number of them.

    Args:
        columns: Of each file its name, [N] row numbers and the column of series.
        named: Names that the recipe gives; `channel_1`, … and the number that most rows have if it
            gives none.

    Example:
        >>> column = pd.Series([np.zeros((5, 2)), np.zeros((4, 2)), np.zeros((4, 1))])
        >>> names, problems = channel_names([("a.npz", np.arange(1, 4), column)], ())
        >>> names, str(problems[0])
        (('channel_1', 'channel_2'), 'a.npz row 3: has 1 channel, not 2. Fix: give every row the \
same channels.')
    """
    found = [
        (name, int(row), series.shape[1])
        for name, rows, column in columns
        for row, series in zip(rows, column, strict=True)
        if isinstance(series, np.ndarray)
    ]
    counts = Counter(channels for *_, channels in found)
    wanted = len(named) or max(counts, key=lambda size: counts[size], default=0)
    names = named or tuple(f"channel_{place + 1}" for place in range(wanted))
    where = " as data.series.channels names" if named else ""
    odd = [entry for entry in found if entry[2] != wanted]
    problems = [
        Problem(
            f"{name} row {row}",
            f"has {size} channel{'s' if size != 1 else ''}, not {wanted}{where}",
            "give every row the same channels",
        )
        for name, row, size in odd[:20]
    ]
    if len(odd) > 20:
        what = f"{len(odd) - 20} more rows have another number of channels"
        problems.append(Problem("data", what, "mend the ones above and run again"))
    return names, problems


def series_digest(series: np.ndarray) -> str:
    """Return the SHA-256 over shape and values of a series, as 64 hex digits.

    Example:
        >>> same = series_digest(np.zeros((2, 1), np.float32))
        >>> same == series_digest(np.zeros((1, 2), np.float32))
        False
    """
    values = np.ascontiguousarray(series, dtype="<f4") + np.float32(0)  # -0 is 0
    values[np.isnan(values)] = np.nan
    return hashlib.sha256(f"{values.shape}".encode() + values.tobytes()).hexdigest()


def as_lists(series: np.ndarray) -> list[list[float | None]]:
    """Return the series as lists `[time][channel]`, None where a value is missing.

    Example:
        >>> as_lists(np.array([[1.0, np.nan]]))
        [[1.0, None]]
    """
    return [[None if math.isnan(value) else value for value in step] for step in series.tolist()]


def without_tail(series: np.ndarray) -> np.ndarray:
    """Return the series without the steps at its end that hold no value at all.

    Example:
        >>> without_tail(np.array([[1.0], [np.nan], [2.0], [np.nan]])).tolist()
        [[1.0], [nan], [2.0]]
    """
    held = np.flatnonzero(~np.isnan(series).all(axis=1))
    return series[: held[-1] + 1] if len(held) else series
