"""Rows counted by class: decided right, decided for it, and of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graft.metrics.agreement import divided
from graft.metrics.decisions import decisions, truth
from graft.metrics.label_sets import Flags, decided_labels, has_label_sets, true_labels
from graft.metrics.measures import Columns, Floats


@dataclass(frozen=True)
class ClassCounts:
    """Rows of each class, each array of shape (samples, classes).

    Args:
        hits: Rows of the class that are decided for it.
        decided: Rows that are decided for it.
        rows: Rows of it.
    """

    hits: Floats
    decided: Floats
    rows: Floats

    @property
    def precision(self) -> Floats:
        """Share of right ones among those decided for the class; undefined if there are none."""
        return divided(self.hits, self.decided)

    @property
    def recall(self) -> Floats:
        """Share of the rows of the class that are decided for it; undefined if there are none."""
        return divided(self.hits, self.rows)

    @property
    def f1(self) -> Floats:
        """F1 of the class; undefined if it occurs among neither labels nor decisions."""
        return divided(2 * self.hits, self.decided + self.rows)

    @property
    def balanced_accuracy(self) -> Floats:
        """Mean recall of the classes that occur, shape (samples,)."""
        return _mean_of_known(self.recall)

    @property
    def macro_f1(self) -> Floats:
        """Mean F1 of the classes that occur among labels or decisions, shape (samples,)."""
        return _mean_of_known(self.f1)

    @property
    def weighted_f1(self) -> Floats:
        """Mean F1 of the classes, weighted by their rows, shape (samples,)."""
        weighted = np.where(self.rows > 0, self.rows * self.f1, 0.0)
        return divided(weighted.sum(axis=-1), self.rows.sum(axis=-1))


@dataclass(frozen=True)
class ClassScore:
    """How one class fares among the others.

    Args:
        name: The class.
        support: Rows that are of it.
        predicted: Rows that are decided for it.
        precision: Share of right ones among those decided for it, None if there are none.
        recall: Share of its rows that are decided for it, None if there are none.
        f1: None if the class occurs in neither.
    """

    name: str
    support: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


def count_classes(decided: Floats, labels: Floats, classes: int = 0) -> ClassCounts:
    """Return the rows of each class in each sample.

    Args:
        decided: Shape (samples, n), place of the class that each row is decided for.
        labels: Shape (samples, n), place of its class.
        classes: Number of classes; 0 for as many as occur.

    Example:
        >>> count_classes(np.array([[0.0, 0, 1]]), np.array([[0.0, 1, 1]])).hits
        array([[1., 1.]])
    """
    # A swap of predictions leaves the labels of every sample as they are: one is counted.
    labels = labels[:1] if labels.strides[0] == 0 else labels
    decided, labels = _numbers(decided), _numbers(labels)
    classes = classes or int(max(decided.max(), labels.max())) + 1
    # What is wrong is counted as one more class, and then left out.
    hits = sums(np.where(decided == labels, labels, classes), classes + 1)[:, :-1]
    rows = np.broadcast_to(sums(labels, classes), (len(decided), classes))
    return ClassCounts(hits, sums(decided, classes), rows)


def _numbers(places: Floats) -> Floats:
    """Return places; rows without one are no concern: the measure is undefined on them."""
    unknown = np.isnan(places)
    return np.where(unknown, 0.0, places) if unknown.any() else places


def sums(places: NDArray[Any], size: int, weights: Floats | None = None) -> Floats:
    """Return for each sample the rows, or the sum of their weights, at each place.

    Args:
        places: Shape (samples, n), whole numbers from 0 to `size` − 1.
        size: Number of places.
        weights: Shape (samples, n).

    Returns:
        Shape (samples, size).

    Example:
        >>> sums(np.array([[0, 2, 2]]), 3)
        array([[1., 0., 2.]])
    """
    samples = len(places)
    shifted = places.astype(np.int64) + np.arange(samples)[:, None] * size
    flat = None if weights is None else weights.ravel()
    counted = np.bincount(shifted.ravel(), flat, minlength=samples * size)
    return counted.reshape(samples, size).astype(np.float64)


def of_each_class(columns: Columns, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Return precision, recall and F1 of every class or label, in their order.

    Args:
        columns: Prediction columns with decisions, and `label`, shape (rows,).
        classes: Names of the classes.

    Example:
        >>> columns = {"predicted": np.array([0.0, 0, 1]), "label": np.array([0.0, 1, 1])}
        >>> of_each_class(columns, ("a", "b", "c"))[0]
        ClassScore(name='a', support=1, predicted=2, precision=0.5, recall=1.0, f1=0.66...)
    """
    if has_label_sets(columns):
        found = _count_labels(decided_labels(columns), true_labels(columns))
    else:
        decided = decision_column(columns)["decision"]
        found = count_classes(decided[None], truth(columns)[None], len(classes))
    shares = [
        [None if np.isnan(value) else float(value) for value in of_class[0]]
        for of_class in (found.precision, found.recall, found.f1)
    ]
    rows, predicted = found.rows[0].astype(int).tolist(), found.decided[0].astype(int).tolist()
    return tuple(map(ClassScore, classes, rows, predicted, *shares))


def _count_labels(decided: Flags, true: Flags) -> ClassCounts:
    """Return the rows of each label, as one sample, from arrays of shape (rows, labels)."""
    hits, said, rows = (
        found.sum(axis=0, dtype=np.float64)[None] for found in (decided & true, decided, true)
    )
    return ClassCounts(hits, said, rows)


def decision_column(columns: Columns) -> dict[str, Floats]:
    """Return the class that each row is decided for as the column `decision`.

    Raises:
        KeyError: Nothing decides.
    """
    found = decisions(columns)
    if found is None:
        raise KeyError("neither 'predicted' nor 'threshold' is among the columns")
    return {"decision": found}


def _mean_of_known(values: Floats) -> Floats:
    known = np.isfinite(values)
    return divided(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1).astype(np.float64))
