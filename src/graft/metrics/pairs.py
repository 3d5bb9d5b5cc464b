"""The measures of text pairs.

They read the columns `score` (cosine similarity), `label` (0 to 1; 0.5 or more is a positive
pair) and `threshold` (the decision threshold that was chosen on validation, in every row). Those
that any two classes have come from `binary`.
"""

from __future__ import annotations

from graft.core.scores import Metric
from graft.metrics.agreement import cohens_d, is_inverted, margin, pearson, spearman
from graft.metrics.binary import AVERAGE_PRECISION, DECISIONS, LIPTON, OPTIMISTIC, ROC_AUC
from graft.metrics.decisions import decided
from graft.metrics.measures import Measure, measure, ranked, standardised
from graft.metrics.thresholds import OperatingPoint, best_cut, best_f1, operating_point

__all__ = [
    "PAIR_MEASURES",
    "OperatingPoint",
    "best_f1",
    "decided",
    "is_inverted",
    "operating_point",
]

SPEARMAN = measure(
    Metric(
        name="spearman",
        title="Spearman correlation",
        higher_is_better=True,
        low=-1.0,
        high=1.0,
        unit="",
        definition="Correlation of the ranks of scores and labels, ties averaged.",
        source="Spearman 1904, The proof and measurement of association between two things",
    ),
    spearman,
    reads=("score", "label"),
    prepare=ranked,
)
PEARSON = measure(
    Metric(
        name="pearson",
        title="Pearson correlation",
        higher_is_better=True,
        low=-1.0,
        high=1.0,
        unit="",
        definition="Linear correlation of scores and labels.",
        source="Pearson 1895, Note on regression and inheritance in the case of two parents",
    ),
    pearson,
    reads=("score", "label"),
    prepare=standardised,
)
_ORDER_AND_DISTANCE = (
    SPEARMAN,
    PEARSON,
    measure(
        Metric(
            name="margin",
            title="Margin",
            higher_is_better=True,
            low=-2.0,
            high=2.0,
            unit="",
            definition="Mean score of the positive rows minus mean score of the negative rows.",
            source="Difference of two means",
        ),
        margin,
        reads=("score", "label"),
    ),
    measure(
        Metric(
            name="cohens_d",
            title="Cohen's d",
            higher_is_better=True,
            low=None,
            high=None,
            unit="",
            definition="Margin divided by the pooled standard deviation of both classes.",
            source="Cohen 1988, Statistical Power Analysis for the Behavioral Sciences",
        ),
        cohens_d,
        reads=("score", "label"),
        prepare=standardised,
    ),
    ROC_AUC,
    AVERAGE_PRECISION,
)
_BEST_F1_THRESHOLD = measure(
    Metric(
        name="best_f1_threshold",
        title="Threshold of best F1",
        higher_is_better=None,
        low=None,
        high=None,
        unit="",
        definition=f"Midpoint of the scores on either side of the cut, {OPTIMISTIC}.",
        source=LIPTON,
    ),
    lambda scores, labels: best_cut(scores, labels)[0],
    reads=("score", "label"),
)

PAIR_MEASURES: tuple[Measure, ...] = (
    *_ORDER_AND_DISTANCE,
    *(decision.at_threshold() for decision in DECISIONS),
    *(decision.at_best_f1() for decision in DECISIONS if decision.name != "false_negatives"),
    _BEST_F1_THRESHOLD,
)
