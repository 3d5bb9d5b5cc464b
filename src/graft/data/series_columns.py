"""Series from the columns of a table, however it holds them: one row for each series comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from graft.config.recipe import DataSection
from graft.config.series import SeriesSection
from graft.core.errors import DataError, Problem
from graft.data.badrows import BadCell
from graft.data.columns import CUSTOMARY, SPAN_ROLES, missing_column
from graft.data.long_tables import TIMESTAMPS, LongColumns, items_of
from graft.data.readers import Table
from graft.data.series import COLUMN, as_series, side_by_side
from graft.data.wide_tables import step_columns, wide_series


def series_column(section: SeriesSection) -> str:
    """Return the name of the column of whole series, in files and in what is made of them."""
    return section.column or COLUMN


def series_table(table: Table, section: DataSection) -> Table:
    """Return the table with a row for each series, which stands in one column as an array.

    What cannot be read stands there as `BadCell`, and is told with all else that is wrong.

    Args:
        table: Records of a file.
        section: How files hold series.

    Raises:
        DataError: It is not known where the series are, or a column that the recipe names is
            missing.

    Example:
        >>> frame = pd.DataFrame({"x": [[1, 2], [3, 4, 5]], "y": [[0, 0], [1, 1, 1]]})
        >>> section = DataSection(train="a.parquet", series={"channels": ("x", "y")})
        >>> found = series_table(Table(frame, np.arange(1, 3), "a.parquet"), section).frame
        >>> [series.shape for series in found["series"]]
        [(2, 2), (3, 2)]
    """
    asked, existing = section.series, list(table.frame.columns)
    steps = {pattern: step_columns(existing, pattern) for pattern in asked.steps}
    if steps and all(steps.values()):
        series = wide_series(table.frame, steps, table.name)
        return _with(table, asked, series, [name for part in steps.values() for _, name in part])
    lacking = [name for name in asked.channels if name not in existing]
    if asked.channels and not lacking:
        if any(_has_lists(table.frame[name]) for name in asked.channels):
            return _from_lists(table, asked)
        return _from_items(table, section)
    if series_column(asked) in existing:
        whole = [as_series(cell) for cell in table.frame[series_column(asked)]]
        return _with(table, asked, whole, ())
    if asked.column:
        lacking.append(asked.column)
    problems = [missing_column(table.name, name, existing) for name in lacking]
    for pattern in [pattern for pattern, found in steps.items() if not found]:
        what = f"no column is called as data.series.steps '{pattern}' says; they are {existing}"
        problems.append(Problem(table.name, what, "put * in place of the number of the time step"))
    raise DataError(table.name, problems or [_unknown(table)])


def _from_lists(table: Table, asked: SeriesSection) -> Table:
    rows = zip(*(table.frame[name] for name in asked.channels), strict=True)
    series = [_of_lists(row, asked.channels) for row in rows]
    return _with(table, asked, series, asked.channels)


def _of_lists(cells: Sequence[Any], names: Sequence[str]) -> np.ndarray | BadCell:
    channels = []
    for cell, name in zip(cells, names, strict=True):
        found = as_series(cell)
        if isinstance(found, BadCell):
            return BadCell(f"channel '{name}' {found.what}", found.fix)
        if found.shape[1] != 1:
            fix = "name it as data.series.column if it holds whole series"
            return BadCell(f"channel '{name}' holds a list of lists, not of numbers", fix)
        channels.append(found[:, 0])
    return side_by_side(channels, names)


def _from_items(table: Table, section: DataSection) -> Table:
    asked = section.series
    columns = LongColumns(
        _one_of(table, "item", asked.item, CUSTOMARY["item"]),
        _one_of(table, "timestamp", asked.timestamp, TIMESTAMPS),
        asked.channels,
    )
    found, spans = items_of(table, columns, series_column(asked))
    # Without groups nobody knows which series are of one source, so no window of them overlaps.
    kept = SPAN_ROLES if _column(found, section, "group") else ()
    more = {role: spans[role] for role in kept if role in spans and role not in found.frame}
    if "end" in spans and not _column(found, section, "time"):
        more["time"] = spans["end"]
    words = f"{', '.join(more)} of each item are those of its '{columns.timestamp}'"
    notes = (*found.notes, f"{table.name}: {words}") if more else found.notes
    return replace(found, frame=found.frame.assign(**more), notes=notes)


def _column(table: Table, section: DataSection, role: str) -> bool:
    """Return True if a column has the role, by the recipe or by its name."""
    known = (section.columns.get(role, ""), *CUSTOMARY[role])
    return any(name in known or name.lower() in known for name in table.frame.columns)


def _one_of(table: Table, key: str, named: str | None, customary: Sequence[str]) -> str:
    existing = list(table.frame.columns)
    if named:
        if named in existing:
            return named
        raise DataError(table.name, [missing_column(table.name, named, existing)])
    found = [name for name in existing if name.lower() in customary]
    if len(found) == 1:
        return found[0]
    what = (
        f"the columns {found} could each be the {key} of a long table"
        if found
        else f"no column is known to be the {key} of a long table; the columns are {existing}"
    )
    fix = f"add to the recipe: data: {{series: {{{key}: {found[0] if found else '…'}}}}}"
    raise DataError(table.name, [Problem(table.name, what, fix)])


def _with(
    table: Table,
    asked: SeriesSection,
    series: Sequence[np.ndarray | BadCell],
    drop: Sequence[str],
) -> Table:
    column: pd.Series[Any] = pd.Series(list(series), index=table.frame.index, dtype=object)
    frame = table.frame.drop(columns=list(drop)).assign(**{series_column(asked): column})
    return replace(table, frame=frame)


def _unknown(table: Table) -> Problem:
    existing = list(table.frame.columns)
    lists = [name for name in existing if _has_lists(table.frame[name])]
    what = f"no column is called '{COLUMN}'; the columns are {existing}"
    if lists:
        line = f"data: {{series: {{channels: {lists}}}}}".replace("'", "")
        return Problem(table.name, what, f"if the lists are the channels, write: {line}")
    fix = (
        "say where the series are: data: {series: {channels: […]}} of a long table, "
        "data: {series: {steps: ['t_*']}} of a column for each time step"
    )
    return Problem(table.name, what, fix)


def _has_lists(column: pd.Series[Any]) -> bool:
    return any(isinstance(value, list | np.ndarray) for value in column.head(100))
