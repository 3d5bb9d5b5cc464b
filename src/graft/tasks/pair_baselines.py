"""Honest yardsticks for text pairs: what needs no training, or no fine-tuning, already reaches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graft.tasks.protocol import Array, Baseline, BaselineRows


def majority(rows: BaselineRows) -> dict[str, Array]:
    """Return the share of positive training rows as the score of every row."""
    share = float((rows.train["label"] >= 0.5).mean())
    return {"score": np.full(len(rows.predicted), share)}


def tfidf(rows: BaselineRows) -> dict[str, Array]:
    """Return the cosine of the TF-IDF vectors of both texts; words of the training texts only."""
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    vectorizer.fit([*rows.train["sentence1"], *rows.train["sentence2"]])
    first = vectorizer.transform(rows.predicted["sentence1"])
    second = vectorizer.transform(rows.predicted["sentence2"])
    # The vectors have length 1 or 0, so the product is the cosine.
    return {"score": np.asarray(first.multiply(second).sum(axis=1)).ravel()}


def base(rows: BaselineRows) -> dict[str, Array]:
    """Return the cosine of the untouched base model's embeddings."""
    return dict(rows.encode(rows.predicted))


def frozen_probe(rows: BaselineRows) -> dict[str, Array]:
    """Return a logistic regression's probability on frozen embeddings: |u − v| and u · v.

    The features are those of InferSent (Conneau et al. 2017).
    """
    train, predicted = rows.encode(rows.train), rows.encode(rows.predicted)
    labels = (rows.train["label"] >= 0.5).astype(int)
    if labels.nunique() < 2:
        return majority(rows)
    probe = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, max_iter=2000, random_state=rows.seed)
    )
    probe.fit(_relation(train), labels)
    return {"score": probe.predict_proba(_relation(predicted))[:, 1]}


def _relation(columns: Mapping[str, Array]) -> Array:
    first, second = columns["sentence1"], columns["sentence2"]
    return np.hstack([np.abs(first - second), first * second])


PAIR_BASELINES: Mapping[str, Baseline] = {
    "majority": Baseline("majority class", majority),
    "tfidf": Baseline("TF-IDF cosine", tfidf),
    "base": Baseline("untouched base", base),
    "frozen_probe": Baseline("frozen base + logistic probe", frozen_probe),
}
