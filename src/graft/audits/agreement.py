"""How far two sets of predictions of the same rows lie apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from graft.audits.contract import listed


@dataclass(frozen=True)
class Agreement:
    """The distance between two sets of predictions.

    Args:
        rows: Rows that both hold once.
        only_left: Rows that only the first holds.
        only_right: Rows that only the second holds.
        repeated: Rows that one of them holds more than once.
        not_finite: Rows whose score is NaN or infinite in one of them.
        largest: Largest absolute difference of the scores, None without a comparable row.
        mean: Mean absolute difference.
        differing: Rows whose scores differ by more than the tolerance.
        decided: Rows with a threshold.
        flipped: Rows whose decision at the threshold differs.
        worst: The rows that lie furthest apart.
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
        left: Columns `row`, `score` and, if there are decisions, `threshold`; its thresholds
            decide for both.
        right: Columns `row`, `score`.
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
    one = first.loc[both, "score"].to_numpy(np.float64)
    two = second.loc[both, "score"].to_numpy(np.float64)
    finite = np.isfinite(one) & np.isfinite(two)
    names = both.to_numpy()
    one, two, known = one[finite], two[finite], names[finite]
    gap = np.abs(one - two)
    thresholds = np.full(len(one), np.nan)
    if "threshold" in first:
        thresholds = first.loc[both, "threshold"].to_numpy(np.float64)[finite]
    decided = np.isfinite(thresholds)
    flipped = decided & ((one >= thresholds) != (two >= thresholds))
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


def _by_row(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(frame["row"].astype(str))


def _sorted(names: Iterable[object]) -> tuple[str, ...]:
    return tuple(sorted(str(name) for name in names))
