"""What is measured about pairs of runs on the same rows, before it is judged."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from graft.core.scores import Metric
from graft.core.seeds import generator
from graft.metrics.decisions import correct
from graft.metrics.measures import Columns, Measure, row_count
from graft.metrics.resampling import PairedBootstrap, paired_difference, resample
from graft.metrics.significance import mcnemar, minus, permutation

MIN_ROWS = 10  # fewer rows say nothing that an interval could be trusted with


@dataclass(frozen=True)
class Evidence:
    """What was measured about two runs on the same rows, before it is judged.

    Args:
        metric: Metric with a direction.
        subset: `all` or `clean`.
        candidate: Run that should be better.
        reference: Run it is compared with.
        n: Rows compared.
        candidate_value: None if undefined on these rows.
        reference_value: None if undefined on these rows.
        bootstrap: Difference and its interval.
        p_permutation: Two-sided, None if not measured.
        p_mcnemar: Two-sided, None where there are no decisions.
    """

    metric: Metric
    subset: str
    candidate: str
    reference: str
    n: int
    candidate_value: float | None
    reference_value: float | None
    bootstrap: PairedBootstrap
    p_permutation: float | None
    p_mcnemar: float | None

    @property
    def measured(self) -> bool:
        """True if there are enough rows, both values, an interval and a p."""
        return (
            self.n >= MIN_ROWS
            and self.bootstrap.difference is not None
            and self.bootstrap.low is not None
            and self.p_permutation is not None
        )

    def mirrored(self) -> Evidence:
        """Return the same evidence with candidate and reference in each other's place."""
        found = self.bootstrap
        return replace(
            self,
            candidate=self.reference,
            reference=self.candidate,
            candidate_value=self.reference_value,
            reference_value=self.candidate_value,
            bootstrap=replace(
                found,
                difference=_negated(found.difference),
                low=_negated(found.high),
                high=_negated(found.low),
            ),
        )


@dataclass(frozen=True)
class Sampling:
    """How chance is used.

    Args:
        resamples: Bootstrap resamples, and permutations.
        alpha: 1 − coverage of the intervals, 0 to 1.
        seed: Seed of the recipe.
    """

    resamples: int
    alpha: float
    seed: int


def collect(
    runs: Mapping[str, Columns],
    pairs: Sequence[tuple[str, str]],
    measures: Sequence[Measure],
    *,
    subset: str,
    of_decisions: Collection[str],
    sampling: Sampling,
) -> Iterator[Evidence]:
    """Yield the evidence on every pair and measure; every run is resampled once for all pairs.

    Args:
        runs: Run to its columns of shape (n,), rows in the same order.
        pairs: Candidate and reference.
        measures: What to compute.
        subset: Name of the rows.
        of_decisions: Metrics that are also tested by McNemar, if runs decide.
        sampling: How chance is used.

    Raises:
        DataError: Columns differ in length.
    """
    rows = row_count(*runs.values())
    resamples = sampling.resamples if rows >= MIN_ROWS else 0
    drawn = resample(measures, runs, resamples, generator(sampling.seed, "bootstrap", subset))
    values = {
        run: {item.metric.name: item.compute(columns) for item in measures}
        for run, columns in runs.items()
    }
    for ours, theirs in pairs:
        decisions = _p_of_decisions(runs[ours], runs[theirs])
        for item in measures:
            name = item.metric.name
            value, other = values[ours][name], values[theirs][name]
            samples = drawn[ours][name] - drawn[theirs][name]
            found = paired_difference(minus(value, other), samples, sampling.alpha)
            # The same swaps for every pair, so pairs with equal predictions get equal answers.
            rng = generator(sampling.seed, "permutation", subset)
            p = None
            if found.low is not None:
                p = permutation(item, runs[ours], runs[theirs], rng=rng, resamples=resamples)
            p_mcnemar = decisions if name in of_decisions else None
            yield Evidence(
                item.metric, subset, ours, theirs, rows, value, other, found, p, p_mcnemar
            )


def _p_of_decisions(candidate: Columns, reference: Columns) -> float | None:
    """Return McNemar's p, None if a run makes no decisions."""
    ours, theirs = correct(candidate), correct(reference)
    return None if ours is None or theirs is None else mcnemar(ours, theirs)


def _negated(value: float | None) -> float | None:
    return None if value is None else 0.0 - value  # never −0
