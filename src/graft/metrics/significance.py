"""Tests of a difference between two runs, correction for many tests, and power."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, norm

from graft.metrics.measures import (
    Columns,
    Measure,
    chunks,
    compute_samples,
    row_count,
    with_derived,
)


def permutation(
    measure: Measure,
    candidate: Sequence[Columns],
    reference: Sequence[Columns],
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> float | None:
    """Return the two-sided p of "it does not matter which run a prediction came from".

    Each row's prepared predictions are swapped between the runs with probability one half
    (Fisher 1935; Noreen 1989), with every seed alike; the difference is the mean over the seeds.
    One is added to both counts (Phipson & Smyth 2010), so p is at least 1 / (resamples + 1). A
    permutation without a value counts as extreme, which can only raise p. None if a run has no
    value on the rows themselves.

    Args:
        measure: What to compute.
        candidate: Columns of shape (n,) for each seed.
        reference: The same, rows in the same order; as many seeds, or one of the two has one.
        rng: Source of chance.
        resamples: Permutations drawn.

    Raises:
        DataError: Columns differ in length.

    Example:
        >>> from graft.core.seeds import generator
        >>> from graft.metrics.pairs import PAIR_MEASURES
        >>> columns = {"score": np.arange(20.0), "label": np.arange(20.0)}
        >>> permutation(PAIR_MEASURES[0], [columns], [columns], rng=generator(1, "demo"))
        1.0
    """
    rows = row_count(*candidate, *reference)
    if not rows:
        return None
    pairs = [
        [measure.prepare(with_derived([measure], columns)) for columns in pair]
        for pair in paired_seeds(candidate, reference)
    ]
    gaps = [minus(measure.compute(first), measure.compute(second)) for first, second in pairs]
    observed = mean_of(gaps)
    if observed is None:
        return None
    smaller = 0
    for chunk in chunks(resamples, rows):
        size = chunk.stop - chunk.start
        swap = rng.integers(0, 2, size=(size, rows), dtype=np.bool_)
        total = np.zeros(size)
        for first, second in pairs:
            one = compute_samples(measure, _swapped(measure, first, second, swap), size)
            total += one - compute_samples(measure, _swapped(measure, second, first, swap), size)
        # The tolerance keeps rounding from splitting differences that are equal.
        smaller += int((np.abs(total / len(pairs)) < abs(observed) * (1 - 1e-9) - 1e-12).sum())
    return (resamples - smaller + 1) / (resamples + 1)


def paired_seeds(
    candidate: Sequence[Columns], reference: Sequence[Columns]
) -> list[tuple[Columns, Columns]]:
    """Return the seeds of two runs side by side; a run with one seed stands beside every other.

    Example:
        >>> one, two, three = ({"score": np.array([float(k)])} for k in range(3))
        >>> [float(b["score"][0]) for _, b in paired_seeds([one, two], [three])]
        [2.0, 2.0]
    """
    count = max(len(candidate), len(reference))
    return [(candidate[at % len(candidate)], reference[at % len(reference)]) for at in range(count)]


def mcnemar(candidate_correct: ArrayLike, reference_correct: ArrayLike) -> float:
    """Return the exact two-sided p that both runs are right equally often (McNemar 1947).

    Args:
        candidate_correct: Shape (n,), True where the candidate decided right.
        reference_correct: Shape (n,), rows in the same order.

    Example:
        >>> mcnemar([True] * 5, [False] * 5)
        0.0625
    """
    candidate = np.asarray(candidate_correct, dtype=bool)
    reference = np.asarray(reference_correct, dtype=bool)
    gained, lost = int((candidate & ~reference).sum()), int((reference & ~candidate).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p values corrected for being a family, in the same order (Holm 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        (0.03, 0.06, 0.06)
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return tuple(adjusted.tolist())


def minimal_detectable_effect(
    standard_error: float, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return the smallest true difference that a two-sided test finds with this power (Bloom 1995).

    Args:
        standard_error: Of the difference.
        alpha: Error rate of the test, 0 to 1.
        power: Share of repetitions that find it, 0 to 1.

    Example:
        >>> round(minimal_detectable_effect(1.0), 3)
        2.802
    """
    return float(standard_error * (norm.ppf(1 - alpha / 2) + norm.ppf(power)))


def minus(candidate: float | None, reference: float | None) -> float | None:
    """Return the difference, None if either value is undefined."""
    return None if candidate is None or reference is None else candidate - reference


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean over the seeds, None if one of them has no value.

    Example:
        >>> mean_of([0.5, 0.75]), mean_of([0.5, None])
        (0.625, None)
    """
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _swapped(
    measure: Measure, own: Columns, other: Columns, swap: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    return {
        name: np.where(swap, other[name], column)
        if name in measure.swapped
        else np.broadcast_to(column, swap.shape)
        for name, column in own.items()
    }
