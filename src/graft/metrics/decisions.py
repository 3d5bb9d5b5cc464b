"""What a run decides about each row, and whether that is right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graft.metrics.agreement import POSITIVE
from graft.metrics.label_sets import decided_labels, has_label_sets, true_labels
from graft.metrics.measures import Columns, Floats


def decisions(columns: Columns) -> Floats | None:
    """Return the class that each row is decided for, None if nothing decides.

    That is `predicted`, or among two classes whether `score` reaches `threshold`.

    Example:
        >>> decisions({"score": np.array([0.8, 0.1]), "threshold": np.array([0.7, 0.7])})
        array([1., 0.])
    """
    if "predicted" in columns:
        return np.asarray(columns["predicted"], dtype=np.float64)
    if "score" in columns and "threshold" in columns:
        scores = np.asarray(columns["score"], dtype=np.float64)
        reached = (scores >= np.asarray(columns["threshold"])).astype(np.float64)
        return np.where(np.isnan(scores), np.nan, reached)
    return None


def truth(columns: Columns) -> Floats:
    """Return the class of each row: its `label`, or 0 or 1 where labels are graded.

    Example:
        >>> truth({"label": np.array([0.2, 0.6])})
        array([0., 1.])
    """
    labels = np.asarray(columns["label"], dtype=np.float64)
    return labels if "predicted" in columns else (labels >= POSITIVE).astype(np.float64)


def correct(columns: Columns) -> NDArray[np.bool_] | None:
    """Return which rows are decided right, in all of several labels; None if nothing decides.

    Example:
        >>> correct({"predicted": np.array([2.0, 0.0]), "label": np.array([2.0, 1.0])})
        array([ True, False])
    """
    if has_label_sets(columns):
        known = "threshold" in columns
        right = decided_labels(columns) == true_labels(columns) if known else None
        return None if right is None else right.all(axis=1)
    found = decisions(columns)
    return None if found is None else found == truth(columns)


def decided(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return the columns with `score` as decision 0 or 1 and `threshold` at 0.5.

    Example:
        >>> decided({"score": np.array([0.8, 0.1]), "threshold": np.array([0.7, 0.7])})["score"]
        array([1., 0.])
    """
    found = (np.asarray(columns["score"]) >= np.asarray(columns["threshold"])).astype(float)
    return {**columns, "score": found, "threshold": np.full(found.shape, 0.5)}
