"""Honest yardsticks for series: what needs no neural network, or no fine-tuning, reaches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from graft.core.seeds import generator
from graft.data.series import COLUMN
from graft.tasks.class_baselines import (
    Fit,
    FittedBaseline,
    labels_of,
    majority,
    predicted,
    predicted_by_base,
)
from graft.tasks.nearest_neighbour import NearestNeighbour, stretched, warped
from graft.tasks.protocol import Array, Baseline, BaselineRows
from graft.tasks.random_convolutions import fit_convolutions
from graft.tasks.series_features import summary_features
from graft.tasks.series_shapes import levels_of

logger = logging.getLogger(__name__)
# Pairs of series that are warped onto one another: a few minutes for 100 steps of 4 channels.
_MOST_PAIRS = 5_000_000
_STRENGTHS = np.logspace(-3, 3, 10)


@dataclass(frozen=True)
class RidgeShares:
    """Shares of the classes by ridge regression on ±1, whose outputs estimate 2p − 1.

    Args:
        ridge: A fitted pipeline.
    """

    ridge: Pipeline

    @property
    def classes_(self) -> Array:
        """The classes that a training row has, in order."""
        classes: Array = self.ridge.classes_
        return classes

    def predict_proba(self, inputs: Array) -> Array:
        """Return a share for each class, `[rows, classes]`; below 0 counts as 0."""
        outputs = self.ridge.decision_function(inputs)
        if outputs.ndim == 1:
            outputs = np.stack([-outputs, outputs], axis=1)
        found = np.clip((outputs + 1) / 2, 1e-9, 1.0)
        shares: Array = found / found.sum(axis=1, keepdims=True)
        return shares


def euclidean(rows: BaselineRows) -> FittedBaseline:
    """Return the nearest training row by Euclidean distance, channels in standard deviations.

    Series are stretched to the median length of the training rows along straight lines.
    """

    def fit(series: list[Array], labels: Array) -> NearestNeighbour:
        return NearestNeighbour(series, labels, stretched(_median_length(series)))

    return _fitted(rows, fit)


def dtw(rows: BaselineRows) -> FittedBaseline:
    """Return the nearest training row by dynamic time warping in a band of a tenth of the length.

    Of very many training rows some are drawn, so that the time is bounded.
    """
    most = max(_MOST_PAIRS // max(len(rows.predicted), 1), 1)

    def fit(series: list[Array], labels: Array) -> NearestNeighbour:
        if len(series) > most:
            logger.warning("dtw: compares with %d of %d training rows", most, len(series))
            drawn = np.sort(generator(rows.seed, "dtw").permutation(len(series))[:most])
            series, labels = [series[place] for place in drawn], labels[drawn]
        return NearestNeighbour(series, labels, warped)

    return _fitted(rows, fit)


def features(rows: BaselineRows) -> FittedBaseline:
    """Return gradient boosting on a few numbers of each channel (Ke et al. 2017, by histograms)."""

    def fit(inputs: Array, labels: Array) -> HistGradientBoostingClassifier:
        boosting = HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=100,
            max_leaf_nodes=8,
            min_samples_leaf=5,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=rows.seed % 2**32,
        )
        return boosting.fit(inputs, labels)

    return _fitted(rows, fit, summary_features)


def rocket(rows: BaselineRows) -> FittedBaseline:
    """Return ridge regression on features of random convolutions (Dempster et al. 2021)."""
    known = _prepared(rows)(rows.train)
    convolutions = fit_convolutions(known, _median_length(known), rows.seed)

    def fit(inputs: Array, labels: Array) -> RidgeShares:
        ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(_STRENGTHS))
        return RidgeShares(ridge.fit(inputs, labels))

    return _fitted(rows, fit, convolutions.of)


def _prepared(rows: BaselineRows) -> Callable[[pd.DataFrame], list[Array]]:
    """Return the function from rows to their series: levels of the training rows, no gaps."""
    levels = levels_of(list(rows.train[COLUMN]))
    return lambda frame: levels.of(list(frame[COLUMN]))


def _median_length(series: Sequence[Array]) -> int:
    return int(np.median([len(values) for values in series]))


def _fitted(
    rows: BaselineRows,
    fit: Callable[[Any, Array], object],
    of: Callable[[list[Array]], Any] = list,
) -> FittedBaseline:
    """Return the estimator that `fit` makes of what `of` makes of the training series."""
    labels = labels_of(rows)
    if len(np.unique(labels)) < 2:
        return majority(rows)
    prepared = _prepared(rows)

    def inputs(frame: pd.DataFrame) -> Any:  # noqa: ANN401 - what the estimator takes
        return of(prepared(frame))

    return FittedBaseline(fit(inputs(rows.train), labels), len(rows.facts.classes), inputs)


_FITS: Mapping[str, tuple[str, Fit]] = {
    "majority": ("class shares", majority),
    "euclidean": ("nearest neighbour, Euclidean", euclidean),
    "dtw": ("nearest neighbour, time warping", dtw),
    "features": ("summary features + gradient boosting", features),
    "rocket": ("random convolutions + ridge regression", rocket),
}
SERIES_BASELINES: Mapping[str, Baseline] = {
    **{name: Baseline(title, partial(predicted, fit)) for name, (title, fit) in _FITS.items()},
    "base": Baseline("frozen base + logistic probe", predicted_by_base),
}
