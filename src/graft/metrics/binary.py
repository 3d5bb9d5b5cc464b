"""The measures of two classes: the order of the rows, and decisions at a threshold.

They read the columns `score`, `label` (0.5 or more is a positive row) and `threshold` (chosen on
validation, in every row).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graft.core.scores import Metric
from graft.metrics.agreement import roc_auc
from graft.metrics.decisions import decided
from graft.metrics.measures import Floats, Measure, measure, ranked
from graft.metrics.thresholds import Counts, average_precision, best_cut, counts

_MANNING = "Manning, Raghavan & Schütze 2008, Introduction to Information Retrieval, chapter 8"
_RIJSBERGEN = "van Rijsbergen 1979, Information Retrieval, chapter 7"
_FAWCETT = "Fawcett 2006, An introduction to ROC analysis"
LIPTON = "Lipton, Elkan & Naryanaswamy 2014, Thresholding classifiers to maximize F1 score"
OPTIMISTIC = (
    "at the threshold of the highest F1 on these same rows. Optimistic: it is chosen on the rows "
    "that it reports, so unseen rows score lower"
)
AT_THRESHOLD = "at the threshold chosen on the validation rows, or on the training rows without any"

ROC_AUC = measure(
    Metric(
        name="roc_auc",
        title="ROC-AUC",
        higher_is_better=True,
        low=0.0,
        high=1.0,
        unit="",
        definition="Chance that a positive row scores above a negative row, a tie counting half; "
        "below 0.5 the scores are inverted.",
        source="Hanley & McNeil 1982, The meaning and use of the area under a ROC curve",
    ),
    roc_auc,
    reads=("score", "label"),
    prepare=ranked,
)
AVERAGE_PRECISION = measure(
    Metric(
        name="average_precision",
        title="Average precision",
        higher_is_better=True,
        low=0.0,
        high=1.0,
        unit="",
        definition="Mean over the positive rows of the precision at their score, without "
        "interpolation.",
        source=_MANNING,
    ),
    average_precision,
    reads=("score", "label"),
    prepare=ranked,
)


@dataclass(frozen=True)
class Decision:
    """A number read from the four counts; each gives a measure at either threshold.

    Args:
        name: Name of the metric.
        title: Name for people.
        read: The number.
        definition: How it is computed, up to the threshold.
        source: Paper or method.
        unit: Unit, empty for a share.
        binary_only: False if more than two classes have the metric too, without a threshold.
    """

    name: str
    title: str
    read: Callable[[Counts], Floats]
    definition: str
    source: str
    unit: str = ""
    binary_only: bool = True

    def _metric(self, name: str, title: str, condition: str, source: str) -> Metric:
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
        """Return the measure at the threshold in the rows."""
        condition = AT_THRESHOLD if self.binary_only else f"of two classes {AT_THRESHOLD}"
        return measure(
            self._metric(self.name, self.title, condition, self.source),
            lambda scores, labels, thresholds: self.read(counts(scores, labels, thresholds)),
            reads=("score", "label", "threshold"),
            exchange=("score", "threshold"),
            prepare=decided,
        )

    def at_best_f1(self) -> Measure:
        """Return the measure at the threshold of the best F1 on the same rows."""
        name = "best_f1" if self.name == "f1" else f"best_f1_{self.name}"
        title = "Best F1" if self.name == "f1" else f"{self.title} at best F1"
        return measure(
            self._metric(name, title, OPTIMISTIC, LIPTON),
            lambda scores, labels: self.read(best_cut(scores, labels)[1]),
            reads=("score", "label"),
            prepare=ranked,
        )


DECISIONS: tuple[Decision, ...] = (
    Decision("f1", "F1", lambda c: c.f1, "2 TP / (2 TP + FP + FN)", _RIJSBERGEN),
    Decision(
        "accuracy",
        "Accuracy",
        lambda c: c.accuracy,
        "Share of right decisions",
        _MANNING,
        binary_only=False,
    ),
    Decision("precision", "Precision", lambda c: c.precision, "TP / (TP + FP)", _MANNING),
    Decision("recall", "Recall", lambda c: c.recall, "TP / (TP + FN)", _MANNING),
    Decision(
        "false_positives",
        "False positives",
        lambda c: c.false_positives,
        "Number of negative rows decided positive",
        _FAWCETT,
        unit="rows",
    ),
    Decision(
        "false_negatives",
        "False negatives",
        lambda c: c.false_negatives,
        "Number of positive rows decided negative",
        _FAWCETT,
        unit="rows",
    ),
)
