"""Series of unlike levels, gaps and lengths, made comparable for what knows no masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graft.tasks.protocol import Array


@dataclass(frozen=True)
class ChannelLevels:
    """Mean and standard deviation of each channel of the training rows, `[channels]`."""

    mean: Array
    deviation: Array

    def of(self, series: Sequence[Array]) -> list[Array]:
        """Return the series in standard deviations from the mean, without gaps.

        A gap lies on the line between its neighbours; one at either end has the value next to it,
        a channel without any value is 0 throughout.

        Args:
            series: `[time, channels]` each, NaN where a value is missing.
        """
        return [
            _filled((values.astype(np.float64) - self.mean) / self.deviation) for values in series
        ]


def levels_of(series: Sequence[Array]) -> ChannelLevels:
    """Return the levels of the channels over all time steps of all series.

    Example:
        >>> levels = levels_of([np.array([[1.0], [3.0]])])
        >>> levels.of([np.array([[1.0], [np.nan], [3.0]])])[0].ravel().tolist()
        [-1.0, 0.0, 1.0]
    """
    steps = np.concatenate(series).astype(np.float64)
    known = ~np.isnan(steps)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, steps, 0).sum(axis=0) / count
    deviation = np.sqrt(np.where(known, (steps - mean) ** 2, 0).sum(axis=0) / count)
    return ChannelLevels(mean, np.where(deviation > 0, deviation, 1.0))


def _filled(values: Array) -> Array:
    for channel in np.flatnonzero(np.isnan(values).any(axis=0)):
        known = np.flatnonzero(~np.isnan(values[:, channel]))
        line = np.interp(range(len(values)), known, values[known, channel]) if known.size else 0.0
        values[:, channel] = line
    return values


def resampled(series: Sequence[Array], length: int) -> Array:
    """Return the series stretched to one length along straight lines, `[rows, length, channels]`.

    Args:
        series: `[time, channels]` each, without gaps.
        length: Time steps of the result.

    Example:
        >>> resampled([np.array([[0.0], [2.0]])], 3).ravel().tolist()
        [0.0, 1.0, 2.0]
    """
    return np.stack([_stretched(values, length) for values in series])


def _stretched(values: Array, length: int) -> Array:
    if len(values) == length:
        return values
    places = np.linspace(0, len(values) - 1, length)
    channels = [np.interp(places, range(len(values)), channel) for channel in values.T]
    return np.stack(channels, axis=1)
