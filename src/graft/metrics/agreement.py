"""How well scores agree with labels, without a threshold.

Every function works along the last axis of float arrays of shape (…, n), returns shape (…), and
gives NaN where it is undefined. Rows with a label of 0.5 or more are the positive ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from graft.metrics.measures import Floats

POSITIVE = 0.5


def pearson(scores: Floats, labels: Floats) -> Floats:
    """Return the linear correlation, −1 to 1; undefined if a side is constant.

    Example:
        >>> float(pearson(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])))
        1.0
    """
    x = scores - scores.mean(axis=-1, keepdims=True)
    y = labels - labels.mean(axis=-1, keepdims=True)
    product = np.einsum("...i,...i->...", x, y)
    scale = np.sqrt(np.einsum("...i,...i->...", x, x) * np.einsum("...i,...i->...", y, y))
    # By range, not by scale: rounding leaves a constant column with a variance just above zero.
    varies = (np.ptp(scores, axis=-1) > 0) & (np.ptp(labels, axis=-1) > 0) & (scale > 0)
    return np.clip(divided(product, np.where(varies, scale, 0.0)), -1.0, 1.0)


def spearman(scores: Floats, labels: Floats) -> Floats:
    """Return the correlation of the ranks, −1 to 1, ties averaged (Spearman 1904).

    Example:
        >>> float(spearman(np.array([0.1, 0.4, 9.0]), np.array([0.0, 0.5, 1.0])))
        1.0
    """
    return pearson(rankdata(scores, axis=-1), rankdata(labels, axis=-1))


def margin(scores: Floats, labels: Floats) -> Floats:
    """Return the mean score of the positive rows minus that of the negative rows.

    Example:
        >>> float(margin(np.array([0.75, 0.25, 0.25]), np.array([1.0, 1.0, 0.0])))
        0.25
    """
    positive = labels >= POSITIVE
    high, low = _mean_where(scores, positive), _mean_where(scores, ~positive)
    return np.asarray(high - low)


def cohens_d(scores: Floats, labels: Floats) -> Floats:
    """Return the margin in units of the pooled standard deviation (Cohen 1988).

    Undefined with fewer than three rows, with one class, or if no class varies.

    Example:
        >>> d = cohens_d(np.array([3.0, 5.0, 1.0, 3.0]), np.array([1.0, 1.0, 0.0, 0.0]))
        >>> round(float(d), 4)
        1.4142
    """
    positive = labels >= POSITIVE
    high, low = _mean_where(scores, positive), _mean_where(scores, ~positive)
    centred = scores - np.where(positive, high[..., None], low[..., None])
    squares = np.einsum("...i,...i->...", centred, centred)
    rows = scores.shape[-1]
    # What rounding leaves of a constant score is no variation.
    rounding = rows * (8 * np.finfo(float).eps * np.abs(scores).max(axis=-1)) ** 2
    pooled = np.sqrt(np.where(squares > rounding, squares, 0.0) / max(rows - 2, 1))
    return divided(high - low, pooled if rows > 2 else np.zeros_like(pooled))


def roc_auc(scores: Floats, labels: Floats) -> Floats:
    """Return the chance that a positive row scores above a negative one, a tie counting half.

    From the rank sum (Hanley & McNeil 1982); undefined with one class.

    Example:
        >>> float(roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.0, 0.0, 1.0, 1.0])))
        0.75
    """
    positive = labels >= POSITIVE
    positives = positive.sum(axis=-1)
    negatives = labels.shape[-1] - positives
    rank_sum = np.where(positive, rankdata(scores, axis=-1), 0.0).sum(axis=-1)
    return divided(rank_sum - positives * (positives + 1) / 2, positives * negatives)


def is_inverted(auc: float | None) -> bool:
    """Return True if the ROC-AUC is below 0.5: dissimilar pairs score above similar ones.

    Example:
        >>> is_inverted(0.373), is_inverted(0.5), is_inverted(None)
        (True, False, False)
    """
    return auc is not None and auc < 0.5


def _mean_where(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    return divided(np.where(chosen, values, 0.0).sum(axis=-1), chosen.sum(axis=-1))


def divided(top: Floats, bottom: Floats) -> Floats:
    """Return `top / bottom`, NaN where `bottom` is zero."""
    quotient = np.full(np.shape(top), np.nan)
    np.divide(top, bottom, out=quotient, where=np.broadcast_to(bottom != 0, np.shape(top)))
    return quotient
