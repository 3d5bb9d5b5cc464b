"""The grid on which timestamps stand, and the gaps that are left on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A grid with more gaps than values is no grid that was meant.
MOST_GAPS = 0.5
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Grid:
    """How far the timestamps of a table are apart.

    Args:
        step: What most of them are apart, None without two timestamps of one item.
    """

    step: float | None

    def places(self, times: np.ndarray) -> np.ndarray | None:
        """Return [T] the place on the grid of each time from 0, None if they stand on none.

        Args:
            times: [T] rising times of one item.

        Example:
            >>> Grid(10.0).places(np.array([5.0, 15.0, 35.0])).tolist()
            [0, 1, 3]
        """
        if self.step is None or len(times) < 2:
            return np.arange(len(times))
        ratios = (times - times[0]) / self.step
        places = np.round(ratios)
        on_it = np.abs(ratios - places) <= _TOLERANCE * np.maximum(places, 1)
        gaps = 1 - len(times) / (places[-1] + 1)
        regular = on_it.all() and (np.diff(places) >= 1).all() and gaps <= MOST_GAPS
        return places.astype(np.int64) if regular else None

    def filled(self, times: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return [steps, C] the values as float32, NaN where the grid has no line.

        Args:
            times: [T] rising times of one item.
            values: [T, C] values.

        Example:
            >>> Grid(1.0).filled(np.array([0.0, 2.0, 3.0]), np.ones((3, 1))).ravel().tolist()
            [1.0, nan, 1.0, 1.0]
        """
        places = self.places(times)
        if places is None:
            return values.astype(np.float32)
        series = np.full((int(places[-1]) + 1, values.shape[1]), np.nan, dtype=np.float32)
        series[places] = values
        return series


def grid_of(items: Sequence[np.ndarray]) -> Grid:
    """Return the grid of the timestamps of all items: the step that most neighbours are apart.

    Args:
        items: [T] rising times of each item.

    Example:
        >>> grid_of([np.array([0.0, 1.0, 2.0, 4.0])]).step
        1.0
    """
    steps = np.concatenate([np.diff(times) for times in items]) if len(items) else np.empty(0)
    if not len(steps):
        return Grid(None)
    scale = float(np.median(steps))
    near, counts = np.unique(np.round(steps / scale, 6), return_counts=True)
    return Grid(float(near[counts.argmax()]) * scale)
