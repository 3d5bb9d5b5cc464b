"""Several sets of class probabilities of the same rows become one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from graft.core.errors import DataError, Problem
from graft.core.seeds import derive
from graft.tasks.protocol import Array

Parts = Mapping[str, Array]
SMALLEST = 1e-6  # a part is never surer than this, so that one error cannot outweigh all others
STEPS = 20  # of the weights' grid from 0 to 1


@dataclass(frozen=True)
class Fusion:
    """Weights that make one prediction of several parts.

    Args:
        parts: Names of the parts, in order.
        classes: Number of classes.
        weights: Of each part, summing to 1; empty if the parts are stacked.
        coefficients: Of each output, over the inputs; see `stack`.
        intercepts: Of each output.
        seen: Places of the classes that the outputs stand for; two of one output.
    """

    parts: tuple[str, ...]
    classes: int
    weights: tuple[float, ...] = ()
    coefficients: tuple[tuple[float, ...], ...] = ()
    intercepts: tuple[float, ...] = ()
    seen: tuple[int, ...] = ()

    def predict(self, parts: Parts) -> Array:
        """Return the probabilities that the parts give together, shape (rows, classes).

        Args:
            parts: Part to its probabilities, shape (rows, classes).
        """
        if self.weights:
            return np.tensordot(self.weights, np.stack([parts[n] for n in self.parts]), axes=1)
        inputs = _inputs(parts, self.parts)
        outputs = inputs @ np.array(self.coefficients).T + np.array(self.intercepts)
        if len(self.intercepts) == 1:  # of two classes one output says all
            outputs = np.hstack([np.zeros_like(outputs), outputs])
        found = np.zeros((len(inputs), self.classes))
        found[:, list(self.seen)] = np.exp(log_softmax(outputs, axis=1))
        return found

    @property
    def words(self) -> str:
        """How the parts are weighed, one sentence."""
        if self.weights:
            return f"The mean of {_listed(self.weights, 'of', self.parts)}."
        if self.classes == 2:
            counted = _listed(self.coefficients[0], "from", self.parts)
            return f"The log-odds count {counted}, plus {_number(self.intercepts[0])}."
        counted = _listed(self._own(), "from", self.parts)
        return f"The log-probability of a class counts {counted} for itself, as a mean of classes."

    def _own(self) -> list[float]:
        """Return how much the own log-probability of a class counts, by part."""
        coefficients = np.array(self.coefficients)
        outputs = self.seen[-len(coefficients) :]  # one output stands for the second class
        by_part = coefficients.reshape(len(coefficients), len(self.parts), self.classes)
        own = by_part[np.arange(len(outputs)), :, list(outputs)]
        mean: list[float] = own.mean(axis=0).tolist()
        return mean


def stack(parts: Parts, labels: ArrayLike, seed: int) -> Fusion:
    """Return the logistic regression of the labels on what the parts say (Wolpert 1992).

    Its inputs are the log-odds of each part, or of more than two classes its log-probabilities.

    Args:
        parts: Part to its probabilities of shape (rows, classes), each row by a model that did not
            see the row.
        labels: Shape (rows,), place of the class.
        seed: The experiment's seed.

    Raises:
        DataError: All rows are of one class.
    """
    names, truth = tuple(parts), np.asarray(labels).astype(int)
    seen = np.unique(truth)
    if len(seen) < 2:
        what = f"all {len(truth)} rows are of class {seen.tolist()}"
        raise DataError("fusion", [Problem("labels", what, "give rows of two classes")])
    regression = LogisticRegression(max_iter=2000, random_state=derive(seed, "fusion") % 2**32)
    regression.fit(_inputs(parts, names), truth)
    return Fusion(
        parts=names,
        classes=parts[names[0]].shape[1],
        coefficients=tuple(map(tuple, regression.coef_.tolist())),
        intercepts=tuple(regression.intercept_.tolist()),
        seen=tuple(seen.tolist()),
    )


def average(parts: Parts, labels: ArrayLike) -> Fusion:
    """Return the weighted mean of the parts with the least log loss on these rows.

    Every weight from 0 to 1 in steps of 0.05 is tried, of more than three parts in steps of 0.1.

    Args:
        parts: Part to its probabilities, shape (rows, classes).
        labels: Shape (rows,), place of the class.
    """
    names = tuple(parts)
    own = np.stack([_own_probability(parts[name], labels) for name in names])
    grid = _weights(len(names), STEPS if len(names) <= 3 else STEPS // 2)
    losses = [-np.log(np.clip(weights @ own, SMALLEST, 1)).mean() for weights in grid]
    best = grid[int(np.argmin(losses))]
    return Fusion(names, parts[names[0]].shape[1], weights=tuple(best.tolist()))


def folds(rows: pd.DataFrame, count: int, seed: int) -> Array:
    """Return the fold of each row, 0 to `count` − 1, alike in classes; a group stays together.

    Args:
        rows: Rows with `label`, and `group` if there are groups.
        count: Number of folds, at least 2.
        seed: The experiment's seed.

    Raises:
        DataError: There are not enough rows of a class, or groups.

    Example:
        >>> rows = pd.DataFrame({"label": [0.0, 0.0, 1.0, 1.0]})
        >>> sorted(folds(rows, 2, seed=1).tolist())
        [0, 0, 1, 1]
    """
    labels = rows["label"].to_numpy().astype(int)
    groups = rows["group"].to_numpy() if "group" in rows else None
    most = int(np.bincount(labels).max(initial=0))
    number = len(rows) if groups is None else len(np.unique(groups))
    if min(most, number) < count:
        what = f"have {number} groups, and {most} rows of the largest class, for {count} folds"
        raise DataError("fusion", [Problem("training rows", what, "set fewer fusion folds")])
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(count, shuffle=True, random_state=derive(seed, "folds") % 2**32)
    found = np.zeros(len(rows), dtype=np.int64)
    with warnings.catch_warnings():
        # A class with fewer rows than folds is in some folds only, which is what can be done.
        warnings.filterwarnings("ignore", message="The least populated class")
        for index, (_, held) in enumerate(splitter.split(labels, labels, groups)):
            found[held] = index
    return found


def log_loss(probabilities: Array, labels: ArrayLike) -> float:
    """Return the mean of −log of the probability of each row's own class.

    Example:
        >>> round(log_loss(np.array([[0.5, 0.5]]), [1]), 4)
        0.6931
    """
    return float(-np.log(np.clip(_own_probability(probabilities, labels), SMALLEST, 1)).mean())


def _listed(numbers: Sequence[float], word: str, names: Sequence[str]) -> str:
    each = zip(numbers, names, strict=True)
    return " and ".join(f"{_number(number)} {word} {name}" for number, name in each)


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _own_probability(probabilities: Array, labels: ArrayLike) -> Array:
    places = np.asarray(labels).astype(int)
    found: Array = np.asarray(probabilities)[np.arange(len(places)), places]
    return found


def _inputs(parts: Parts, names: Sequence[str]) -> Array:
    logs = [np.log(np.clip(parts[name], SMALLEST, 1 - SMALLEST)) for name in names]
    if logs[0].shape[1] == 2:
        return np.stack([found[:, 1] - found[:, 0] for found in logs], axis=1)
    return np.hstack(logs)


def _weights(parts: int, steps: int) -> list[Array]:
    """Return every way to divide 1 among the parts, in steps of 1 / `steps`."""
    found = []
    for ends in combinations_with_replacement(range(steps + 1), parts - 1):
        shares = np.diff([0, *ends, steps])
        found.append(shares / steps)
    return found
