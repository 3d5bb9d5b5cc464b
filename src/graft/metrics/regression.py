"""The measures of a regression: they read `score`, what is predicted, and `label`, what is true."""

from __future__ import annotations

import numpy as np

from graft.core.scores import Metric
from graft.metrics.agreement import divided
from graft.metrics.measures import Floats, Measure, measure
from graft.metrics.pairs import PEARSON, SPEARMAN

_UNIT = "in the unit of the label"


def _r2(scores: Floats, labels: Floats) -> Floats:
    residual = ((scores - labels) ** 2).sum(axis=-1)
    total = ((labels - labels.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    varies = np.ptp(labels, axis=-1) > 0
    return 1 - divided(residual, np.where(varies, total, 0.0))


def _rmse(scores: Floats, labels: Floats) -> Floats:
    return np.asarray(np.sqrt(((scores - labels) ** 2).mean(axis=-1)))


def _mae(scores: Floats, labels: Floats) -> Floats:
    return np.asarray(np.abs(scores - labels).mean(axis=-1))


REGRESSION_MEASURES: tuple[Measure, ...] = (
    measure(
        Metric(
            name="r2",
            title="R²",
            higher_is_better=True,
            low=None,
            high=1.0,
            unit="",
            definition="1 − squared errors / squared distances of the labels from their mean: 0 "
            "for a run that always predicts the mean of these rows, below 0 for a worse one.",
            source="Wright 1921, Correlation and causation",
        ),
        _r2,
        reads=("score", "label"),
    ),
    measure(
        Metric(
            name="rmse",
            title="Root mean squared error",
            higher_is_better=False,
            low=0.0,
            high=None,
            unit="",
            definition=f"Root of the mean squared distance of prediction and label, {_UNIT}.",
            source="Gauss 1823, Theoria combinationis observationum",
        ),
        _rmse,
        reads=("score", "label"),
    ),
    measure(
        Metric(
            name="mae",
            title="Mean absolute error",
            higher_is_better=False,
            low=0.0,
            high=None,
            unit="",
            definition=f"Mean distance of prediction and label, {_UNIT}.",
            source="Willmott & Matsuura 2005, Advantages of the mean absolute error over the root "
            "mean square error",
        ),
        _mae,
        reads=("score", "label"),
    ),
    SPEARMAN,
    PEARSON,
)
