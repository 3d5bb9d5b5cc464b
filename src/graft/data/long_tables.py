"""Long tables: a line for each time step, the lines of one item make a series."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from graft.data.badrows import BadCell, shown
from graft.data.cells import is_empty, measures_of, word_of
from graft.data.grids import Grid, grid_of
from graft.data.readers import Table
from graft.data.times import times_of

TIMESTAMPS = ("timestamp", "time", "date", "datetime", "ds")


@dataclass(frozen=True)
class LongColumns:
    """Where a long table holds what.

    Args:
        item: Column of the items.
        timestamp: Column that orders the lines of an item.
        channels: Columns of the values.
    """

    item: str
    timestamp: str
    channels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Lines:
    """The lines of a table, those of an item together and by time.

    Args:
        rows: [L] where each stands in the file.
        times: [L] numbers, or microseconds of dates.
        values: [L, C] of the channels.
        wrong: [L] what is wrong with a line, "" if nothing is.
        items: Name of each item, in the order of their first lines.
        bounds: [items + 1] where the lines of each begin.
        order: [L] position of each line in the table.
    """

    rows: np.ndarray
    times: np.ndarray
    values: np.ndarray
    wrong: np.ndarray
    items: tuple[str, ...]
    bounds: np.ndarray
    order: np.ndarray


def items_of(table: Table, columns: LongColumns, series: str) -> tuple[Table, pd.DataFrame]:
    """Return a table with a row for each item in the order of their first lines, and their spans.

    A line that is missing on a regular grid of timestamps becomes a gap.

    Args:
        table: Lines; any other column is constant within an item, or its cell cannot be read.
        columns: Where it holds what.
        series: Name of the column of series.

    Returns:
        The table, and of each row `start` and `end` if timestamps are dates and all can be read.

    Example:
        >>> frame = pd.DataFrame({"item": list("aab"), "t": [1, 0, 0], "x": [5, 4, 6]})
        >>> table = Table(frame, np.arange(2, 5), "a.csv")
        >>> found, _ = items_of(table, LongColumns("item", "t", ("x",)), "series")
        >>> [one.ravel().tolist() for one in found.frame["series"]], found.source_rows.tolist()
        ([[4.0, 5.0], [6.0]], [2, 4])
    """
    stamps, bad = times_of(table.frame[columns.timestamp], table.source_rows)
    lines = _lines(table, columns, stamps, {item.row: item.what for item in bad})
    parts = [slice(a, b) for a, b in pairwise(lines.bounds)]
    wrong = [_wrong(lines, part) for part in parts]
    grid = grid_of([lines.times[part] for part, what in zip(parts, wrong, strict=True) if not what])
    cells = [
        BadCell(f"of item {shown(item)} {what}", "mend these lines, or take the item out")
        if what
        else grid.filled(lines.times[part], lines.values[part])
        for item, part, what in zip(lines.items, parts, wrong, strict=True)
    ]
    frame = pd.DataFrame({columns.item: pd.Series(list(lines.items), dtype=object)})
    read = {columns.item, columns.timestamp, *columns.channels}
    for name in [name for name in table.frame.columns if name not in read]:
        frame[name] = _constant(table.frame[name], lines, parts)
    frame[series] = pd.Series(cells, dtype=object)
    firsts = np.array([lines.rows[part].min() for part in parts], dtype=np.int64)
    notes = (*table.notes, *_notes(table.name, lines, parts, cells, grid))
    return Table(frame, firsts, table.name, notes), _spans(stamps, lines, parts)


def _lines(
    table: Table, columns: LongColumns, stamps: pd.Series[Any], unreadable: dict[int, str]
) -> _Lines:
    """Return the lines in order; those without an item make an item each."""
    cells = table.frame[columns.item]
    empty = np.fromiter((is_empty(cell) for cell in cells), bool, len(cells))
    keys = [
        f"line {row}" if bare else word_of(cell)
        for cell, bare, row in zip(cells, empty, table.source_rows, strict=True)
    ]
    codes, items = pd.factorize(pd.Series(keys, dtype=object) + np.where(empty, "\0", ""))
    read = [measures_of(table.frame[name]) for name in columns.channels]
    wrong = [unreadable.get(int(row), "") for row in table.source_rows]
    for place in np.flatnonzero(empty):
        wrong[place] = f"{columns.item} is empty"
    for name, (_, odd) in zip(columns.channels, read, strict=True):
        for place in np.flatnonzero(odd):
            cell = table.frame[name].iloc[place]
            wrong[place] = wrong[place] or f"{name} is {shown(cell)}, not a number"
    times = stamps.to_numpy()
    times = times.astype(np.int64 if times.dtype.kind == "M" else np.float64)
    order = np.lexsort((table.source_rows, times, codes))
    return _Lines(
        rows=table.source_rows[order],
        times=times[order].astype(np.float64),
        values=np.stack([values for values, _ in read], axis=1)[order],
        wrong=np.array(wrong, dtype=object)[order],
        items=tuple(str(item).removesuffix("\0") for item in items),
        bounds=np.searchsorted(codes[order], np.arange(len(items) + 1)),
        order=order,
    )


def _wrong(lines: _Lines, part: slice) -> str:
    """Return what is wrong with an item, "" if nothing is: up to three of its lines."""
    rows, times = lines.rows[part], lines.times[part]
    told = [f"{lines.wrong[part][at]} (row {rows[at]})" for at in np.flatnonzero(lines.wrong[part])]
    if not told:
        told = [
            f"has a timestamp twice (rows {rows[at]} and {rows[at + 1]})"
            for at in np.flatnonzero(np.diff(times) == 0)
        ]
    more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
    return "; ".join(told[:3]) + more


def _constant(cells: pd.Series[Any], lines: _Lines, parts: list[slice]) -> pd.Series[Any]:
    """Return the one value of each item, `BadCell` where there are two."""
    codes = pd.factorize(cells.map(word_of))[0][lines.order]
    kept: list[object] = []
    for item, part in zip(lines.items, parts, strict=True):
        first = lines.order[part.start]
        other = np.flatnonzero(codes[part] != codes[part.start])
        kept.append(cells.iloc[first])
        if len(other):
            place = part.start + int(other[0])
            one, two = (shown(cells.iloc[at]) for at in (first, lines.order[place]))
            rows = lines.rows[[part.start, place]]
            what = f"of item {shown(item)} is {one} (row {rows[0]}) and {two} (row {rows[1]})"
            kept[-1] = BadCell(what, "give all lines of an item the same value")
    return pd.Series(kept, dtype=object)


def _notes(
    name: str,
    lines: _Lines,
    parts: list[slice],
    cells: list[np.ndarray | BadCell],
    grid: Grid,
) -> list[str]:
    """Return what a person should know about the grid of the timestamps."""
    notes = [f"{name}: {len(lines.rows):,} lines of {len(parts):,} items"]
    read = [(p, c) for p, c in zip(parts, cells, strict=True) if isinstance(c, np.ndarray)]
    gaps = [len(cell) - (part.stop - part.start) for part, cell in read]
    odd = sum(grid.places(lines.times[part]) is None for part, _ in read)
    if any(gaps):
        items = sum(gap > 0 for gap in gaps)
        notes.append(
            f"{name}: {sum(gaps):,} lines that lack on the grid of {items:,} items are gaps"
        )
    if odd:
        what = "timestamps stand on no regular grid; their lines are taken as they come"
        notes.append(f"{name}: of {odd:,} items the {what}")
    return notes


def _spans(stamps: pd.Series[Any], lines: _Lines, parts: list[slice]) -> pd.DataFrame:
    """Return `start` and `end` of each item if timestamps are dates, else no columns."""
    if stamps.dtype.kind != "M":
        return pd.DataFrame(index=range(len(parts)))
    dates = stamps.iloc[lines.order].reset_index(drop=True)
    starts = [dates.iloc[part.start] for part in parts]
    ends = [dates.iloc[part.stop - 1] for part in parts]
    return pd.DataFrame({"start": starts, "end": ends})
