"""The record of a fusion: which parts became one prediction, and how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FusionRecord:
    """How an arm and baselines were merged.

    Args:
        arm: The arm whose model gives one part.
        members: Baselines that give the others.
        method: `stacked` or `average`.
        words: How the parts are weighed, one sentence.
        weights: Part to its weight, 0 to 1; empty if the parts are stacked.
        chosen_on: Rows that weights or coefficients were fitted to, in words.
        rows: Number of these rows.
        folds: Folds of these rows, 0 if there were none.
        losses: Part to its log loss on these rows.
        fused_loss: Log loss of the fusion on them; of stacking fitted without the fold that it
            predicts.
    """

    arm: str
    members: tuple[str, ...]
    method: str
    words: str
    weights: dict[str, float]
    chosen_on: str
    rows: int
    folds: int
    losses: dict[str, float]
    fused_loss: float

    @property
    def parts(self) -> tuple[str, ...]:
        """The arm, then the members."""
        return (self.arm, *self.members)
