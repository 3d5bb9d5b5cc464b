"""Tables of the page: text cells, right-aligned numbers, never more rows than people read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from graft.report.numerals import NONE, count, decimal, rate

MOST_ROWS = 200


@dataclass(frozen=True)
class Table:
    """A table ready to be shown.

    Args:
        columns: Headings.
        rows: Cells as text.
        numeric: For each column, whether it holds numbers.
        total: Rows before cutting.
        source: Files that hold all of them.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    total: int
    source: str

    @property
    def left_out(self) -> int:
        """Rows that are not shown."""
        return self.total - len(self.rows)


def cell(value: object) -> str:
    """Return one value as text.

    Example:
        >>> [cell(v) for v in (1234, 0.5, 2e-05, True, None, float("nan"), "a")]
        ['1,234', '0.500', '2e−5', 'yes', '—', '—', 'a']
    """
    if value is None or value is pd.NA:
        return NONE
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return count(int(value))
    if isinstance(value, float | np.floating):
        number = float(value)
        return rate(number) if number != 0 and abs(number) < 0.0005 else decimal(number)
    return str(value)


def from_frame(frame: pd.DataFrame, source: str, most: int = MOST_ROWS) -> Table:
    """Return the first `most` rows of a frame as a table.

    Args:
        frame: The data.
        source: Files that hold all rows.
        most: Rows that are shown.
    """
    shown = frame.head(most)
    columns = [list(shown[name]) for name in frame.columns]
    return Table(
        columns=tuple(str(name).replace("_", " ") for name in frame.columns),
        rows=tuple(tuple(cell(value) for value in row) for row in zip(*columns, strict=True)),
        numeric=tuple(_is_number(frame[name]) for name in frame.columns),
        total=len(frame),
        source=source,
    )


def _is_number(column: pd.Series[Any]) -> bool:
    kind = column.dtype
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def from_records(
    columns: Sequence[str], rows: Sequence[Sequence[object]], source: str, most: int = MOST_ROWS
) -> Table:
    """Return records as a table; a column is numeric if its first known value is a number."""
    numeric = []
    for position in range(len(columns)):
        known = [row[position] for row in rows if row[position] is not None]
        first = known[0] if known else None
        numeric.append(isinstance(first, int | float) and not isinstance(first, bool))
    return Table(
        columns=tuple(columns),
        rows=tuple(tuple(cell(value) for value in row) for row in rows[:most]),
        numeric=tuple(numeric),
        total=len(rows),
        source=source,
    )
