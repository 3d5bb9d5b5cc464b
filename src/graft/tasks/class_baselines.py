"""Honest yardsticks for a classification: what needs no fine-tuning already reaches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from graft.core.facts import RowFacts
from graft.metrics.probabilities import class_columns
from graft.tasks.protocol import Array, Baseline, BaselineRows

CV_FOLDS = 3
MANY_ROWS = 500  # from here on a word must stand in two rows to count
MOST_CATEGORIES = 254  # gradient boosting takes 255 with the one for unknown names
SPARSE_GRID = (1.0, 8.0, 64.0)
DENSE_GRID = (0.001, 0.01, 0.1, 1.0)


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline after it has seen the training rows.

    Args:
        estimator: Fitted scikit-learn estimator.
        classes: Number of classes, those without a training row included.
        inputs: Rows to what the estimator takes.
    """

    estimator: Any
    classes: int
    inputs: Callable[[pd.DataFrame], Any]

    def predict_proba(self, frame: pd.DataFrame) -> Array:
        """Return class probabilities, shape (rows, classes); 0 for a class never seen."""
        found = np.zeros((len(frame), self.classes))
        if len(frame):
            seen = self.estimator.classes_.astype(int)
            found[:, seen] = self.estimator.predict_proba(self.inputs(frame))
        return found


Fit = Callable[[BaselineRows], FittedBaseline]


def majority(rows: BaselineRows) -> FittedBaseline:
    """Return the shares of the classes among the training rows."""
    labels = labels_of(rows)
    nothing = np.zeros((len(labels), 1))
    return _fitted(rows, DummyClassifier(strategy="prior").fit(nothing, labels))


def tfidf(rows: BaselineRows) -> FittedBaseline:
    """Return a logistic regression on TF-IDF of one and two words, text columns apart."""
    return _linear(rows, _text_parts(rows))


def table(rows: BaselineRows) -> FittedBaseline:
    """Return gradient boosting on the table columns (Ke et al. 2017, by histograms).

    Missing numbers stay missing, categories stay categories; names that training did not show
    count as missing. A column of which training knows no number is left out.
    """
    facts, labels = rows.facts, labels_of(rows)
    numbers = [name for name in facts.numbers if rows.train[name].notna().any()]
    if len(np.unique(labels)) < 2 or not (numbers or facts.categories):
        return majority(rows)
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST_CATEGORIES
    )
    parts = [("numbers", "passthrough", numbers)] if numbers else []
    if facts.categories:
        parts.append(("categories", encoder, list(facts.categories)))
    boosting = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=100,
        max_leaf_nodes=8,
        l2_regularization=1.0,
        categorical_features=list(range(len(numbers), len(numbers) + len(facts.categories))),
        early_stopping=False,
        random_state=rows.seed % 2**32,
    )
    whole = Pipeline([("columns", ColumnTransformer(parts)), ("boosting", boosting)])
    return _fitted(rows, whole.fit(row_columns(facts)(rows.train), labels))


def tfidf_table(rows: BaselineRows) -> FittedBaseline:
    """Return a logistic regression on TF-IDF of the texts and the table columns side by side."""
    facts = rows.facts
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    parts = _text_parts(rows)
    if facts.numbers:
        parts.append(("numbers", numbers, list(facts.numbers)))
    if facts.categories:
        categories = OneHotEncoder(handle_unknown="ignore", dtype=np.float64)
        parts.append(("categories", categories, list(facts.categories)))
    return _linear(rows, parts)


def base(rows: BaselineRows) -> FittedBaseline:
    """Return a logistic regression on the embeddings of the untouched base."""

    def inputs(frame: pd.DataFrame) -> Array:
        found = rows.encode(frame)
        return np.hstack([values for values in found.values() if values.ndim == 2])

    labels = labels_of(rows)
    if len(np.unique(labels)) < 2:
        return majority(rows)
    estimator = logistic(StandardScaler(), inputs(rows.train), labels, DENSE_GRID, rows.seed)
    return FittedBaseline(estimator, len(rows.facts.classes), inputs)


