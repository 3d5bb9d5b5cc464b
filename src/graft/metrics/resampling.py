"""How sure a number is, by the bootstrap: intervals of one run and of the difference of two.

Rows are drawn in chunks, so memory stays bounded whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graft.metrics.measures import (
    Columns,
    Floats,
    Measure,
    chunks,
    compute_samples,
    row_count,
    with_derived,
)
from graft.metrics.significance import (
    holm,
    mcnemar,
    minimal_detectable_effect,
    minus,
    permutation,
)

__all__ = [
    "Interval",
    "PairedBootstrap",
    "bootstrap",
    "holm",
    "interval",
    "mcnemar",
    "minimal_detectable_effect",
    "paired_bootstrap",
    "paired_difference",
    "permutation",
    "resample",
]

MAX_UNDEFINED = 0.1  # share of resamples without a value beyond which there is no interval


@dataclass(frozen=True)
class Interval:
    """Where a number lies.

    Args:
        low: Lower end, None if more than 10 % of the resamples were undefined.
        high: Upper end.
        undefined: Resamples on which the metric had no value.
    """

    low: float | None
    high: float | None
    undefined: int


@dataclass(frozen=True)
class PairedBootstrap:
    """Candidate minus reference on the same rows.

    Args:
        difference: On the rows themselves, None if either run has no value there.
        low: Lower end of the interval, None if there is none.
        high: Upper end.
        p: Two-sided p of "no difference", above 0, at most 1.
        standard_error: Deviation of the resampled differences.
        undefined: Resamples on which either run had no value.
    """

    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    standard_error: float | None
    undefined: int


class _Drawn(Mapping[str, NDArray[Any]]):
    """Columns at drawn rows; a column is gathered when it is first read, and only once."""

    def __init__(self, columns: Columns, indices: NDArray[np.int64]) -> None:
        self._columns, self._indices = columns, indices
        self._gathered: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._gathered:
            self._gathered[name] = np.asarray(self._columns[name])[self._indices]
        return self._gathered[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def resample(
    measures: Sequence[Measure],
    runs: Mapping[str, Columns],
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, dict[str, Floats]]:
    """Return run → metric → its value on each resample, NaN where undefined.

    Every run and measure sees the same drawn rows, so differences of the values are paired.

    Args:
        measures: What to compute.
        runs: Columns of shape (n,) of each run, rows in the same order.
        resamples: Draws of n rows with replacement.
        rng: Source of chance.

    Raises:
        DataError: Columns differ in length.
    """
    rows = row_count(*runs.values())
    whole = {run: with_derived(measures, columns) for run, columns in runs.items()}
    values = {
        run: {measure.metric.name: np.full(resamples, np.nan) for measure in measures}
        for run in runs
    }
    for chunk in chunks(resamples, rows):
        size = chunk.stop - chunk.start
        indices = rng.integers(0, rows, size=(size, rows))
        for run, columns in whole.items():
            drawn = _Drawn(columns, indices)
            for measure in measures:
                values[run][measure.metric.name][chunk] = compute_samples(measure, drawn, size)
    return values


def interval(samples: Floats, alpha: float = 0.05) -> Interval:
    """Return the percentile interval of resampled values (Efron & Tibshirani 1993, ch. 13).

    Example:
        >>> interval(np.arange(101.0), alpha=0.1)
        Interval(low=5.0, high=95.0, undefined=0)
    """
    defined = samples[np.isfinite(samples)]
    undefined = samples.size - defined.size
    if not defined.size or undefined > MAX_UNDEFINED * samples.size:
        return Interval(None, None, undefined)
    low, high = np.quantile(defined, [alpha / 2, 1 - alpha / 2])
    return Interval(float(low), float(high), undefined)


def bootstrap(
    measure: Measure,
    columns: Columns,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    alpha: float = 0.05,
) -> Interval:
    """Return the percentile interval of one measure of one run.

    Args:
        measure: What to compute.
        columns: Columns of shape (n,).
        rng: Source of chance.
        resamples: Draws of n rows with replacement.
        alpha: 1 − coverage, 0 to 1.

    Raises:
        DataError: Columns differ in length.

    Example:
        >>> from graft.core.seeds import generator
        >>> from graft.metrics.pairs import PAIR_MEASURES
        >>> columns = {"score": np.arange(20.0), "label": np.arange(20.0)}
        >>> bootstrap(PAIR_MEASURES[0], columns, rng=generator(1, "demo"), resamples=100)
        Interval(low=1.0, high=1.0, undefined=0)
    """
    values = resample([measure], {"run": columns}, resamples, rng)
    return interval(values["run"][measure.metric.name], alpha)


def paired_difference(difference: float | None, samples: Floats, alpha: float) -> PairedBootstrap:
    """Return what resampled differences say about the difference on the rows themselves.

    p is twice the smaller share of resamples on one side of zero, with one added to both counts
    so that it is never 0 (Davison & Hinkley 1997, section 4.2).

    Args:
        difference: On the rows themselves.
        samples: On the resampled rows, NaN where undefined.
        alpha: 1 − coverage, 0 to 1.

    Example:
        >>> paired_difference(50.0, np.arange(101.0), alpha=0.1).low
        5.0
    """
    found = interval(samples, alpha)
    if difference is None or found.low is None:
        return PairedBootstrap(difference, None, None, None, None, found.undefined)
    defined = samples[np.isfinite(samples)]
    smaller = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    p = min(1.0, 2 * (smaller + 1) / (defined.size + 1))
    error = float(defined.std(ddof=1)) if defined.size > 1 else None
    return PairedBootstrap(difference, found.low, found.high, p, error, found.undefined)


def paired_bootstrap(
    measure: Measure,
    candidate: Columns,
    reference: Columns,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    alpha: float = 0.05,
) -> PairedBootstrap:
    """Return the difference of two runs, both computed on the same resampled rows.

    Args:
        measure: What to compute.
        candidate: Columns of shape (n,).
        reference: Columns of shape (n,), rows in the same order.
        rng: Source of chance.
        resamples: Draws of n rows with replacement.
        alpha: 1 − coverage, 0 to 1.

    Raises:
        DataError: Columns differ in length.
    """
    runs = {"candidate": candidate, "reference": reference}
    values = resample([measure], runs, resamples, rng)
    name = measure.metric.name
    observed = minus(measure.compute(candidate), measure.compute(reference))
    return paired_difference(observed, values["candidate"][name] - values["reference"][name], alpha)
