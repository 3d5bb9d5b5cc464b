"""What is measured about pairs of runs on the same rows, before it is judged."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from graft.core.scores import Metric
from graft.core.seeds import generator
from graft.metrics.decisions import correct
from graft.metrics.measures import Measure, row_count
from graft.metrics.replicates import Replicates, Sampling, resample_means
from graft.metrics.resampling import PairedBootstrap, paired_difference
from graft.metrics.significance import mcnemar, mean_of, minus, permutation

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
        candidate_value: Mean over the seeds, None if undefined on these rows.
        reference_value: The same of the other.
        bootstrap: Difference and its interval.
        p_permutation: Two-sided, None if not measured.
        p_mcnemar: Two-sided, None where there are no decisions, or those of several seeds.
        seeds: Trainings that the run with more of them has.
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
    seeds: int = 1

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


def collect(
    runs: Mapping[str, Replicates],
    pairs: Sequence[tuple[str, str]],
    measures: Sequence[Measure],
    *,
    subset: str,
    of_decisions: Collection[str],
    sampling: Sampling,
) -> Iterator[Evidence]:
    """Yield the evidence on every pair and measure; every run is resampled once for all pairs.

    Args:
        runs: Run to its columns of shape (n,) for each seed, rows in the same order.
        pairs: Candidate and reference.
        measures: What to compute.
        subset: Name of the rows.
        of_decisions: Metrics that are also tested by McNemar, if runs decide.
        sampling: How chance is used.

    Raises:
        DataError: Columns differ in length.
    """
    rows = row_count(*(columns for run in runs.values() for columns in run))
    sampling = sampling if rows >= MIN_ROWS else replace(sampling, resamples=0)
    drawn = resample_means(measures, runs, sampling, "bootstrap", subset)
    values = {
        run: {m.metric.name: mean_of([m.compute(columns) for columns in seeds]) for m in measures}
        for run, seeds in runs.items()
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
                p = permutation(
                    item, runs[ours], runs[theirs], rng=rng, resamples=sampling.resamples
                )
            yield Evidence(
                metric=item.metric,
                subset=subset,
                candidate=ours,
                reference=theirs,
                n=rows,
                candidate_value=value,
                reference_value=other,
                bootstrap=found,
                p_permutation=p,
                p_mcnemar=decisions if name in of_decisions else None,
                seeds=max(len(runs[ours]), len(runs[theirs])),
            )


def _p_of_decisions(candidate: Replicates, reference: Replicates) -> float | None:
    """Return McNemar's p, None if a run makes no decisions, or one for each of several seeds."""
    if len(candidate) > 1 or len(reference) > 1:
        return None
    ours, theirs = correct(candidate[0]), correct(reference[0])
    return None if ours is None or theirs is None else mcnemar(ours, theirs)


def _negated(value: float | None) -> float | None:
    return None if value is None else 0.0 - value  # never −0
