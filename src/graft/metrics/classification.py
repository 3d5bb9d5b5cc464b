"""The measures of a classification: two classes, or more.

They read `label` (place of the class) and the columns of `probabilities.class_columns`; of two
classes also `threshold`. What needs the probabilities of all classes is reduced to one value per
row before rows are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graft.core.scores import Metric
from graft.metrics.binary import AT_THRESHOLD, AVERAGE_PRECISION, DECISIONS, ROC_AUC
from graft.metrics.class_counts import ClassCounts, count_classes, decision_column, sums
from graft.metrics.decisions import truth
from graft.metrics.measures import Columns, Floats, Measure, measure
from graft.metrics.probabilities import BINS, bin_of, outcomes, probabilities_of

TOP = 3
SMALLEST = float(np.finfo(np.float64).eps)  # probability below which the log loss counts no further
_OPITZ = "Opitz & Burst 2019, Macro F1 and Macro F1"


def measures_of_classes(classes: int) -> tuple[Measure, ...]:
    """Return the measures of rows of one of so many classes each, at least two.

    Example:
        >>> [found.metric.name for found in measures_of_classes(3)][:3]
        ['accuracy', 'balanced_accuracy', 'macro_f1']
    """
    if classes == 2:
        return _TWO
    # Of three classes every row has its own among the first three.
    return _MORE if classes > TOP else _MORE[:-1]


def _own_probability(columns: Columns) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return all probabilities, that of each row's own class, and the place of this class."""
    every = probabilities_of(columns)
    place = truth(columns).astype(np.int64)
    return every, every[np.arange(len(every)), place], place


def _log_loss(columns: Columns) -> dict[str, NDArray[Any]]:
    _, own, _ = _own_probability(columns)
    return {"log_loss": -np.log(np.clip(own, SMALLEST, 1.0))}


def _squared_error(columns: Columns) -> dict[str, NDArray[Any]]:
    every, own, _ = _own_probability(columns)
    # Σ (p − y)² = Σ p² − 2 p(own) + 1
    return {"squared_error": ((every**2).sum(axis=1) - 2 * own + 1) / 2}


def _calibration(columns: Columns) -> dict[str, NDArray[Any]]:
    scores = np.asarray(columns["score"], dtype=np.float64)
    return {"calibration_bin": bin_of(scores), "calibration_gap": scores - outcomes(columns)}


def _label_rank(columns: Columns) -> dict[str, NDArray[Any]]:
    every, own, place = _own_probability(columns)
    before = np.arange(every.shape[1]) < place[:, None]
    ahead = (every > own[:, None]) | ((every == own[:, None]) & before)
    return {"label_rank": np.where(np.isnan(every).any(axis=1), np.nan, ahead.sum(axis=1))}


def _calibration_error(bins: Floats, gaps: Floats) -> Floats:
    return np.asarray(np.abs(sums(bins, BINS, gaps)).sum(axis=-1) / gaps.shape[-1])


def _share(name: str, title: str, definition: str, source: str) -> Metric:
    return Metric(name, title, True, 0.0, 1.0, "", definition, source)


def _error(name: str, title: str, high: float | None, definition: str, source: str) -> Metric:
    return Metric(name, title, False, 0.0, high, "", definition, source)


def _of_counts(
    metric: Metric, read: Callable[[ClassCounts], Floats], exchange: tuple[str, ...]
) -> Measure:
    return measure(
        metric,
        lambda decided, labels: read(count_classes(decided, labels)),
        reads=("decision", "label"),
        exchange=exchange,
        derive=decision_column,
    )


def _balanced_accuracy(exchange: tuple[str, ...]) -> Measure:
    metric = _share(
        "balanced_accuracy",
        "Balanced accuracy",
        "Mean over the classes of the share of their rows that is decided right, of two classes "
        f"{AT_THRESHOLD}.",
        "Brodersen et al. 2010, The balanced accuracy and its posterior distribution",
    )
    return _of_counts(metric, lambda found: found.balanced_accuracy, exchange)


LOG_LOSS = _error(
    "log_loss",
    "Log loss",
    None,
    "Mean of −log of the probability of the row's own class, of several labels of what is true of "
    "each label; probabilities below 2.2e-16 count as that.",
    "Good 1952, Rational decisions",
)
BRIER = _error(
    "brier",
    "Brier score",
    1.0,
    "Half the squared distance of the probabilities from the label, summed over the classes; of "
    "two classes the squared error of the positive one, of several labels the mean of theirs.",
    "Brier 1950, Verification of forecasts expressed in terms of probability",
)
CALIBRATION_ERROR = _error(
    "calibration_error",
    "Calibration error",
    1.0,
    f"Mean distance of probability and frequency over {BINS} bins of equal width, weighted by "
    "their rows: of two classes of the positive one, of more of the predicted one, of several "
    "labels of all of them together. Chance keeps it above 0 on few rows.",
    "Guo et al. 2017, On calibration of modern neural networks",
)
MACRO_F1 = _share(
    "macro_f1",
    "Macro F1",
    "Mean F1 of the classes that occur among labels or decisions, each counting the same.",
    _OPITZ,
)
_OF_PROBABILITIES = (
    measure(
        LOG_LOSS,
        lambda losses: losses.mean(axis=-1),
        reads=("log_loss",),
        derive=_log_loss,
    ),
    measure(
        BRIER,
        lambda errors: errors.mean(axis=-1),
        reads=("squared_error",),
        derive=_squared_error,
    ),
    measure(
        CALIBRATION_ERROR,
        _calibration_error,
        reads=("calibration_bin", "calibration_gap"),
        derive=_calibration,
    ),
)
_AT_THRESHOLD = {decision.name: decision.at_threshold() for decision in DECISIONS}
_TWO: tuple[Measure, ...] = (
    ROC_AUC,
    AVERAGE_PRECISION,
    _AT_THRESHOLD["f1"],
    _balanced_accuracy(("score", "threshold")),
    *(found for name, found in _AT_THRESHOLD.items() if name != "f1"),
    *_OF_PROBABILITIES,
)
_MORE: tuple[Measure, ...] = (
    measure(
        _AT_THRESHOLD["accuracy"].metric,
        lambda decided, labels: (decided == labels).mean(axis=-1),
        reads=("predicted", "label"),
        exchange=("predicted",),
    ),
    _balanced_accuracy(("predicted",)),
    _of_counts(
        MACRO_F1,
        lambda found: found.macro_f1,
        ("predicted",),
    ),
    _of_counts(
        _share("weighted_f1", "Weighted F1", "Mean F1 of the classes, weighted by rows.", _OPITZ),
        lambda found: found.weighted_f1,
        ("predicted",),
    ),
    *_OF_PROBABILITIES,
    measure(
        _share(
            "top_3_accuracy",
            "Top-3 accuracy",
            "Share of rows whose class is among the three most probable ones.",
            "Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge",
        ),
        lambda ranks: (ranks < TOP).mean(axis=-1),
        reads=("label_rank",),
        derive=_label_rank,
    ),
)
