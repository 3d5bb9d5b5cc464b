"""A measure: a metric together with the way to compute it from columns of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from graft.core.errors import DataError, Problem
from graft.core.scores import Metric

Columns = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]

_CHUNK = 2**18  # values drawn at once: 2 MB


@dataclass(frozen=True)
class Measure:
    """What to compute from the columns of one run, and how two runs may be mixed for a test.

    Args:
        metric: What the number means.
        compute: Columns of shape (n,) to the value; None where it is undefined on these rows,
            such as a ranking of rows of one class only.
        exchange: Prediction columns that a permutation test swaps between two runs.
        prepare: Puts the columns of one run on an exchangeable scale before swapping: unchanged,
            ranks for metrics of order, decisions for metrics at a threshold.
        compute_many: Columns of shape (samples, n) to `samples` values, NaN where undefined;
            None if there is no faster way than `compute` sample by sample.
        derive: Columns of shape (n,) to the columns `derived`, each value from its own row; done
            once before rows are drawn or swapped, so that many columns need not be.
        derived: Names of what `derive` returns; a permutation test swaps these in place of
            `exchange`.
    """

    metric: Metric
    compute: Callable[[Columns], float | None]
    exchange: tuple[str, ...]
    prepare: Callable[[Columns], dict[str, NDArray[Any]]]
    compute_many: Callable[[Columns], Floats] | None = None
    derive: Callable[[Columns], dict[str, NDArray[Any]]] | None = None
    derived: tuple[str, ...] = ()

    @property
    def swapped(self) -> tuple[str, ...]:
        """The columns that a permutation test swaps."""
        return self.derived or self.exchange


def unchanged(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return the columns as they are: two runs' values are on the same scale already."""
    return dict(columns)


def ranked(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return the columns with `score` as ranks 1 to n, ties averaged: all that order tells.

    Example:
        >>> ranked({"score": np.array([0.2, 0.9, 0.2])})["score"]
        array([1.5, 3. , 1.5])
    """
    return {**columns, "score": rankdata(columns["score"])}


def standardised(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return the columns with `score` at mean 0 and deviation 1: all that a scale-free metric sees.

    A constant score becomes zeros.

    Example:
        >>> standardised({"score": np.array([1.0, 3.0])})["score"]
        array([-1.,  1.])
    """
    scores = np.asarray(columns["score"], dtype=np.float64)
    centred = scores - scores.mean()
    deviation = centred.std() if np.ptp(scores) else 1.0
    return {**columns, "score": centred / deviation}


def measure(
    metric: Metric,
    statistic: Callable[..., Floats],
    *,
    reads: tuple[str, ...],
    exchange: tuple[str, ...] = ("score",),
    prepare: Callable[[Columns], dict[str, NDArray[Any]]] = unchanged,
    derive: Callable[[Columns], dict[str, NDArray[Any]]] | None = None,
) -> Measure:
    """Return the measure of a statistic that works along the last axis.

    Args:
        metric: What the number means.
        statistic: Takes one float array of shape (samples, n) per column of `reads` and returns
            shape (samples,), NaN where undefined.
        reads: Columns that the statistic takes, in order.
        exchange: See `Measure`.
        prepare: See `Measure`.
        derive: See `Measure`; it returns every column of `reads` but `label`.

    Example:
        >>> seconds = Metric("mean_s", "Mean time", False, 0, None, "s", "Mean of time.", "")
        >>> mean = measure(seconds, lambda t: t.mean(-1), reads=("time",), exchange=("time",))
        >>> mean.compute({"time": np.array([1, 2])}), mean.compute({"time": np.array([])})
        (1.5, None)
    """

    def compute_many(columns: Columns) -> Floats:
        arrays = [np.asarray(columns[name], dtype=np.float64) for name in reads]
        finite = np.logical_and.reduce([np.isfinite(array).all(axis=-1) for array in arrays])
        return np.where(finite, statistic(*arrays), np.nan)

    def compute(columns: Columns) -> float | None:
        if not len(next(iter(columns.values()))):
            return None
        whole = columns if derive is None else {**columns, **derive(columns)}
        value = float(compute_many({name: whole[name][None] for name in reads})[0])
        return value if np.isfinite(value) else None

    derived = () if derive is None else tuple(name for name in reads if name != "label")
    return Measure(metric, compute, exchange, prepare, compute_many, derive, derived)


def with_derived(measures: Sequence[Measure], columns: Columns) -> Columns:
    """Return the columns of shape (n,) with all that the measures derive from them, each once."""
    found = dict(columns)
    for derive in dict.fromkeys(measure.derive for measure in measures):
        if derive is not None:
            found.update(derive(columns))
    return found


def compute_samples(measure: Measure, columns: Columns, samples: int) -> Floats:
    """Return the measure of each sample, NaN where it is undefined, shape (samples,).

    Args:
        measure: What to compute.
        columns: Columns of shape (samples, n), derived ones included.
        samples: Number of samples.
    """
    if measure.compute_many is not None:
        return measure.compute_many(columns)
    values = [
        measure.compute({name: columns[name][index] for name in columns})
        for index in range(samples)
    ]
    return np.array([np.nan if value is None else value for value in values])


def row_count(*runs: Columns) -> int:
    """Return the number of rows that every column of every run has.

    Raises:
        DataError: Columns differ in length, or there is none.

    Example:
        >>> row_count({"score": np.zeros(3), "label": np.ones(3)})
        3
    """
    lengths = {name: len(column) for run in runs for name, column in run.items()}
    counts = {len(column) for run in runs for column in run.values()}
    if len(counts) != 1:
        problem = Problem("columns", f"have lengths {lengths}", "give one value per row")
        raise DataError("rows to measure", [problem])
    return counts.pop()


def chunks(samples: int, rows: int) -> Iterator[slice]:
    """Yield slices of `range(samples)` so small that their rows fit the processor's cache.

    Nothing to draw from gives no slice.

    Example:
        >>> list(chunks(5, 2**17))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if rows:
        step = max(1, _CHUNK // rows)
        yield from (slice(at, min(at + step, samples)) for at in range(0, samples, step))
