"""What decides: how much each column counts, and which words of some rows did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ColumnImportance:
    """What the metric loses when one column is shuffled between the rows.

    Args:
        column: The column.
        kind: `text`, `number` or `category`.
        drop: How much worse the metric becomes, mean over the permutations; below 0 if it becomes
            better, None if it was not measured.
        low: Lower end of the 95 % interval over permutations and rows, None if there is none.
        high: Upper end.
        rows: Test rows that it was measured on.
        note: Why it was not measured.
    """

    column: str
    kind: str
    drop: float | None
    low: float | None
    high: float | None
    rows: int
    note: str = ""


@dataclass(frozen=True)
class Importance:
    """How much each column counts in the predictions of one run.

    Args:
        metric: Name of the metric.
        value: The metric on the rows as they are, None if it is not defined on them.
        rows: Test rows, drawn by the seed if there are more.
        test_rows: All test rows.
        permutations: How often each column was shuffled.
        columns: The columns, the one that counts most first.
    """

    metric: str
    value: float | None
    rows: int
    test_rows: int
    permutations: int
    columns: tuple[ColumnImportance, ...]

    @property
    def measured(self) -> tuple[ColumnImportance, ...]:
        """The columns that were measured, the one that counts most first."""
        return tuple(item for item in self.columns if item.drop is not None)


@dataclass(frozen=True)
class WordEffect:
    """What leaving one word out does to one row.

    Args:
        column: Text column.
        start: Where the word begins in the text.
        word: The word as it stands there.
        effect: Log-odds of the decided class with the word minus without it: above 0 the word
            speaks for that class, and 0.69 means that it doubles the odds.
    """

    column: str
    start: int
    word: str
    effect: float


@dataclass(frozen=True)
class ExplainedRow:
    """One test row and its words.

    Args:
        row: Id of the row.
        chosen: Why it was chosen: `certain and right`, `certain and wrong` or `undecided`.
        label: Name of its class.
        decided: Name of the class that it is decided to be of.
        probability: Probability of the decided class.
        texts: Text column to text.
        words: Words that were left out one at a time, in the order of the texts.
        untried: Words beyond those.
    """

    row: str
    chosen: str
    label: str
    decided: str
    probability: float
    texts: dict[str, str]
    words: tuple[WordEffect, ...]
    untried: int

    @property
    def right(self) -> bool:
        """True if the row is decided to be of its class."""
        return self.label == self.decided


@dataclass(frozen=True)
class FrequentWord:
    """A word over all explained rows that are decided for one class.

    Args:
        decided: Name of the class.
        word: The word in lower case.
        effect: Mean effect over these rows; a row without the word counts 0.
        rows: Rows that hold it.
        of: Rows that are decided for the class.
    """

    decided: str
    word: str
    effect: float
    rows: int
    of: int


@dataclass(frozen=True)
class Reasons:
    """What decides in the predictions of one run.

    Args:
        sha256: Of the manifest of the model that was asked, or of a baseline's test predictions.
        importance: What the columns count, None if this was measured for another run.
        rows: The explained rows, empty for runs without a text model of their own.
        words: The words that count most among them.
    """

    sha256: str
    importance: Importance | None
    rows: tuple[ExplainedRow, ...] = ()
    words: tuple[FrequentWord, ...] = ()