def row_columns(facts: RowFacts) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return the function from rows to the columns that every baseline but `base` reads."""
    return partial(_columns, names=(*facts.texts, *facts.table))


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return frame[list(names)]


def labels_of(rows: BaselineRows) -> Array:
    """Return the class of each training row, `[rows]`."""
    return rows.train["label"].to_numpy().astype(int)


def _fitted(rows: BaselineRows, estimator: object) -> FittedBaseline:
    return FittedBaseline(estimator, len(rows.facts.classes), row_columns(rows.facts))


def _text_parts(rows: BaselineRows) -> list[tuple[str, Any, Any]]:
    """Return the TF-IDF of each text column that holds words often enough."""
    least = 2 if len(rows.train) >= MANY_ROWS else 1
    return [
        (
            f"text_{place}",
            TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=least),
            name,
        )
        for place, name in enumerate(rows.facts.texts)
        if _rows_of_commonest_word(rows.train[name]) >= least
    ]


def _rows_of_commonest_word(texts: pd.Series[str]) -> int:
    words = Counter(word for text in texts for word in set(re.findall(r"\b\w\w+\b", text.lower())))
    return max(words.values(), default=0)


def _linear(rows: BaselineRows, parts: list[tuple[str, Any, Any]]) -> FittedBaseline:
    labels = labels_of(rows)
    if not parts or len(np.unique(labels)) < 2:
        return majority(rows)
    columns, features = row_columns(rows.facts)(rows.train), ColumnTransformer(parts)
    return _fitted(rows, logistic(features, columns, labels, SPARSE_GRID, rows.seed))


def logistic(
    features: Any,  # noqa: ANN401 - any transformer of scikit-learn
    inputs: object,
    labels: Array,
    grid: Sequence[float],
    seed: int,
) -> Pipeline:
    """Return features and a logistic regression, both fitted.

    The strength C comes from the grid, by the log loss of three folds of the training rows that
    belong to classes with a row for each fold; without two such classes it is the middle one.
    """
    known = features.fit_transform(inputs)
    rng = seed % 2**32
    settings = {"max_iter": 2000, "random_state": rng}
    chosen = grid[len(grid) // 2]
    common = np.flatnonzero(np.bincount(labels)[labels] >= CV_FOLDS)
    if len(np.unique(labels[common])) > 1:
        search = GridSearchCV(
            LogisticRegression(**settings, tol=1e-3),  # enough to tell one C from another
            {"C": list(grid)},
            scoring="neg_log_loss",
            cv=StratifiedKFold(CV_FOLDS, shuffle=True, random_state=rng),
            refit=False,
        )
        chosen = search.fit(known[common], labels[common]).best_params_["C"]
    classifier = LogisticRegression(C=chosen, **settings).fit(known, labels)
    return Pipeline([("features", features), ("classifier", classifier)])


def predicted(fit: Fit, rows: BaselineRows) -> dict[str, Array]:
    """Return the prediction columns of a baseline that is fitted to the training rows."""
    columns: dict[str, Array] = dict(class_columns(fit(rows).predict_proba(rows.predicted)))
    return columns


def predicted_by_base(rows: BaselineRows) -> dict[str, Array]:
    """Return the prediction columns of `base`, and the embeddings, so that they can be mapped."""
    embeddings = {n: v for n, v in rows.encode(rows.predicted).items() if v.ndim == 2}
    return {**predicted(base, rows), **embeddings}


CLASS_FITS: Mapping[str, Fit] = {
    "majority": majority,
    "tfidf": tfidf,
    "table": table,
    "tfidf_table": tfidf_table,
    "base": base,
}
CLASS_BASELINES: Mapping[str, Baseline] = {
    "majority": Baseline("class shares", partial(predicted, majority)),
    "tfidf": Baseline("TF-IDF + logistic regression", partial(predicted, tfidf)),
    "table": Baseline("table + gradient boosting", partial(predicted, table)),
    "tfidf_table": Baseline(
        "TF-IDF and table + logistic regression", partial(predicted, tfidf_table)
    ),
    "base": Baseline("frozen base + logistic probe", predicted_by_base),
}
