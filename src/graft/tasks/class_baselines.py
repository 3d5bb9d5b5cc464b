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
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from graft.core.facts import REGRESSION, RowFacts
from graft.tasks.class_learners import (
    BOOSTING,
    LEARNERS,
    Learner,
    fitted,
    fitted_linear,
    labels_of,
    tells_apart,
)
from graft.tasks.class_outputs import answers
from graft.tasks.protocol import Array, Baseline, BaselineRows

MANY_ROWS = 500  # from here on a word must stand in two rows to count
MOST_CATEGORIES = 254  # gradient boosting takes 255 with the one for unknown names


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline after it has seen the training rows.

    Args:
        estimator: Fitted scikit-learn estimator.
        facts: Columns and classes, those without a training row included.
        inputs: Rows to what the estimator takes.
    """

    estimator: Any
    facts: RowFacts
    inputs: Callable[[pd.DataFrame], Any]

    def outputs(self, frame: pd.DataFrame) -> Array:
        """Return probabilities of shape (rows, classes), or numbers of shape (rows, 1).

        The probability of a class that training never saw is 0.
        """
        found = np.zeros((len(frame), len(self.facts.classes) or 1))
        if not len(frame):
            return found
        inputs = self.inputs(frame)
        if not hasattr(self.estimator, "predict_proba"):
            return np.asarray(self.estimator.predict(inputs)).reshape(found.shape)
        said = self.estimator.predict_proba(inputs)
        seen = slice(None) if self.facts.multi_label else self.estimator.classes_.astype(int)
        found[:, seen] = said
        return found


Fit = Callable[[BaselineRows], FittedBaseline]


def majority(rows: BaselineRows) -> FittedBaseline:
    """Return the shares of the classes or labels among the training rows, or the mean number."""
    labels = labels_of(rows.train, rows.facts)
    constant = _learner(rows).constant().fit(np.zeros((len(labels), 1)), labels)
    return _fitted(rows, constant)


def tfidf(rows: BaselineRows) -> FittedBaseline:
    """Return a linear estimator on TF-IDF of one and two words, text columns apart."""
    return _linear(rows, _text_parts(rows))


def table(rows: BaselineRows) -> FittedBaseline:
    """Return gradient boosting on the table columns (Ke et al. 2017, by histograms).

    Missing numbers stay missing, categories stay categories; names that training did not show
    count as missing. A column of which training knows no number is left out.
    """
    facts, labels = rows.facts, labels_of(rows.train, rows.facts)
    numbers = [name for name in facts.numbers if rows.train[name].notna().any()]
    if not tells_apart(labels) or not (numbers or facts.categories):
        return majority(rows)
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST_CATEGORIES
    )
    parts = [("numbers", "passthrough", numbers)] if numbers else []
    if facts.categories:
        parts.append(("categories", encoder, list(facts.categories)))
    boosting = _learner(rows).boosting(
        categorical_features=list(range(len(numbers), len(numbers) + len(facts.categories))),
        random_state=rows.seed % 2**32,
        **BOOSTING,
    )
    whole = Pipeline([("columns", ColumnTransformer(parts)), ("boosting", boosting)])
    return _fitted(rows, fitted(whole, row_columns(facts)(rows.train), labels))


def tfidf_table(rows: BaselineRows) -> FittedBaseline:
    """Return a linear estimator on TF-IDF of the texts and the table columns side by side."""
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
    """Return a linear estimator on the embeddings of the untouched base."""

    def inputs(frame: pd.DataFrame) -> Array:
        found = rows.encode(frame)
        return np.hstack([values for values in found.values() if values.ndim == 2])

    learner, labels = _learner(rows), labels_of(rows.train, rows.facts)
    if not tells_apart(labels):
        return majority(rows)
    embeddings, seed = inputs(rows.train), rows.seed % 2**32
    estimator = fitted_linear(learner, StandardScaler(), embeddings, labels, learner.dense, seed)
    return FittedBaseline(estimator, rows.facts, inputs)


def row_columns(facts: RowFacts) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return the function from rows to the columns that every baseline but `base` reads."""
    return partial(_columns, names=(*facts.texts, *facts.table))


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return frame[list(names)]


def _learner(rows: BaselineRows) -> Learner:
    return LEARNERS[rows.facts.problem_type]


def _fitted(rows: BaselineRows, estimator: object) -> FittedBaseline:
    return FittedBaseline(estimator, rows.facts, row_columns(rows.facts))


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
    learner, labels = _learner(rows), labels_of(rows.train, rows.facts)
    if not parts or not tells_apart(labels):
        return majority(rows)
    columns, seed = row_columns(rows.facts)(rows.train), rows.seed % 2**32
    features = ColumnTransformer(parts)
    return _fitted(rows, fitted_linear(learner, features, columns, labels, learner.sparse, seed))


def predicted(fit: Fit, rows: BaselineRows) -> dict[str, Array]:
    """Return the prediction columns of a baseline that is fitted to the training rows."""
    return answers(fit(rows).outputs(rows.predicted), rows.facts.problem_type)


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


def baselines_of(problem_type: str) -> Mapping[str, Baseline]:
    """Return the yardsticks of a kind of label, by name."""
    learner = LEARNERS[problem_type]
    titles = {
        "majority": learner.constant_words,
        "tfidf": f"TF-IDF + {learner.linear_words}",
        "table": "table + gradient boosting",
        "tfidf_table": f"TF-IDF and table + {learner.linear_words}",
    }
    found = {
        name: Baseline(words, partial(predicted, CLASS_FITS[name]))
        for name, words in titles.items()
    }
    probe = "logistic" if problem_type != REGRESSION else "ridge"
    return {**found, "base": Baseline(f"frozen base + {probe} probe", predicted_by_base)}
