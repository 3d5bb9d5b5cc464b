"""The answer: better, worse, not shown or not measured, with the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a paired comparison says about a candidate."""

    better = "better"
    worse = "worse"
    not_shown = "not_shown"
    not_measured = "not_measured"


@dataclass(frozen=True)
class PairedDifference:
    """Candidate minus reference on the same rows, for one metric.

    Args:
        metric: Name of the metric.
        candidate: Name of the run that should be better.
        reference: Name of the run it is compared with.
        subset: `all` or `clean`.
        n: Rows compared.
        candidate_value: The candidate's score, the mean over its seeds; None if not measured.
        reference_value: The reference's score, None if not measured.
        difference: Candidate minus reference, None if not measured.
        low: Lower end of the paired-bootstrap 95 % interval, over rows and seeds.
        high: Upper end.
        p_bootstrap: Two-sided p of the paired bootstrap.
        p_permutation: Two-sided p of the paired permutation test.
        p_mcnemar: Exact two-sided McNemar p of the decisions, None where there are none, or those
            of several seeds.
        p_holm: `p_permutation` after Holm's correction over the headline family.
        detectable: Smallest difference that this many rows show with 80 % power.
        verdict: The answer.
        reason: One sentence.
        seeds: Trainings of the run that was trained more often.
    """

    metric: str
    candidate: str
    reference: str
    subset: str
    n: int
    candidate_value: float | None
    reference_value: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_bootstrap: float | None
    p_permutation: float | None
    p_mcnemar: float | None
    p_holm: float | None
    detectable: float | None
    verdict: Verdict
    reason: str
    seeds: int = 1


@dataclass(frozen=True)
class GateResult:
    """One success gate of the recipe and whether the run reached it.

    Args:
        run: Arm or baseline that the gate is about.
        metric: Metric that the gate reads, on the test split.
        minimum: Smallest value that passes, None if there is no lower bound.
        maximum: Largest value that passes, None if there is no upper bound.
        value: What was measured, None if it was not.
        reached: True if the value was measured and lies within the bounds.
    """

    run: str
    metric: str
    minimum: float | None
    maximum: float | None
    value: float | None
    reached: bool


@dataclass(frozen=True)
class PublishedFigure:
    """A figure that somebody published beside the one measured here.

    Args:
        run: Arm or baseline here that stands for the published one.
        metric: Name of the metric.
        published: The published value.
        measured: Value here, None if not measured.
        met: True if the value here is as good, in the direction of the metric.
    """

    run: str
    metric: str
    published: float
    measured: float | None
    met: bool


@dataclass(frozen=True)
class Comparison:
    """The comparison of all runs of an experiment.

    Args:
        primary: Primary metric, which decides the headline.
        alpha: Family-wise error rate of the headline verdicts.
        headline: Every arm against the untouched base on the primary metric.
        pairs: All paired differences: arm × (base and other runs) × metric × subset.
        gates: Success gates.
        published: Published figures beside ours; empty if the recipe names none.
        published_source: Where the published figures stand.
    """

    primary: str
    alpha: float
    headline: tuple[PairedDifference, ...]
    pairs: tuple[PairedDifference, ...]
    gates: tuple[GateResult, ...]
    published: tuple[PublishedFigure, ...] = ()
    published_source: str = ""
