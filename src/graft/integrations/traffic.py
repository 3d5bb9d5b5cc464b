"""What goes through a trainer's step: rows, losses, tokens, and the first batches to count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graft.core.supervision import Supervision
from graft.integrations.batches import Batch, kept, positions, row_ids, units

Census = Callable[[Sequence[Batch]], Supervision]
_ROWS, _BATCHES = 32, 4


class Traffic:
    """Micro-batches since the last step, and counts since the first.

    Args:
        census: Returns the census of the first batches.
    """

    def __init__(self, census: Census) -> None:
        self.rows: list[str] = []
        self.losses: list[float] = []
        self.tokens = self.padding = self.units = 0
        self.supervision: Supervision | None = None
        self._census = census
        self._first: list[Batch] = []
        self._counted = 0

    def took_batch(self, batch: Batch) -> None:
        """Note the rows of a micro-batch."""
        ids = row_ids(batch)
        tokens, padding = positions(batch)
        self.rows += ids
        self.tokens += tokens
        self.padding += padding
        self.units += units(batch)
        if self.supervision is None:
            self._first.append(kept(batch))
            self._counted += len(ids)
            if self._counted >= _ROWS or len(self._first) == _BATCHES:
                self.count()

    def count(self) -> Supervision | None:
        """Return the census of what was seen so far, or the one that was made before."""
        if self.supervision is None and self._first:
            self.supervision = self._census(self._first)
            self._first = []
        return self.supervision

    def loss(self) -> float:
        """Return the loss since the last step: its micro-batches are parts of one mean."""
        return sum(self.losses)

    def clear(self) -> None:
        """Begin a new step."""
        self.rows, self.losses = [], []
