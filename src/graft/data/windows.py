"""Windows of series in time: which of them overlap."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graft.data.badrows import BadRow
from graft.data.columns import SPAN_ROLES


def overlaps(train: pd.DataFrame, other: pd.DataFrame) -> list[np.ndarray]:
    """Return for each window of `other` the windows of `train` that share a time with it.

    Windows of one group share a source; without groups all do. A window holds its end.

    Args:
        train: Rows with `start` and `end` of one kind, and `group` if there are groups.
        other: Rows that are looked for.

    Returns:
        [len(other)] arrays of positions in `train`, ascending.

    Example:
        >>> train = pd.DataFrame({"start": [0, 10, 20], "end": [9, 19, 29]})
        >>> overlaps(train, pd.DataFrame({"start": [15], "end": [20]}))
        [array([1, 2])]
    """
    found = [np.arange(0)] * len(other)
    grouped = "group" in train and "group" in other
    names = train["group"].to_numpy() if grouped else np.zeros(len(train))
    asked = other["group"].to_numpy() if grouped else np.zeros(len(other))
    spans = other[list(SPAN_ROLES)].to_numpy()
    for name in pd.unique(asked):
        places = np.flatnonzero(names == name)
        if not len(places):
            continue
        order = places[np.argsort(train["start"].to_numpy()[places], kind="stable")]
        starts, ends = (train[role].to_numpy()[order] for role in SPAN_ROLES)
        # No window that began longer ago than the longest one lasts can still go on.
        longest = (ends - starts).max()
        for place in np.flatnonzero(asked == name):
            start, end = spans[place]
            low = np.searchsorted(starts, start - longest, side="left")
            high = np.searchsorted(starts, end, side="right")
            found[place] = np.sort(order[low:high][ends[low:high] >= start])
    return found


def backward(clean: pd.DataFrame, rows: np.ndarray) -> list[BadRow]:
    """Return the rows whose window ends before it begins.

    Args:
        clean: Rows; those with `start` and `end` of one kind are looked at.
        rows: [N] row numbers for the errors.

    Example:
        >>> clean = pd.DataFrame({"start": [1.0, 5.0], "end": [2.0, 4.0]})
        >>> [bad.what for bad in backward(clean, np.arange(1, 3))]
        ['the end 4.0 lies before the start 5.0']
    """
    start, end = (clean.get(role) for role in SPAN_ROLES)
    if start is None or end is None or start.dtype != end.dtype:
        return []
    fix = "exchange them, or correct the row"
    return [
        BadRow(int(row), f"the end {last} lies before the start {first}", fix)
        for row, first, last in zip(rows, start, end, strict=True)
        if last < first
    ]
