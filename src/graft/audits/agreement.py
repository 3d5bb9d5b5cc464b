"""How far two sets of predictions of the same rows lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graft.audits.contract import listed
from graft.metrics.probabilities import probability_names

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """The distance between two sets of predictions.

    Args:
        rows: Rows that both hold once.
        only_left: Rows that only the first holds.
        only_right: Rows that only the second holds.
        repeated: Rows that one of them holds more than once.
        not_finite: Rows whose score is NaN or infinite in one of them.
        largest: Largest absolute difference of the scores, None without a comparable row. Where
            there are probabilities of all classes, these are the scores.
        mean: Mean absolute difference of the scores that differ most in each row.
        differing: Rows whose scores differ by more than the tolerance.
        decided: Rows with a threshold, or with a predicted class.
        flipped: Rows whose decision differs.
        worst: The rows that lie furthest apart, with their scores.
    """

    rows: int
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    repeated: tuple[str, ...]
    not_finite: tuple[str, ...]
    largest: float | None
    mean: float | None
    differing: int
    decided: int
    flipped: tuple[str, ...]
    worst: tuple[tuple[str, float, float], ...]

    @property
    def same_rows(self) -> bool:
        """True if both hold the same rows, each once, with finite scores."""
        odd = self.only_left or self.only_right or self.repeated or self.not_finite
        return self.rows > 0 and not odd

    def shown(self) -> dict[str, Any]:
        """Return the distances as evidence, long lists cut."""
        plain = asdict(self)
        for key in ("only_left", "only_right", "repeated", "not_finite", "flipped"):
            plain[key] = listed(plain[key])
        return plain


def compare(left: pd.DataFrame, right: pd.DataFrame, tolerance: float) -> Agreement:
    """Return how far the scores of `right` lie from those of `left`, row by row.

    Args:
        left: Columns `row`, `score` and, if there are decisions, `threshold`, which decides for
            both, or `predicted` with the probabilities `p_0`, `p_1`, …. Several labels have these
            with `threshold`, and no score.
        right: Columns `row`, `score`, and of more than two classes those too.
        tolerance: Difference above which a row counts as differing.

    Example:
        >>> a = pd.DataFrame({"row": ["1", "2"], "score": [0.5, 0.7]})
        >>> compare(a, a.assign(score=[0.5, 0.9]), tolerance=0.01).differing
        1
    """
    first, second = _by_row(left), _by_row(right)
    repeated = {name for frame in (first, second) for name in frame.index[frame.index.duplicated()]}
    first, second = first[~first.index.duplicated()], second[~second.index.duplicated()]
    both = first.index.intersection(second.index)
    columns = [name for name in probability_names(first.columns) if name in second] or ["score"]
    one = first.loc[both, columns].to_numpy(np.float64)
    two = second.loc[both, columns].to_numpy(np.float64)
    finite = np.isfinite(one).all(axis=1) & np.isfinite(two).all(axis=1)
    names = both.to_numpy()
    known, kept = names[finite], both[finite]
    one, two = _furthest(one[finite], two[finite])
    gap = np.abs(one - two)
    decided, differs = _decisions(first.loc[kept], second.loc[kept], columns)
    flipped = decided & differs
    order = np.argsort(-gap, kind="stable")[:5]
    return Agreement(
        rows=len(both),
        only_left=_sorted(first.index.difference(second.index)),
        only_right=_sorted(second.index.difference(first.index)),
        repeated=_sorted(repeated),
        not_finite=_sorted(names[~finite]),
        largest=float(gap.max()) if len(gap) else None,
        mean=float(gap.mean()) if len(gap) else None,
        differing=int((gap > tolerance).sum()),
        decided=int(decided.sum()),
        flipped=_sorted(known[flipped]),
        worst=tuple((str(known[i]), float(one[i]), float(two[i])) for i in order),
    )


def _furthest(one: Floats, two: Floats) -> tuple[Floats, Floats]:
    """Return of each row the two values that lie furthest apart, from shape (rows, columns)."""
    place = np.abs(one - two).argmax(axis=1)[:, None]
    return np.take_along_axis(one, place, 1)[:, 0], np.take_along_axis(two, place, 1)[:, 0]


def _decisions(
    left: pd.DataFrame, right: pd.DataFrame, columns: Sequence[str]
) -> tuple[Flags, Flags]:
    """Return which rows are decided, and whether both decide otherwise, of one label at least."""
    if "predicted" in left and "predicted" in right:
        differs = left["predicted"].to_numpy(np.float64) != right["predicted"].to_numpy(np.float64)
        return np.ones(len(left), dtype=bool), differs
    if "threshold" not in left:
        return np.zeros(len(left), dtype=bool), np.zeros(len(left), dtype=bool)
    thresholds = left["threshold"].to_numpy(np.float64)
    scores = [frame[list(columns)].to_numpy(np.float64) for frame in (left, right)]
    reached = [found >= thresholds[:, None] for found in scores]
    return np.isfinite(thresholds), (reached[0] != reached[1]).any(axis=1)


def _by_row(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(frame["row"].astype(str))


def _sorted(names: Iterable[object]) -> tuple[str, ...]:
    return tuple(sorted(str(name) for name in names))
