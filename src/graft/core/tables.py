"""What is known about the data: the report on the rows, on the splits and on leakage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from graft.core.facts import UNKNOWN, RowFacts


@dataclass(frozen=True)
class TextLengths:
    """Lengths of the texts of one column.

    Args:
        column: Name of the column (its role).
        empty: Texts without a visible character.
        tokens_mean: Mean tokens per text, None before a tokenizer is at hand.
        tokens_p95: 95th percentile.
        tokens_max: Longest text.
        limit: Tokens that the model reads.
        truncated: Texts that are longer than the limit.
    """

    column: str
    empty: int
    tokens_mean: float | None = None
    tokens_p95: float | None = None
    tokens_max: int | None = None
    limit: int | None = None
    truncated: int | None = None


@dataclass(frozen=True)
class SeriesShape:
    """What the series of one split are like.

    Args:
        shortest: Time steps of the shortest series.
        median: Time steps of the one in the middle.
        longest: Time steps of the longest.
        gaps: Values that are missing, of all channels.
        rows_with_gaps: Series with a missing value.
        constant: Series of which no channel varies.
        still: Channel to the series in which it does not vary; only such channels.
    """

    shortest: int
    median: float
    longest: int
    gaps: int
    rows_with_gaps: int
    constant: int
    still: dict[str, int]


@dataclass(frozen=True)
class SplitReport:
    """What one split holds.

    Args:
        split: `train`, `validation` or `test`.
        rows: Number of rows.
        sources: Files that they come from.
        duplicates: Rows that repeat an earlier row of the split.
        contradictions: Groups of equal inputs with different labels.
        contradiction_rows: First rows of such groups (row numbers), at most 20.
        labels: Count per class, by its name, in the order of the classes; graded labels are binned.
        slices: For each slice column, count per value.
        lengths: One entry per text column.
        fingerprint: SHA-256 of the row ids and contents in order.
        missing: Text or table column of a classification to the rows that lack it.
        unseen: Table column to the rows whose category no training row has; only such columns.
        series: Lengths and gaps of the series; None of rows that are none.
    """

    split: str
    rows: int
    sources: tuple[str, ...]
    duplicates: int
    contradictions: int
    contradiction_rows: tuple[int, ...]
    labels: dict[str, int]
    slices: dict[str, dict[str, int]]
    lengths: tuple[TextLengths, ...]
    fingerprint: str
    missing: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)
    series: SeriesShape | None = None


@dataclass(frozen=True)
class TableColumn:
    """What the training rows say about one table column.

    Args:
        column: Its name.
        kind: `number` or `category`.
        values: Rows that have a value.
        distinct: Different values.
        counting: True for numbers that count rows: they rise, or fall, from each row to the next in
            every file, or are whole, all different and too dense for chance.
        alone: How well it alone predicts the label of rows that were not used, from 0.5 (chance) to
            1 (always right): ROC-AUC of two classes; of more the balanced accuracy, rescaled. None
            where there are too few rows to measure it.
    """

    column: str
    kind: str
    values: int
    distinct: int
    counting: bool
    alone: float | None = None


@dataclass(frozen=True)
class LeakedRow:
    """One evaluation row that the training split gives away.

    Args:
        split: Split of the row (`validation` or `test`).
        row: Row id.
        kinds: `exact`, `normalised`, `near`, `shared_text`, `shared_texts_all`, `group`, `overlap`,
            `time`.
        train_rows: Ids of the training rows that give it away, at most 5.
        texts: Texts of the row, cut to 200 characters.
    """

    split: str
    row: str
    kinds: tuple[str, ...]
    train_rows: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class LeakageReport:
    """What the training split gives away of one evaluation split.

    Args:
        split: `validation` or `test`.
        rows: Rows of the split.
        exact: Rows that stand in the training split (same input, order of a pair aside).
        normalised: Rows that do after lower-casing and removing punctuation and spaces; series that
            do up to offset and scale.
        near: Rows whose near-duplicate (MinHash, then exact Jaccard; of series the correlation)
            stands there.
        shared_any: Rows of which at least one text stands in the training split; None of series.
        shared_all: Rows of which every text stands in the training split; None of series.
        groups: Rows whose group stands in the training split; None without a group column.
        time: Rows older than the youngest training row, windows by their ends; None without a time
            column.
        leaked: The rows that count as leaked, with why.
        clean_rows: Rows that are left when the leaked ones are taken out.
        policy: Which kinds count as leaked.
        overlap: Windows that share a time with a training window of their group; None of texts, and
            without columns of their start and end.
    """

    split: str
    rows: int
    exact: int
    normalised: int
    near: int
    shared_any: int | None
    shared_all: int | None
    groups: int | None
    time: int | None
    leaked: tuple[LeakedRow, ...]
    clean_rows: int
    policy: tuple[str, ...]
    overlap: int | None = None


@dataclass(frozen=True)
class DataReport:
    """What is known about the rows before training.

    Args:
        splits: One report per split.
        leakage: One report per evaluation split.
        split_method: How the splits were made, in words.
        columns: Role to column name.
        ignored_columns: Columns of the files that nothing reads.
        facts: What a task must know of the rows.
        notes: What a person should know.
        table: One entry per table column.
    """

    splits: tuple[SplitReport, ...]
    leakage: tuple[LeakageReport, ...]
    split_method: str
    columns: dict[str, str]
    ignored_columns: tuple[str, ...]
    facts: RowFacts = UNKNOWN
    notes: tuple[str, ...] = ()
    table: tuple[TableColumn, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
