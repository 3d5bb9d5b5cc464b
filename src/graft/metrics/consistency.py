"""How probable it is that two different models agree on so many rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from scipy.stats import binom


@dataclass(frozen=True)
class Consistency:
    """The agreement of two models of which each row is known to be decided right or wrong.

    Args:
        rows: Rows compared.
        agreeing: Rows that both decide right, or both wrong.
        accuracies: Share of rows that each decides right.
        expected: Share of rows on which models of these accuracies agree if their errors are
            independent of each other.
        log10_probability: Logarithm of the probability that such models agree on at least so many
            rows.
    """

    rows: int
    agreeing: int
    accuracies: tuple[float, float]
    expected: float
    log10_probability: float

    @property
    def words(self) -> str:
        """The probability for a sentence, as a power of ten where it is small."""
        if self.log10_probability < _SMALL:
            return f"10^{self.log10_probability:.0f}".replace("-", "−")
        return f"{10**self.log10_probability:.2g}"


_SMALL = -4


def consistency(one: ArrayLike, other: ArrayLike) -> Consistency | None:
    """Return how two models agree, None without a row.

    Two models of accuracy a and b whose errors are independent agree on a row with probability
    ab + (1 − a)(1 − b) (Geirhos, Meding & Wichmann 2020, error consistency), so on n rows a
    binomial number of times. Models that learnt from the same rows err on the same hard rows and
    agree more often than that: a small probability shows that something is shared, not what.

    Args:
        one: Whether each row is decided right, shape (n,).
        other: The same of the other model, rows in the same order.

    Example:
        >>> right = [True] * 60 + [False] * 40
        >>> found = consistency(right, right)
        >>> found.agreeing, round(found.expected, 2), found.words
        (100, 0.52, '10^−28')
    """
    ours, theirs = np.asarray(one, dtype=bool), np.asarray(other, dtype=bool)
    rows = len(ours)
    if not rows:
        return None
    agreeing = int((ours == theirs).sum())
    a, b = float(ours.mean()), float(theirs.mean())
    expected = a * b + (1 - a) * (1 - b)
    # The tail summed by logarithms: what is below 10^−308 is still told.
    log_probability = float(logsumexp(binom.logpmf(np.arange(agreeing, rows + 1), rows, expected)))
    return Consistency(rows, agreeing, (a, b), expected, min(log_probability / math.log(10), 0.0))
