"""The estimators of scikit-learn behind the baselines, by what the label is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

from graft.core.facts import MULTI_LABEL, REGRESSION, SINGLE_LABEL, RowFacts
from graft.metrics.classification import SMALLEST
from graft.tasks.protocol import Array

Estimator = TypeVar("Estimator", bound=Any)
CV_FOLDS = 3
BOOSTING: Mapping[str, Any] = {
    "learning_rate": 0.05,
    "max_iter": 100,
    "max_leaf_nodes": 8,
    "l2_regularization": 1.0,
    "early_stopping": False,
}


@dataclass(frozen=True)
class Learner:
    """How one kind of label is learned.

    Args:
        constant: The estimator that knows the labels alone.
        constant_words: What it predicts.
        linear: The linear estimator; `tol` says how exactly it is solved.
        linear_words: Its name.
        strength: Name of its parameter that is chosen.
        sparse: Values of it to try on counts of words, the middle one if none can be tried.
        dense: Values to try on embeddings.
        boosting: Gradient boosting with the settings given.
        scoring: What chooses: a name that scikit-learn knows, or a function.
    """

    constant: Callable[[], Any]
    constant_words: str
    linear: Callable[..., Any]
    linear_words: str
    strength: str
    sparse: Sequence[float]
    dense: Sequence[float]
    boosting: Callable[..., Any]
    scoring: str | Callable[..., float]


def _label_log_loss(estimator: OneVsRestClassifier, inputs: object, labels: Array) -> float:
    """Return minus the log loss, the mean over the labels."""
    found = estimator.predict_proba(inputs)
    own = np.clip(np.where(labels > 0, found, 1 - found), SMALLEST, 1)
    return float(np.log(own).mean())


def _logistic(seed: int, **more: float) -> LogisticRegression:
    return LogisticRegression(max_iter=2000, random_state=seed, **more)


LEARNERS: Mapping[str, Learner] = {
    SINGLE_LABEL: Learner(
        constant=lambda: DummyClassifier(strategy="prior"),
        constant_words="class shares",
        linear=_logistic,
        linear_words="logistic regression",
        strength="C",
        sparse=(1.0, 8.0, 64.0),
        dense=(0.001, 0.01, 0.1, 1.0),
        boosting=HistGradientBoostingClassifier,
        scoring="neg_log_loss",
    ),
    MULTI_LABEL: Learner(
        constant=DummyRegressor,  # the mean of 0 and 1 is the share of the rows with the label
        constant_words="label shares",
        linear=lambda seed, **more: OneVsRestClassifier(_logistic(seed, **more)),
        linear_words="logistic regressions",
        strength="estimator__C",
        sparse=(1.0, 8.0, 64.0),
        dense=(0.001, 0.01, 0.1, 1.0),
        boosting=lambda **settings: OneVsRestClassifier(HistGradientBoostingClassifier(**settings)),
        scoring=_label_log_loss,
    ),
    REGRESSION: Learner(
        constant=DummyRegressor,
        constant_words="mean of the training labels",
        linear=lambda seed, **more: Ridge(random_state=seed, **more),
        linear_words="ridge regression",
        strength="alpha",
        sparse=(0.1, 1.0, 10.0),
        dense=(1.0, 10.0, 100.0, 1000.0),
        boosting=HistGradientBoostingRegressor,
        scoring="neg_mean_squared_error",
    ),
}


def labels_of(rows: pd.DataFrame, facts: RowFacts) -> Array:
    """Return what is learned: places of classes, 0 and 1 for each label, or numbers."""
    if facts.multi_label:
        return rows[list(facts.label_columns)].to_numpy(dtype=np.int64)
    labels = rows["label"].to_numpy(dtype=np.float64)
    return labels if facts.regression else labels.astype(np.int64)


def tells_apart(labels: Array) -> bool:
    """Return True if not all rows have the same label, or labels."""
    return bool((labels != labels[:1]).any())


def fitted(estimator: Estimator, inputs: object, labels: Array) -> Estimator:
    """Return the estimator after it was fitted.

    A label that no row, or every row, has is predicted as such.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Label .* is present in all training examples")
        estimator.fit(inputs, labels)
    return estimator


def fitted_linear(
    learner: Learner,
    features: Any,  # noqa: ANN401 - any transformer of scikit-learn
    inputs: object,
    labels: Array,
    grid: Sequence[float],
    seed: int,
) -> Pipeline:
    """Return features and the linear estimator, both fitted.

    The strength comes from the grid, by three folds of the training rows: of one class a row, of
    those that belong to classes with a row for each fold. Where there is nothing to tell apart it
    is the middle one.

    Args:
        learner: How the label is learned.
        features: What makes features of the inputs.
        inputs: What it takes, one entry per training row.
        labels: Labels of the training rows.
        grid: Strengths to try.
        seed: Seed, below 2³².
    """
    known = features.fit_transform(inputs)
    chosen = grid[len(grid) // 2]
    tried = _tried(learner, labels)
    if len(tried):
        kind = StratifiedKFold if learner is LEARNERS[SINGLE_LABEL] else KFold
        search = GridSearchCV(
            learner.linear(seed, tol=1e-3),  # enough to tell one strength from another
            {learner.strength: list(grid)},
            scoring=learner.scoring,
            cv=kind(CV_FOLDS, shuffle=True, random_state=seed),
            refit=False,
        )
        chosen = fitted(search, known[tried], labels[tried]).best_params_[learner.strength]
    estimator = learner.linear(seed).set_params(**{learner.strength: chosen})
    return Pipeline([("features", features), ("estimator", fitted(estimator, known, labels))])


def _tried(learner: Learner, labels: Array) -> Array:
    """Return the positions of the rows to choose a strength on, none if that cannot be done."""
    at = np.arange(len(labels))
    if learner is LEARNERS[SINGLE_LABEL]:
        at = np.flatnonzero(np.bincount(labels)[labels] >= CV_FOLDS)
    enough = len(at) >= 2 * CV_FOLDS and tells_apart(labels[at])
    return at if enough else at[:0]
