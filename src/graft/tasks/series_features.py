"""What a few numbers tell of a series: level, spread, trend, memory and rhythm of each channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graft.tasks.protocol import Array

BANDS = 4  # of the frequencies, each with as many of them
_LAGS = (1, 2, 4)


def summary_features(series: Sequence[Array]) -> Array:
    """Return the features of each series, `[rows, 1 + channels · features]`.

    The length; of each channel mean, standard deviation, smallest, largest, first and last value,
    slope over the whole series, mean absolute step, autocorrelation at lags of 1, 2 and 4, and the
    share of the energy in each quarter of the frequencies.

    Args:
        series: `[time, channels]` each, without gaps.

    Example:
        >>> summary_features([np.array([[0.0], [1.0], [2.0]])])[0, :9].round(2).tolist()
        [3.0, 1.0, 0.82, 0.0, 2.0, 0.0, 2.0, 2.0, 1.0]
    """
    return np.stack([_features(values) for values in series])


def _features(values: Array) -> Array:
    mean, away = values.mean(axis=0), values - values.mean(axis=0)
    power = np.square(away).sum(axis=0)
    safe = np.where(power > 0, power, 1.0)
    time = np.linspace(-0.5, 0.5, len(values))[:, None]
    slope = (time * away).sum(axis=0) / max(float(np.square(time).sum()), 1e-12)
    steps = np.abs(np.diff(values, axis=0)).sum(axis=0) / max(len(values) - 1, 1)
    memory = [(away[lag:] * away[:-lag]).sum(axis=0) / safe for lag in _LAGS]
    energy = np.square(np.abs(np.fft.rfft(away, axis=0)[1:]))
    total = np.where(power > 0, energy.sum(axis=0), 1.0)
    bands = [part.sum(axis=0) / total for part in np.array_split(energy, BANDS)]
    level = [mean, values.std(axis=0), values.min(axis=0), values.max(axis=0)]
    rows = [*level, values[0], values[-1], slope, steps, *memory, *bands]
    return np.concatenate([[float(len(values))], np.stack(rows, axis=1).ravel()])
