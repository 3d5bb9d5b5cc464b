"""Table columns: told apart by their values over all files, and turned into numbers or names."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from graft.core.errors import Problem
from graft.data.badrows import BadRow, shown
from graft.data.cells import MISSING, measure_of, word_of
from graft.data.readers import Table
from graft.data.reading import Layout

# A list or an object in a cell is a mistake; numpy's and pandas' kinds of these are these.
_NAMES = (str, bool, int, float, Decimal, np.bool_, np.number, datetime.date)


@dataclass(frozen=True)
class _Census:
    """What the cells of one column are; `odd` is the first that is no number, and where."""

    numbers: int = 0
    others: int = 0
    odd: str = ""


def with_numbers(
    layout: Layout, tables: Sequence[Table], slices: tuple[str, ...]
) -> tuple[Layout, list[str], list[Problem]]:
    """Return the layout with its number columns, what to note, and what is wrong.

    A table column holds numbers if all its cells do that are not empty, in every file, and the
    recipe does not call it categorical.

    Args:
        layout: What the task reads.
        tables: The files, each with every table column.
        slices: Slice columns.
    """
    numbers, notes, problems = [], [], []
    for column in layout.table:
        found = _census(column, tables)
        if not found.numbers + found.others:
            what = f"'{column}' holds no value in any file"
            problems.append(Problem("recipe, data.table", what, "take it out"))
        elif column in layout.categorical:
            continue
        elif not found.others:
            numbers.append(column)
        elif found.numbers > found.others:
            notes.append(
                f"column '{column}' is read as names, not as numbers: {found.others:,} of "
                f"{found.numbers + found.others:,} values are no numbers, such as {found.odd}"
            )
    for column in numbers:
        if column in slices:
            what = f"'{column}' is a table column of numbers"
            fix = "name it in data.categorical too, or take it out of data.slices"
            problems.append(Problem("recipe, data.slices", what, fix))
    return replace(layout, numbers=tuple(numbers)), notes, problems


def _census(column: str, tables: Sequence[Table]) -> _Census:
    numbers, others, odd = 0, 0, ""
    for table in tables:
        for row, value in zip(table.source_rows, table.frame[column], strict=True):
            number = measure_of(value)
            if number is None:
                others += 1
                odd = odd or f"{shown(value)} ({table.name} row {row})"
            else:
                numbers += not math.isnan(number)
    return _Census(numbers, others, odd)


def numbers_of(column: pd.Series[Any], rows: np.ndarray) -> tuple[np.ndarray, list[BadRow]]:
    """Return the numbers of a column, NaN where one is missing, and the rows that hold none.

    Args:
        column: Cells.
        rows: [N] row numbers for the errors.

    Example:
        >>> values, bad = numbers_of(pd.Series(["1.5", "", "inf"], name="age"), np.arange(1, 4))
        >>> values.tolist(), bad[0].what
        ([1.5, nan, inf], "age is 'inf', which is infinite")
    """
    found = [measure_of(value) for value in column]
    bad = []
    for row, value, number in zip(rows, column, found, strict=True):
        if number is None:
            what = f"{column.name} is {shown(value)}, not a number"
            bad.append(BadRow(int(row), what, "write a number, or leave the cell empty"))
        elif math.isinf(number):
            what = f"{column.name} is {shown(value)}, which is infinite"
            bad.append(BadRow(int(row), what, "write a number, or leave the cell empty"))
    return np.array([math.nan if n is None else n for n in found], dtype=np.float64), bad


def names_of(column: pd.Series[Any], rows: np.ndarray) -> tuple[list[str], list[BadRow]]:
    """Return the names of a column, `(missing)` where one is, and the rows that hold no name.

    Args:
        column: Cells.
        rows: [N] row numbers for the errors.

    Example:
        >>> names_of(pd.Series(["red", None, 3.0], name="colour"), np.arange(1, 4))[0]
        ['red', '(missing)', '3']
    """
    names = [word_of(value) for value in column]
    bad = [
        BadRow(
            int(row),
            f"{column.name} is {shown(value)}, a {type(value).__name__}, not a name",
            "write a text or a number, or leave the cell empty",
        )
        for row, value, name in zip(rows, column, names, strict=True)
        if name != MISSING and not isinstance(value, _NAMES)
    ]
    return names, bad
