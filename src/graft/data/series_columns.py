"""Series from the columns of a table: whole in one column, or a list for each channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from graft.config.series import SeriesSection
from graft.core.errors import DataError, Problem
from graft.data.columns import missing_column
from graft.data.readers import Table
from graft.data.series import COLUMN, Unread, as_series, side_by_side


def series_column(section: SeriesSection) -> str:
    """Return the name of the column of whole series, in files and in gathered tables."""
    return section.column or COLUMN


def series_table(table: Table, section: SeriesSection) -> Table:
    """Return the table with a row for each series, which stands in one column as an array.

    What cannot be read stands there as `Unread`, and is told with all else that is wrong.

    Args:
        table: Records of a file.
        section: How files hold series.

    Raises:
        DataError: It is not known where the series are, or a column that the recipe names is
            missing.

    Example:
        >>> frame = pd.DataFrame({"x": [[1, 2], [3, 4, 5]], "y": [[0, 0], [1, 1, 1]]})
        >>> table = Table(frame, np.arange(1, 3), "a.parquet")
        >>> found = series_table(table, SeriesSection(channels=("x", "y"))).frame
        >>> [series.shape for series in found["series"]]
        [(2, 2), (3, 2)]
    """
    existing = list(table.frame.columns)
    lacking = [name for name in section.channels if name not in existing]
    if section.channels and not lacking:
        return _from_lists(table, section)
    if series_column(section) in existing:
        return _from_whole(table, section)
    if section.column:
        lacking.append(section.column)
    problems = [missing_column(table.name, name, existing) for name in lacking]
    raise DataError(table.name, problems or [_unknown(table)])


def _from_whole(table: Table, section: SeriesSection) -> Table:
    name = series_column(section)
    return _gathered(table, name, [as_series(cell) for cell in table.frame[name]], drop=())


def _from_lists(table: Table, section: SeriesSection) -> Table:
    parts = zip(*(table.frame[name] for name in section.channels), strict=True)
    series = [_row(row, section.channels) for row in parts]
    return _gathered(table, series_column(section), series, drop=section.channels)


def _row(cells: Sequence[Any], names: Sequence[str]) -> np.ndarray | Unread:
    channels = []
    for cell, name in zip(cells, names, strict=True):
        found = as_series(cell)
        if isinstance(found, Unread):
            return Unread(f"channel '{name}' {found.what}", found.fix)
        if found.shape[1] != 1:
            fix = "name it as data.series.column if it holds whole series"
            return Unread(f"channel '{name}' holds a list of lists, not of numbers", fix)
        channels.append(found[:, 0])
    return side_by_side(channels, names)


def _gathered(
    table: Table, name: str, series: Sequence[np.ndarray | Unread], drop: Sequence[str]
) -> Table:
    column: pd.Series[Any] = pd.Series(list(series), index=table.frame.index, dtype=object)
    frame = table.frame.drop(columns=list(drop)).assign(**{name: column})
    return replace(table, frame=frame)


def _unknown(table: Table) -> Problem:
    existing = list(table.frame.columns)
    lists = [name for name in existing if _holds(table.frame[name], _is_list)]
    what = f"no column is called '{COLUMN}'; the columns are {existing}"
    if lists:
        line = f"data: {{series: {{channels: {lists}}}}}".replace("'", "")
        return Problem(table.name, what, f"if the lists are the channels, write: {line}")
    return Problem(table.name, what, "say in data.series which columns hold the series")


def _holds(column: pd.Series[Any], kind: Callable[[object], bool]) -> bool:
    return any(kind(value) for value in column.head(100))


def _is_list(value: object) -> bool:
    return isinstance(value, list | np.ndarray)
