"""The nearest training row: what a series is most like, step by step or after warping of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from dtaidistance import dtw_ndim
from sklearn.metrics import pairwise_distances

from graft.tasks.protocol import Array
from graft.tasks.series_shapes import resampled

Distances = Callable[[Sequence[Array], Sequence[Array]], Array]
# Of the longest series: how far time may be warped (Sakoe & Chiba 1978).
BAND = 0.1


@dataclass(frozen=True)
class NearestNeighbour:
    """The class of the nearest training row.

    Args:
        series: Training series, `[time, channels]` each.
        labels: Their classes.
        distances: Two lists of series to the distance of each of the first to each of the second.
    """

    series: Sequence[Array]
    labels: Array
    distances: Distances

    @property
    def classes_(self) -> Array:
        """The classes that a training row has, in order."""
        return np.unique(self.labels)

    def predict_proba(self, series: Sequence[Array]) -> Array:
        """Return a share for each class, `[rows, classes]`: inverse to the distance of its nearest.

        The class of the nearest training row has the largest; shares are no probabilities.
        """
        apart = self.distances(series, self.series)
        nearest = np.stack([apart[:, self.labels == k].min(axis=1) for k in self.classes_], axis=1)
        return shares(nearest)


def shares(nearest: Array) -> Array:
    """Return the share of each class, inverse to its distance; classes at a distance of 0 have all.

    Args:
        nearest: Distance of the nearest training row of each class, `[rows, classes]`.

    Example:
        >>> shares(np.array([[1.0, 3.0], [0.0, 2.0]])).tolist()
        [[0.75, 0.25], [1.0, 0.0]]
    """
    closest = nearest.min(axis=1, keepdims=True)
    weights = np.divide(closest, nearest, out=np.ones_like(nearest), where=nearest > 0)
    found: Array = weights / weights.sum(axis=1, keepdims=True)
    return found


def stretched(length: int) -> Distances:
    """Return the Euclidean distance after all series are stretched to `length` steps."""

    def distances(first: Sequence[Array], second: Sequence[Array]) -> Array:
        flat = [resampled(part, length).reshape(len(part), -1) for part in (first, second)]
        found: Array = pairwise_distances(*flat)
        return found

    return distances


def warped(first: Sequence[Array], second: Sequence[Array]) -> Array:
    """Return the distance by dynamic time warping, all channels warped alike, in a narrow band.

    Series keep their lengths; the band is a tenth of the longest one, wider where two lengths
    differ by more.

    Example:
        >>> peak = np.array([[0.0], [0.0], [1.0], [0.0], [0.0]])
        >>> float(warped([peak], [np.roll(peak, 1)])[0, 0])
        0.0
    """
    rows, count = [*first, *second], len(first)
    longest = max(map(len, rows))
    found: Array = dtw_ndim.distance_matrix_fast(
        [np.ascontiguousarray(values, dtype=np.double) for values in rows],
        window=1 + math.ceil(BAND * longest),
        block=((0, count), (count, len(rows))),
        parallel=False,
    )
    return found[:count, count:]
