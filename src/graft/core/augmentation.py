"""What was added to the training rows of an arm."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """Altered copies of training rows.

    Args:
        alterations: Alteration to its strength.
        rows: Class to the rows that were there.
        copies: Class to the copies that were added.
        sources: Ids of the rows that were copied.
    """

    alterations: dict[str, float]
    rows: dict[str, int]
    copies: dict[str, int]
    sources: tuple[str, ...]

    @property
    def added(self) -> int:
        """Copies of all classes."""
        return sum(self.copies.values())
