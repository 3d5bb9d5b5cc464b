"""The measures of text pairs.

They read the columns `score` (cosine similarity), `label` (0 to 1; 0.5 or more is a positive
pair) and `threshold` (the decision threshold that was chosen on validation, in every row).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graft.core.scores import Metric
from graft.metrics.agreement import cohens_d, is_inverted, margin, pearson, roc_auc, spearman
from graft.metrics.measures import Columns, Floats, Measure, measure, ranked, standardised
from graft.metrics.thresholds import (
    Counts,
    OperatingPoint,
    average_precision,
    best_cut,
    best_f1,
    counts,
    operating_point,
)

__all__ = [
    "PAIR_MEASURES",
    "OperatingPoint",
    "best_f1",
    "decided",
    "is_inverted",
    "operating_point",
]

_MANNING = "Manning, Raghavan & Schütze 2008, Introduction to Information Retrieval, chapter 8"
_RIJSBERGEN = "van Rijsbergen 1979, Information Retrieval, chapter 7"
_FAWCETT = "Fawcett 2006, An introduction to ROC analysis"
_LIPTON = "Lipton, Elkan & Naryanaswamy 2014, Thresholding classifiers to maximize F1 score"
_OPTIMISTIC = (
    "at the threshold of the highest F1 on these same rows. Optimistic: it is chosen on the rows "
    "that it reports, so unseen rows score lower"
)


def decided(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return the columns with `score` as decision 0 or 1 and `threshold` at 0.5.

    Example:
        >>> decided({"score": np.array([0.8, 0.1]), "threshold": np.array([0.7, 0.7])})["score"]
        array([1., 0.])
    """
    decisions = (np.asarray(columns["score"]) >= np.asarray(columns["threshold"])).astype(float)
    return {**columns, "score": decisions, "threshold": np.full(decisions.shape, 0.5)}


_ORDER_AND_DISTANCE = (
    measure(
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
    ),
    measure(
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
    ),
    measure(
        Metric(
            name="margin",
            title="Margin",
            higher_is_better=True,
            low=-2.0,
            high=2.0,
            unit="",
            definition="Mean score of the positive pairs minus mean score of the negative pairs.",
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
    measure(
        Metric(
            name="roc_auc",
            title="ROC-AUC",
            higher_is_better=True,
            low=0.0,
            high=1.0,
            unit="",
            definition="Chance that a positive pair scores above a negative pair, a tie counting "
            "half; below 0.5 the scores are inverted.",
            source="Hanley & McNeil 1982, The meaning and use of the area under a ROC curve",
        ),
        roc_auc,
        reads=("score", "label"),
        prepare=ranked,
    ),
    measure(
        Metric(
            name="average_precision",
            title="Average precision",
            higher_is_better=True,
            low=0.0,
            high=1.0,
            unit="",
            definition="Mean over the positive pairs of the precision at their score, without "
            "interpolation.",
            source=_MANNING,
        ),
        average_precision,
        reads=("score", "label"),
        prepare=ranked,
    ),
)


@dataclass(frozen=True)
class _Decision:
    """A number read from the four counts; each gives a measure at either threshold."""

    name: str
    title: str
    read: Callable[[Counts], Floats]
    definition: str
    source: str
    unit: str = ""

    def metric(self, name: str, title: str, condition: str, source: str) -> Metric:
        return Metric(
            name=name,
            title=title,
            higher_is_better=not self.unit,  # shares are to be high, counts of errors low
            low=0.0,
            high=None if self.unit else 1.0,
            unit=self.unit,
            definition=f"{self.definition}, {condition}.",
            source=source,
        )

    def at_threshold(self) -> Measure:
        condition = (
            "at the threshold chosen on the validation rows, or on the training rows without any"
        )
        return measure(
            self.metric(self.name, self.title, condition, self.source),
            lambda scores, labels, thresholds: self.read(counts(scores, labels, thresholds)),
            reads=("score", "label", "threshold"),
            exchange=("score", "threshold"),
            prepare=decided,
        )

    def at_best_f1(self) -> Measure:
        name = "best_f1" if self.name == "f1" else f"best_f1_{self.name}"
        title = "Best F1" if self.name == "f1" else f"{self.title} at best F1"
        return measure(
            self.metric(name, title, _OPTIMISTIC, _LIPTON),
            lambda scores, labels: self.read(best_cut(scores, labels)[1]),
            reads=("score", "label"),
            prepare=ranked,
        )


_F1 = _Decision("f1", "F1", lambda c: c.f1, "2 TP / (2 TP + FP + FN)", _RIJSBERGEN)
_ACCURACY = _Decision("accuracy", "Accuracy", lambda c: c.accuracy, "Right decisions", _MANNING)
_PRECISION = _Decision("precision", "Precision", lambda c: c.precision, "TP / (TP + FP)", _MANNING)
_RECALL = _Decision("recall", "Recall", lambda c: c.recall, "TP / (TP + FN)", _MANNING)
_FALSE_POSITIVES = _Decision(
    "false_positives",
    "False positives",
    lambda c: c.false_positives,
    "Number of negative pairs decided positive",
    _FAWCETT,
    unit="pairs",
)
_FALSE_NEGATIVES = _Decision(
    "false_negatives",
    "False negatives",
    lambda c: c.false_negatives,
    "Number of positive pairs decided negative",
    _FAWCETT,
    unit="pairs",
)
_BEST_F1_THRESHOLD = measure(
    Metric(
        name="best_f1_threshold",
        title="Threshold of best F1",
        higher_is_better=None,
        low=None,
        high=None,
        unit="",
        definition=f"Midpoint of the scores on either side of the cut, {_OPTIMISTIC}.",
        source=_LIPTON,
    ),
    lambda scores, labels: best_cut(scores, labels)[0],
    reads=("score", "label"),
)
_ALL_DECISIONS = (_F1, _ACCURACY, _PRECISION, _RECALL, _FALSE_POSITIVES, _FALSE_NEGATIVES)

PAIR_MEASURES: tuple[Measure, ...] = (
    *_ORDER_AND_DISTANCE,
    *(decision.at_threshold() for decision in _ALL_DECISIONS),
    *(decision.at_best_f1() for decision in _ALL_DECISIONS if decision is not _FALSE_NEGATIVES),
    _BEST_F1_THRESHOLD,
)
