"""Numbers to predict: read from cells, and what makes a column none of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from graft.core.errors import DataError, Problem
from graft.data.badrows import BadRow
from graft.data.cells import is_empty
from graft.data.tabular import numbers_of

# So few different numbers are rather the names of classes.
FEW_VALUES = 5


def target_numbers(column: pd.Series[Any], rows: np.ndarray) -> tuple[np.ndarray, list[BadRow]]:
    """Return the number of each row, and the rows that have none.

    Args:
        column: Numbers, or texts that spell them.
        rows: [N] row numbers for the errors.

    Example:
        >>> numbers, bad = target_numbers(pd.Series(["1.5", "", "red"], name="label"), np.arange(3))
        >>> numbers[0].item(), [item.what for item in bad]
        (1.5, ['label is missing', "label is 'red', not a number"])
    """
    numbers, wrong = numbers_of(column, rows)
    told = {item.row for item in wrong}
    bad = [
        BadRow(int(row), "label is missing", "fill it or drop the row")
        if is_empty(value)
        else BadRow(int(row), f"label is {value!r}, not a number", "write a number")
        for row, value, number in zip(rows, column, numbers, strict=True)
        if np.isnan(number) and int(row) not in told
    ]
    mend = "write a number, or drop the row"
    bad += [BadRow(item.row, item.what, mend) for item in wrong]
    return numbers, sorted(bad, key=lambda item: item.row)


def target_notes(labels: pd.Series[float], column: str) -> list[str]:
    """Return what a person should know about the numbers to predict.

    Args:
        labels: Number of each row.
        column: Name of the label column.

    Raises:
        DataError: All rows have the same number.
    """
    distinct = labels.nunique()
    if distinct < 2:
        what = f"holds the number {labels.iloc[0]:g} in all {len(labels):,} rows"
        fix = "name the column of the numbers to predict: data: {columns: {label: …}}"
        raise DataError("data", [Problem(f"label column '{column}'", what, fix)])
    if distinct <= FEW_VALUES:
        return [
            f"label column '{column}' holds {distinct} different numbers: a classification may fit "
            "better than a regression"
        ]
    return []
