"""What the series of a split are like: lengths, gaps, channels that do not vary."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from graft.core.tables import SeriesShape


def series_shape(series: Sequence[np.ndarray], channels: tuple[str, ...]) -> SeriesShape:
    """Return what the series are like.

    Args:
        series: [T, C] each, at least one.
        channels: Their names.

    Example:
        >>> shape = series_shape([np.array([[1.0], [np.nan], [3.0]]), np.ones((5, 1))], ("x",))
        >>> shape.shortest, shape.median, shape.longest, shape.gaps, shape.constant
        (3, 4.0, 5, 1, 1)
    """
    lengths = [len(one) for one in series]
    gaps = np.array([int(np.isnan(one).sum()) for one in series])
    still = np.stack([_still(one) for one in series])
    counts = dict(zip(channels, still.sum(axis=0).tolist(), strict=True))
    return SeriesShape(
        shortest=min(lengths),
        median=float(np.median(lengths)),
        longest=max(lengths),
        gaps=int(gaps.sum()),
        rows_with_gaps=int((gaps > 0).sum()),
        constant=int(still.all(axis=1).sum()),
        still={name: count for name, count in counts.items() if count},
    )


def shape_notes(split: str, rows: int, shape: SeriesShape) -> list[str]:
    """Return what a person should know about the series of a split.

    Example:
        >>> shape_notes("train", 9, SeriesShape(3, 4.0, 5, 2, 1, 0, {"x": 1}))[1]
        "train: 'x' does not vary in 1 of 9 series"
    """
    notes = []
    if shape.gaps:
        where = f"in {shape.rows_with_gaps:,} of {rows:,} series"
        notes.append(f"{split}: {shape.gaps:,} values are missing, {where}")
    if shape.constant:
        notes.append(f"{split}: {shape.constant:,} of {rows:,} series are constant")
    else:
        notes += [
            f"{split}: '{channel}' does not vary in {count:,} of {rows:,} series"
            for channel, count in shape.still.items()
        ]
    return notes


def _still(series: np.ndarray) -> np.ndarray:
    """Return [C] whether a channel has one value, or none."""
    with warnings.catch_warnings():
        # A channel that is missing throughout has no smallest value.
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanmin(series, axis=0), np.nanmax(series, axis=0)
    return np.asarray(~(high > low))
