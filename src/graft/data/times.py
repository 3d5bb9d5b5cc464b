"""Times as numbers or as dates, whatever the files write them as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from graft.data.badrows import BadRow, shown
from graft.data.cells import is_missing, number_of

ISO_FIX = "write a number or an ISO 8601 date such as 2024-05-31T12:00:00"


def times_of(column: pd.Series[Any], rows: np.ndarray) -> tuple[pd.Series[Any], list[BadRow]]:
    """Return the times of a column, numbers or UTC timestamps, and the rows that hold none.

    Args:
        column: Cells.
        rows: [N] row numbers for the errors.

    Example:
        >>> times, bad = times_of(pd.Series(["2024-05-31", "2024-06-01T12:00:00Z"]), np.arange(2))
        >>> times.dt.hour.tolist(), bad
        ([0, 12], [])
    """
    numbers = np.array([number_of(value) for value in column], dtype=np.float64)
    parsed: pd.Series[Any] = pd.Series(numbers, index=column.index)
    if np.isnan(numbers).mean() > 0.5:
        words = [None if is_missing(value) else str(value) for value in column]
        stamps = pd.to_datetime(
            pd.Series(words, index=column.index), errors="coerce", utc=True, format="ISO8601"
        )
        # UTC without a zone: sorts and saves as plain numbers.
        parsed = stamps.dt.tz_convert(None).astype("datetime64[us]")
    bad = [
        BadRow(int(row), f"{column.name} is {shown(value)}, which cannot be read", ISO_FIX)
        for row, value, wrong in zip(rows, column, parsed.isna(), strict=True)
        if wrong
    ]
    return parsed, bad
