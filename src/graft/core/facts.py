"""What a task must know of the rows: which columns it reads, and what the labels mean."""

from __future__ import annotations

from dataclasses import dataclass

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"


@dataclass(frozen=True)
class RowFacts:
    """Columns and classes of a data set.

    Args:
        texts: Text columns, in order.
        numbers: Table columns that hold numbers, NaN where one is missing.
        categories: Table columns that hold names, `(missing)` where one is missing.
        classes: Name of each class; a label is a place in it. Of two classes the second is the
            positive one. Of several labels a row they are the names of these. Empty for labels that
            are graded, or numbers.
        problem_type: Whether a row has one class, any number of labels, or a number to predict, by
            the names of Hugging Face.
        channels: Names of the channels of a series. Empty for rows that are no series.

    Example:
        >>> RowFacts(texts=("review",), classes=("no", "yes")).binary
        True
    """

    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    problem_type: str = SINGLE_LABEL
    channels: tuple[str, ...] = ()

    @property
    def table(self) -> tuple[str, ...]:
        """The table columns: numbers, then categories."""
        return self.numbers + self.categories

    @property
    def binary(self) -> bool:
        """True if a row is of one of two classes."""
        return len(self.classes) == 2 and not self.multi_label

    @property
    def one_class(self) -> bool:
        """True if a row is of one class, of two or of more."""
        return bool(self.classes) and not self.multi_label

    @property
    def multi_label(self) -> bool:
        """True if a row has any number of labels."""
        return self.problem_type == MULTI_LABEL

    @property
    def regression(self) -> bool:
        """True if the label is a number to predict."""
        return self.problem_type == REGRESSION

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns that say for each label whether a row has it, 0 or 1; of several labels only.

        Example:
            >>> RowFacts(classes=("red", "tall"), problem_type=MULTI_LABEL).label_columns
            ('y_0', 'y_1')
        """
        names = tuple(f"y_{place}" for place in range(len(self.classes)))
        return names if self.multi_label else ()

    @property
    def of_pairs(self) -> bool:
        """True if a row is a pair of texts: nothing was said of classes or numbers."""
        return not (self.classes or self.regression)


UNKNOWN = RowFacts()
