"""Several labels a row: the columns that say which there are, and how probable each is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graft.metrics.measures import Columns, Floats

Flags = NDArray[np.bool_]


def truth_names(names: Iterable[str]) -> list[str]:
    """Return the columns `y_0`, `y_1`, … among names; there are some only of several labels.

    Example:
        >>> truth_names(["label", "y_0", "y_1", "year"])
        ['y_0', 'y_1']
    """
    return [name for name in names if re.fullmatch(r"y_[0-9]+", name)]


def has_label_sets(names: Iterable[str]) -> bool:
    """Return True if there are columns of several labels, and of their probabilities."""
    return {"y_0", "p_0"} <= set(names)


def probability_columns(probabilities: NDArray[Any]) -> dict[str, Floats]:
    """Return the prediction columns of the probabilities of labels.

    Args:
        probabilities: Shape (rows, labels).

    Example:
        >>> probability_columns(np.array([[0.25, 0.75]]))
        {'p_0': array([0.25]), 'p_1': array([0.75])}
    """
    values = np.asarray(probabilities, dtype=np.float64)
    return {f"p_{place}": values[:, place].copy() for place in range(values.shape[1])}


def true_labels(columns: Columns) -> Flags:
    """Return which labels each row has, shape (rows, labels)."""
    return np.stack([np.asarray(columns[n]) > 0.5 for n in truth_names(columns)], axis=1)


def label_probabilities(columns: Columns) -> Floats:
    """Return the probability of each label, shape (rows, labels)."""
    names = [f"p{name[1:]}" for name in truth_names(columns)]
    return np.stack([np.asarray(columns[name], dtype=np.float64) for name in names], axis=1)


def decided_labels(columns: Columns) -> Flags:
    """Return which labels each row is decided to have, shape (rows, labels).

    Example:
        >>> columns = {"y_0": [1.0], "y_1": [0.0], "p_0": [0.7], "p_1": [0.2], "threshold": [0.5]}
        >>> decided_labels(columns)
        array([[ True, False]])
    """
    least = np.asarray(columns["threshold"], dtype=np.float64)
    return np.asarray(label_probabilities(columns) >= least[:, None])
