"""Series that are the same up to offset and scale, or nearly: found by correlation.

Only series of one length are compared. A tree of random projections finds candidates, the
correlation decides (Johnson & Lindenstrauss 1984).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from graft.core.seeds import generator
from graft.data.series import series_digest

# The correlation of two that differ in offset and scale alone, after rounding to float32.
SAME = 1 - 1e-5
# Two series of fewer values may be alike by chance.
FEWEST_VALUES = 16
PROJECTED = 16
# A projected distance exceeds the true one by this factor in less than 1 of 100,000 pairs.
_SLACK = 1.8
# Below this share of its level, what a channel varies by is rounding.
_ROUNDING = 1e-6


def alike_series(
    train: Sequence[np.ndarray], other: Sequence[np.ndarray], threshold: float
) -> list[np.ndarray]:
    """Return for each series of `other` those of `train` that correlate with it at the threshold.

    The correlation is the mean over the channels, after offset and scale of each are taken out; a
    missing value counts as the mean. A series that is constant, or has fewer than 16 values, is
    like none. Each pair at the threshold is found with a probability of at least 99.9 %, each pair
    that is returned is exact.

    Args:
        train: Series `[T, C]`.
        other: Series that are looked for.
        threshold: Correlation in 0..1 (above 0).

    Returns:
        [len(other)] arrays of positions in `train`, ascending.

    Example:
        >>> wave = np.sin(np.arange(20.0))[:, None]
        >>> alike_series([wave, wave**2], [5 + 3 * wave], SAME)
        [array([0])]
    """
    found = [np.arange(0)] * len(other)
    known, asked = _by_shape(train), _by_shape(other)
    for shape, (places, vectors) in asked.items():
        if shape in known:
            at_train, against = known[shape]
            for place, near in zip(places, _near(against, vectors, threshold), strict=True):
                found[place] = at_train[near]
    return found


def same_series(series: Sequence[np.ndarray]) -> np.ndarray:
    """Return [N] a number for each series, equal for those that differ in offset and scale alone.

    Example:
        >>> wave = np.sin(np.arange(20.0))[:, None]
        >>> same_series([wave, wave**2, 5 + 3 * wave]).tolist()
        [0, 1, 0]
    """
    digests: dict[str, int] = {}
    exact = np.array([digests.setdefault(series_digest(one), at) for at, one in enumerate(series)])
    # Exact repeats need no search, and would each be near to all others.
    firsts = np.unique(exact)
    single = [series[first] for first in firsts]
    near = alike_series(single, single, SAME)
    one = np.repeat(firsts, [len(positions) for positions in near])
    two = firsts[np.concatenate(near)] if len(near) else one
    ends = np.concatenate([one, np.arange(len(series))]), np.concatenate([two, exact])
    edges = coo_array((np.ones(len(ends[0]), bool), ends), shape=(len(series), len(series)))
    return np.asarray(connected_components(edges, directed=False)[1])


def _by_shape(series: Sequence[np.ndarray]) -> dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]]:
    """Return shape to the places and unit vectors of the series that can be compared."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, one in enumerate(series):
        if one.size >= FEWEST_VALUES:
            places.setdefault(one.shape, []).append(place)
    forms = {}
    for shape, found in places.items():
        vectors = _unit(np.stack([series[place] for place in found]).astype(np.float64))
        telling = vectors.any(axis=1)
        forms[shape] = np.asarray(found)[telling], vectors[telling]
    return forms


def _unit(series: np.ndarray) -> np.ndarray:
    """Return [N, T * C] unit vectors without offset and scale, 0 for constant series."""
    held = ~np.isnan(series)
    counts = np.maximum(held.sum(axis=1, keepdims=True), 1)
    means = np.where(held, series, 0).sum(axis=1, keepdims=True) / counts
    centred = np.where(held, series - means, 0)
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / counts)
    varies = spread > _ROUNDING * np.abs(means)
    scaled = np.where(varies, centred / np.where(varies, spread, 1), 0).reshape(len(series), -1)
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(norms > 0, norms, 1)


def _near(train: np.ndarray, other: np.ndarray, threshold: float) -> list[np.ndarray]:
    if not len(train) or not len(other):
        return [np.arange(0)] * len(other)
    size = train.shape[1]
    rng = generator(0, "alike", size)
    axes = rng.normal(size=(size, PROJECTED)) / np.sqrt(PROJECTED)
    radius = _SLACK * np.sqrt(2 * (1 - threshold)) + 1e-9
    candidates = cKDTree(train @ axes).query_ball_point(other @ axes, radius)
    found = []
    for one, places in zip(other, candidates, strict=True):
        likely = np.sort(np.asarray(places, dtype=np.int64))
        found.append(likely[train[likely] @ one >= threshold - 1e-12])
    return found
