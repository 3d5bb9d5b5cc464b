"""Class probabilities: the columns they are kept in, how sure they are, and what an error costs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graft.core.errors import DataError, Problem
from graft.metrics.decisions import correct, truth
from graft.metrics.measures import Columns, Floats
from graft.metrics.thresholds import checked, descending

BINS = 15  # of equal width, as Guo et al. 2017
_EDGES = np.linspace(0, 1, BINS + 1)


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of like probability, and how often what was predicted for them is true.

    Args:
        low: Lower edge; a row on it belongs to the bin below.
        high: Upper edge.
        rows: Rows in the bin.
        confidence: Their mean probability, None without rows.
        frequency: Share of them for which it is true, None without rows.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    frequency: float | None


def class_columns(probabilities: NDArray[Any]) -> dict[str, Floats]:
    """Return the prediction columns of class probabilities.

    Of two classes `score`, the probability of class 1. Of more `score`, that of the predicted
    class, `predicted`, its place (the first of equals), and `p_0`, `p_1`, ….

    Args:
        probabilities: Shape (rows, classes), at least two classes.

    Raises:
        DataError: The shape is another one.

    Example:
        >>> class_columns(np.array([[0.1, 0.2, 0.7]]))["predicted"]
        array([2.])
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        problem = Problem("probabilities", f"have shape {values.shape}", "give (rows, classes ≥ 2)")
        raise DataError("class probabilities", [problem])
    if values.shape[1] == 2:
        return {"score": values[:, 1].copy()}
    chosen = values.argmax(axis=1)
    return {
        "score": values[np.arange(len(values)), chosen],
        "predicted": chosen.astype(np.float64),
        **{f"p_{place}": values[:, place].copy() for place in range(values.shape[1])},
    }


def probabilities_of(columns: Columns, classes: int | None = None) -> Floats:
    """Return the probabilities that `class_columns` wrote, shape (rows, classes).

    Args:
        columns: Prediction columns.
        classes: Number of classes; as many as there are columns for if left out.

    Raises:
        DataError: There are not so many.

    Example:
        >>> probabilities_of({"score": np.array([0.25])})
        array([[0.75, 0.25]])
    """
    found = len(probability_names(columns)) or 2
    if found != (classes or found) or (found == 2 and "score" not in columns):
        what = f"hold probabilities of {found if 'score' in columns else 0} classes, not {classes}"
        raise DataError("class probabilities", [Problem("columns", what, "predict the rows again")])
    if found == 2:
        score = np.asarray(columns["score"], dtype=np.float64)
        return np.stack([1 - score, score], axis=1)
    parts = [np.asarray(columns[f"p_{place}"], dtype=np.float64) for place in range(found)]
    return np.stack(parts, axis=1)


def probability_names(names: Iterable[str]) -> list[str]:
    """Return the columns `p_0`, `p_1`, … among names.

    Example:
        >>> probability_names(["row", "p_0", "p_1", "p_value"])
        ['p_0', 'p_1']
    """
    return [name for name in names if re.fullmatch(r"p_[0-9]+", name)]


def outcomes(columns: Columns) -> Floats:
    """Return for each row 1 if what `score` is the probability of is true, else 0.

    Of two classes that is class 1; of more the predicted class.
    """
    right = correct(columns) if "predicted" in columns else truth(columns)
    return np.asarray(right, dtype=np.float64)


def bin_of(scores: Floats) -> NDArray[np.int64]:
    """Return the bin, 0 to 14, of each probability: above its lower edge, up to its upper one.

    Example:
        >>> bin_of(np.array([0.0, 0.5, 1.0]))
        array([ 0,  7, 14])
    """
    return np.searchsorted(_EDGES[1:-1], scores).astype(np.int64)


def reliability(columns: Columns) -> tuple[ReliabilityBin, ...]:
    """Return the bins of a reliability diagram (Guo et al. 2017), from the lowest probability.

    Args:
        columns: Prediction columns and `label`, shape (rows,).

    Example:
        >>> bins = reliability({"score": np.array([0.1, 0.99]), "label": np.array([0.0, 1.0])})
        >>> bins[-1].rows, bins[-1].confidence, bins[-1].frequency
        (1, 0.99, 1.0)
    """
    scores, right = np.asarray(columns["score"], dtype=np.float64), outcomes(columns)
    places = bin_of(scores)
    found = []
    for place in range(BINS):
        inside = places == place
        rows = int(inside.sum())
        confidence = float(scores[inside].mean()) if rows else None
        frequency = float(right[inside].mean()) if rows else None
        low, high = float(_EDGES[place]), float(_EDGES[place + 1])
        found.append(ReliabilityBin(low, high, rows, confidence, frequency))
    return tuple(found)


def cheapest_threshold(
    scores: ArrayLike, labels: ArrayLike, false_positive: float, false_negative: float
) -> float:
    """Return the threshold at which wrong decisions cost least on these rows.

    Every threshold that decides differently is tried; among equally cheap ones the middle one
    wins, the higher of two middle ones. Use it on validation rows (Elkan 2001).

    Args:
        scores: Shape (n,), probabilities 0 to 1 of the positive class.
        labels: Shape (n,), 0.5 or more is positive.
        false_positive: Cost of a negative row decided positive, above 0.
        false_negative: Cost of a positive row decided negative, above 0.

    Raises:
        DataError: No rows, different lengths, or a value that is not finite.

    Example:
        >>> cheapest_threshold([0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0], 1, 5)
        0.25
        >>> cheapest_threshold([0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0], 5, 1)
        0.75
    """
    ordered, hits, last = descending(*checked(scores, labels))
    decided = np.arange(1, len(ordered) + 1)
    behind = false_positive * (decided - hits) + false_negative * (hits[-1] - hits)
    # Equal scores fall on the same side, so a cut lies behind the last of them, or before all.
    cuts = np.concatenate([[0], decided[last]])
    costs = np.concatenate([[false_negative * hits[-1]], behind[last]])
    cheap = cuts[costs <= costs.min() * (1 + 1e-12)]
    cut = int(cheap[(len(cheap) - 1) // 2])
    if cut == 0:
        return float(max(1.0, np.nextafter(ordered[0], np.inf)))
    if cut == len(ordered):
        return float(min(0.0, ordered[-1]))
    above, below = ordered[cut - 1], ordered[cut]
    middle = above / 2 + below / 2
    # Two neighbouring floats have no number between them: then the upper one is the threshold.
    return float(middle if below < middle <= above else above)
