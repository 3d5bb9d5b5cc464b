"""Decisions at a threshold, the best threshold, and the curve over all thresholds.

A row is decided positive if its score is at or above the threshold, and is positive if its label
is 0.5 or more. Array functions work along the last axis and give NaN where undefined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graft.core.errors import DataError, Problem
from graft.metrics.agreement import POSITIVE, divided
from graft.metrics.measures import Floats


@dataclass(frozen=True)
class Counts:
    """The four cells of the decisions, each of shape (…).

    Args:
        true_positives: Positive rows decided positive.
        false_positives: Negative rows decided positive.
        false_negatives: Positive rows decided negative.
        true_negatives: Negative rows decided negative.
    """

    true_positives: Floats
    false_positives: Floats
    false_negatives: Floats
    true_negatives: Floats

    @property
    def f1(self) -> Floats:
        """2 TP / (2 TP + FP + FN), 0 to 1; undefined if nothing is or is decided positive."""
        twice = 2 * self.true_positives
        return divided(twice, twice + self.false_positives + self.false_negatives)

    @property
    def accuracy(self) -> Floats:
        """Share of right decisions, 0 to 1."""
        right = self.true_positives + self.true_negatives
        return divided(right, right + self.false_positives + self.false_negatives)

    @property
    def precision(self) -> Floats:
        """Share of right ones among the positive decisions; undefined if there are none."""
        return divided(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Floats:
        """Share of the positive rows decided positive; undefined if there are none."""
        return divided(self.true_positives, self.true_positives + self.false_negatives)


@dataclass(frozen=True)
class OperatingPoint:
    """What one threshold gives on some rows.

    Args:
        threshold: Rows with this score or more are decided positive.
        f1: F1, None if nothing is positive and nothing is decided so.
        accuracy: Share of right decisions.
        precision: None if nothing is decided positive.
        recall: None if nothing is positive.
        false_positives: Negative rows decided positive.
        false_negatives: Positive rows decided negative.
    """

    threshold: float
    f1: float | None
    accuracy: float
    precision: float | None
    recall: float | None
    false_positives: int
    false_negatives: int


def counts(scores: Floats, labels: Floats, thresholds: Floats) -> Counts:
    """Return the decisions of each sample against its labels; all arrays broadcast to (…, n).

    Example:
        >>> found = counts(np.array([0.9, 0.6, 0.2]), np.array([1.0, 0.0, 1.0]), np.array(0.5))
        >>> float(found.precision), float(found.recall)
        (0.5, 0.5)
    """
    decided, positive = scores >= thresholds, labels >= POSITIVE
    hits = (decided & positive).sum(axis=-1).astype(np.float64)
    decided_positive, positives = decided.sum(axis=-1), positive.sum(axis=-1)
    rows = scores.shape[-1]
    return Counts(
        true_positives=hits,
        false_positives=decided_positive - hits,
        false_negatives=positives - hits,
        true_negatives=rows - decided_positive - positives + hits,
    )


def best_cut(scores: Floats, labels: Floats) -> tuple[Floats, Counts]:
    """Return the threshold of the highest F1 of each sample, and the decisions there.

    Every threshold that decides differently is tried. Among equal F1 the highest threshold wins,
    which has the fewest false positives. NaN for a sample of one class.

    Args:
        scores: Shape (…, n), n ≥ 1.
        labels: Shape (…, n).

    Returns:
        Thresholds of shape (…), midway between the scores on either side; counts of shape (…).

    Example:
        >>> threshold, found = best_cut(np.array([0.75, 0.25]), np.array([1.0, 0.0]))
        >>> float(threshold), float(found.f1)
        (0.5, 1.0)
    """
    ordered, hits, last = descending(scores, labels)
    rows = scores.shape[-1]
    positives = hits[..., -1]
    decided = np.arange(1, rows + 1)
    f1 = 2 * hits / (decided + positives[..., None])
    # Equal scores fall on the same side, so a cut lies only behind the last of them.
    cut = np.where(last, f1, -1.0).argmax(axis=-1)[..., None]
    above = np.take_along_axis(ordered, cut, -1)[..., 0]
    below = np.take_along_axis(ordered, np.minimum(cut + 1, rows - 1), -1)[..., 0]
    middle = above / 2 + below / 2
    # Two neighbouring floats have no number between them: then the upper one is the threshold.
    threshold = np.where((middle > below) & (middle <= above), middle, above)
    both = (positives > 0) & (positives < rows)
    right = np.where(both, np.take_along_axis(hits, cut, -1)[..., 0], np.nan)
    wrong = cut[..., 0] + 1 - right
    found = Counts(right, wrong, positives - right, rows - positives - wrong)
    return np.where(both, threshold, np.nan), found


def average_precision(scores: Floats, labels: Floats) -> Floats:
    """Return the mean over the positive rows of the precision at their score, 0 to 1.

    Equal scores are decided together, without interpolation; undefined with one class.

    Example:
        >>> round(float(average_precision(np.array([0.9, 0.8, 0.7]), np.array([1.0, 0.0, 1.0]))), 4)
        0.8333
    """
    _, hits, last = descending(scores, labels)
    rows = scores.shape[-1]
    at = np.where(last, np.arange(rows), rows)
    end = np.minimum.accumulate(at[..., ::-1], axis=-1)[..., ::-1]
    precision = np.take_along_axis(hits, end, -1) / (end + 1)
    gained = np.diff(hits, axis=-1, prepend=0.0)
    positives = hits[..., -1]
    mixed = np.where(positives < rows, positives, 0.0)
    return divided((gained * precision).sum(axis=-1), mixed)


def operating_point(scores: ArrayLike, labels: ArrayLike, threshold: float) -> OperatingPoint:
    """Return what `threshold` gives on these rows.

    Args:
        scores: Shape (n,), finite.
        labels: Shape (n,), 0.5 or more is positive.
        threshold: Decision threshold, chosen elsewhere.

    Raises:
        DataError: No rows, different lengths, or a value that is not finite.

    Example:
        >>> operating_point([0.9, 0.6, 0.2], [1, 0, 0], 0.5).false_positives
        1
    """
    values, truth = checked(scores, labels)
    return _point(threshold, counts(values, truth, np.asarray(threshold)))


def best_f1(scores: ArrayLike, labels: ArrayLike) -> OperatingPoint:
    """Return the threshold with the highest F1 of all, and what it gives on the same rows.

    Exact over every threshold, in O(n log n) (Lipton et al. 2014). Use it on validation rows: on
    the rows that are reported it is optimistic. For ties see `best_cut`.

    Args:
        scores: Shape (n,), finite.
        labels: Shape (n,), 0.5 or more is positive; both classes must be there.

    Raises:
        DataError: No rows, different lengths, one class only, or a value that is not finite.

    Example:
        >>> point = best_f1([0.9, 0.6, 0.2], [1, 1, 0])
        >>> point.threshold, point.f1
        (0.4, 1.0)
    """
    values, truth = checked(scores, labels)
    threshold, found = best_cut(values, truth)
    if np.isnan(threshold):
        side = "positive" if (truth >= POSITIVE).any() else "negative"
        problem = Problem("labels", f"all {truth.size} are {side}", "give rows of both classes")
        raise DataError("rows for a threshold", [problem])
    return _point(float(threshold), found)


def checked(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    """Return scores and labels of shape (n,), n ≥ 1, as floats.

    Raises:
        DataError: No rows, different lengths, or a value that is not finite.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    problems = [
        Problem(name, f"has {int((~np.isfinite(array)).sum())} values that are not finite", fix)
        for name, array, fix in (
            ("scores", values, "look for NaN in the model's output"),
            ("labels", truth, "give every row a label"),
        )
        if not np.isfinite(array).all()
    ]
    if values.shape != truth.shape or values.ndim != 1 or not values.size:
        what = f"scores have shape {values.shape} and labels {truth.shape}"
        problems.append(Problem("rows", what, "give one score and one label per row, at least one"))
    if problems:
        raise DataError("rows for a threshold", problems)
    return values, truth


def _point(threshold: float, found: Counts) -> OperatingPoint:
    f1, precision, recall = (
        None if np.isnan(value) else float(value)
        for value in (found.f1, found.precision, found.recall)
    )
    wrong = int(found.false_positives), int(found.false_negatives)
    return OperatingPoint(threshold, f1, float(found.accuracy), precision, recall, *wrong)


def descending(scores: Floats, labels: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return scores from the top, positive rows so far, and which row is the last of its ties."""
    order = np.argsort(-scores, axis=-1)
    ordered = np.take_along_axis(scores, order, -1)
    positive = np.take_along_axis(labels, order, -1) >= POSITIVE
    last = np.ones(ordered.shape, dtype=bool)
    last[..., :-1] = ordered[..., :-1] != ordered[..., 1:]
    return ordered, positive.cumsum(axis=-1).astype(np.float64), last
