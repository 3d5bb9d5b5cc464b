"""How good a trained model is on the test rows; the same code for both sides."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer


def spearman(model: SentenceTransformer, rows: pd.DataFrame) -> float:
    """Return Spearman's correlation of label and cosine, by the public route `encode`."""
    model.eval()
    first, second = (
        model.encode(list(rows[role]), normalize_embeddings=True, show_progress_bar=False)
        for role in ("sentence1", "sentence2")
    )
    scores = (np.asarray(first) * np.asarray(second)).sum(axis=1)
    return float(spearmanr(scores, rows["label"]).statistic)


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of rows `[rows, classes]` whose largest score is that of the label."""
    return float((scores.argmax(axis=1) == labels).mean())


def cosines(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the mean and the smallest cosine between two sets of embeddings, row by row."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found = (one * other).sum(axis=1) / norms
    return float(found.mean()), float(found.min())
