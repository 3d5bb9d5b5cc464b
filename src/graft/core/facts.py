"""What a task must know of the rows: which columns it reads, and what the labels mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RowFacts:
    """Columns and classes of a data set.

    Args:
        texts: Text columns, in order.
        numbers: Table columns that hold numbers, NaN where one is missing.
        categories: Table columns that hold names, `(missing)` where one is missing.
        classes: Name of each class; a label is a place in it. Of two classes the second is the
            positive one. Empty for labels that are graded.
        channels: Names of the channels of a series. Empty for rows that are no series.

    Example:
        >>> RowFacts(texts=("review",), classes=("no", "yes")).binary
        True
    """

    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @property
    def table(self) -> tuple[str, ...]:
        """The table columns: numbers, then categories."""
        return self.numbers + self.categories

    @property
    def binary(self) -> bool:
        """True if there are two classes."""
        return len(self.classes) == 2


UNKNOWN = RowFacts()
