"""Rows that cannot be used: named one by one, then an error or a note, as the recipe says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from graft.core.errors import DataError, Problem

OnBadRows = Literal["stop", "drop"]
LISTED = 20


@dataclass(frozen=True)
class BadRow:
    """One row that cannot be used.

    Args:
        row: Line of a text file, record of any other, counted from 1.
        what: What is wrong, with the value received.
        fix: What to do about it.
    """

    row: int
    what: str
    fix: str


@dataclass(frozen=True)
class BadCell:
    """What stands in a cell whose content could not be read.

    Args:
        what: What is wrong with it.
        fix: What to do about it.
    """

    what: str
    fix: str


def listed(name: str, bad: list[BadRow]) -> list[Problem]:
    """Return the problems of the file `name`: all up to 20 of them, then one with the count.

    Example:
        >>> print(listed("a.csv", [BadRow(3, "label is 'yes'", "write 0 or 1")])[0])
        a.csv row 3: label is 'yes'. Fix: write 0 or 1.
    """
    ordered = sorted(bad, key=lambda item: item.row)
    problems = [Problem(f"{name} row {b.row}", b.what, b.fix) for b in ordered[:LISTED]]
    if len(ordered) > LISTED:
        what = f"{len(ordered) - LISTED} more problems of this kind, not listed"
        problems.append(Problem(name, what, "mend the ones above and run again"))
    return problems


def settle(name: str, bad: list[BadRow], on_bad_rows: OnBadRows) -> tuple[str, ...]:
    """Return the notes on the rows that are left out.

    Args:
        name: Name of the file.
        bad: The rows that cannot be used.
        on_bad_rows: `stop` or `drop`.

    Raises:
        DataError: There are such rows and `on_bad_rows` is `stop`.

    Example:
        >>> settle("a.csv", [BadRow(3, "label is 'yes'", "write 0 or 1")], "drop")[0]
        "a.csv: 1 row left out (on_bad_rows is 'drop')"
    """
    if not bad:
        return ()
    if on_bad_rows == "stop":
        raise DataError(name, listed(name, bad))
    count = len({item.row for item in bad})
    rows = f"{count} row{'s' if count != 1 else ''}"
    notes = [f"{name}: {rows} left out (on_bad_rows is 'drop')"]
    return (*notes, *(f"{p.where}: {p.what}" for p in listed(name, bad)))


def bad_cells(frame: pd.DataFrame, rows: np.ndarray) -> list[BadRow]:
    """Return the rows with a cell that could not be read.

    Args:
        frame: Rows.
        rows: [N] row numbers for the errors.
    """
    return [
        BadRow(int(row), f"{name} {cell.what}", cell.fix)
        for name in frame.columns
        if frame[name].dtype == object
        for row, cell in zip(rows, frame[name], strict=True)
        if isinstance(cell, BadCell)
    ]


def shown(value: object) -> str:
    """Return the value as an error shows it, cut to 60 characters.

    Example:
        >>> shown("yes")
        "'yes'"
    """
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
