"""Altered copies of series: what is learned must not hang on what an alteration changes.

Each function takes `[time, channels]` and returns as much; gaps stay gaps. Source: Um et al.,
"Data augmentation of wearable sensor data for Parkinson's disease monitoring using convolutional
neural networks" (2017); window slicing after Le Guennec, Malinowski and Tavenard (2016).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from graft.config.augmentation import AugmentSection
from graft.core.augmentation import Augmentation
from graft.core.seeds import generator
from graft.data.series import COLUMN

# Places along a series at which its speed is drawn; between them it changes evenly.
KNOTS = 5
MARK = "#"


def jitter(series: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Return the series with noise, `spread` standard deviations of each channel.

    Example:
        >>> jitter(np.ones((4, 1)), 0.1, np.random.default_rng(1)).ravel().tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    held = ~np.isnan(series)
    counts = np.maximum(held.sum(axis=0), 1)
    centred = np.where(held, series - np.where(held, series, 0).sum(axis=0) / counts, 0)
    deviation = np.sqrt((centred**2).sum(axis=0) / counts)
    return np.asarray(series + spread * deviation * rng.normal(size=series.shape))


def scaling(series: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Return the series times a factor whose logarithm has that spread; channels keep their ratios.

    Example:
        >>> series = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> scaled = scaling(series, 0.5, np.random.default_rng(1))
        >>> bool(np.allclose(scaled / series, scaled[0, 0]))
        True
    """
    return np.asarray(series * np.exp(spread * rng.normal()))


def time_warp(series: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Return the series with a time that runs faster here and slower there; its ends stay.

    Example:
        >>> ramp = np.arange(5.0)[:, None]
        >>> warped = time_warp(ramp, 0.3, np.random.default_rng(1))
        >>> warped[[0, -1]].ravel().tolist(), bool((np.diff(warped, axis=0) > 0).all())
        ([0.0, 4.0], True)
    """
    steps = len(series)
    if steps < 3:
        return series.copy()
    knots = np.linspace(0, steps - 2, KNOTS)
    speed = np.exp(np.interp(np.arange(steps - 1), knots, spread * rng.normal(size=KNOTS)))
    passed = np.concatenate([[0], np.cumsum(speed)])
    return _at(series, passed / passed[-1] * (steps - 1))


def window_slice(series: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return a part of the series, from anywhere, stretched to the length of the whole.

    Example:
        >>> ramp = np.arange(5.0)[:, None]
        >>> window_slice(ramp, 0.6, np.random.default_rng(1)).ravel().tolist()
        [1.0, 1.5, 2.0, 2.5, 3.0]
    """
    steps = len(series)
    kept = max(round(share * steps), min(steps, 2))
    start = rng.integers(steps - kept + 1)
    return _at(series, start + np.linspace(0, kept - 1, steps))


def _at(series: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the values at places between the steps; beside a gap there is a gap."""
    steps = np.arange(len(series))
    places = np.clip(places, 0, len(series) - 1)
    return np.stack([np.interp(places, steps, channel) for channel in series.T], axis=1)


def altered(series: np.ndarray, section: AugmentSection, rng: np.random.Generator) -> np.ndarray:
    """Return an altered copy, float32: sliced, warped, scaled and jittered as the section says.

    Args:
        series: [time, channels].
        section: What is altered, and how much.
        rng: Source of chance.
    """
    copy = series.astype(np.float64)
    if section.window_slice < 1:
        copy = window_slice(copy, section.window_slice, rng)
    if section.time_warp:
        copy = time_warp(copy, section.time_warp, rng)
    if section.scaling:
        copy = scaling(copy, section.scaling, rng)
    if section.jitter:
        copy = jitter(copy, section.jitter, rng)
    return copy.astype(np.float32)


def augmented_rows(
    rows: pd.DataFrame, section: AugmentSection, seed: int, classes: tuple[str, ...]
) -> tuple[pd.DataFrame, Augmentation]:
    """Return the training rows with their altered copies behind them, and what was added.

    A copy is known by the id of its row with `#1`, `#2`, … behind it. What it becomes depends on
    the seed and on that id alone.

    Args:
        rows: Training rows with `row`, `label` and `series`; they are not changed.
        section: What is altered.
        seed: The experiment's seed.
        classes: Names of the classes.

    Example:
        >>> rows = pd.DataFrame({"row": ["train:1"], "label": [0.0], "series": [np.ones((3, 1))]})
        >>> more, added = augmented_rows(rows, AugmentSection(scaling=0.1), 1, ("up", "down"))
        >>> more["row"].tolist(), added.copies
        (['train:1', 'train:1#1'], {'up': 1, 'down': 0})
    """
    parts = [rows]
    for number in range(1, section.copies + 1):
        ids = [f"{row}{MARK}{number}" for row in rows["row"]]
        series = [
            altered(one, section, generator(seed, "augment", name))
            for one, name in zip(rows[COLUMN], ids, strict=True)
        ]
        column = pd.Series(series, index=rows.index, dtype=object)
        parts.append(rows.assign(row=ids, series=column))
    places = rows["label"].astype(int).value_counts()
    counts = {name: int(places.get(place, 0)) for place, name in enumerate(classes)}
    added = Augmentation(
        alterations={
            name: float(value)
            for name, value in section.model_dump(exclude={"copies"}).items()
            if value != AugmentSection.model_fields[name].default
        },
        rows=counts,
        copies={name: count * section.copies for name, count in counts.items()},
        sources=tuple(str(row) for row in rows["row"]),
    )
    return pd.concat(parts, ignore_index=True), added
