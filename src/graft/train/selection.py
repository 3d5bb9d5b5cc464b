"""Which checkpoint is the best so far, and when waiting for a better one ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Selection:
    """The search for the best checkpoint by the validation metric.

    Args:
        metric: Key of the metric, for example `validation_spearman`.
        higher_is_better: Its direction, which the metric itself carries.
        patience: Evaluations without a better value before training stops; None for never.

    Example:
        >>> search = Selection("validation_f1", higher_is_better=True, patience=1)
        >>> search.offer(10, {"validation_f1": 0.5}), search.offer(20, {"validation_f1": 0.4})
        (True, False)
        >>> search.exhausted
        True
    """

    metric: str
    higher_is_better: bool
    patience: int | None
    best: float | None = None
    best_step: int | None = None
    misses: int = 0

    def offer(self, step: int, metrics: Mapping[str, float | None]) -> bool:
        """Return True if `step` is the best so far; an undefined value never is."""
        value = metrics[self.metric]
        better = value is not None and (
            self.best is None or (value > self.best if self.higher_is_better else value < self.best)
        )
        if better:
            self.best, self.best_step, self.misses = value, step, 0
        else:
            self.misses += 1
        return better

    @property
    def exhausted(self) -> bool:
        """True if the patience has run out."""
        return self.patience is not None and self.misses >= self.patience

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"best": self.best, "best_step": self.best_step, "misses": self.misses}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.best, self.best_step = state["best"], state["best_step"]
        self.misses = state["misses"]
