"""What one split holds: counts, duplicates, contradictions, lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd

from graft.core.facts import RowFacts
from graft.core.roles import Split
from graft.core.tables import DataReport, SplitReport, TextLengths
from graft.data.cells import MISSING
from graft.data.dataset import PAIR_FACTS, fingerprint
from graft.data.inputs import whole_inputs
from graft.data.normal_form import Key, is_blank
from graft.data.series import COLUMN
from graft.data.shapes import series_shape

BINS = 10


def split_report(
    frame: pd.DataFrame,
    split: Split,
    slices: tuple[str, ...],
    facts: RowFacts = PAIR_FACTS,
) -> SplitReport:
    """Return what the rows of one split hold.

    Inputs are equal if their texts are, whatever the order of a pair, and their table values. A
    duplicate repeats an earlier row with its label; a contradiction is a group of equal inputs
    whose labels differ.

    Args:
        frame: Rows of the split, as in `Dataset.frame`.
        split: Their split.
        slices: Slice columns.
        facts: Text columns, table columns and classes.
    """
    labels = frame["label"].to_numpy(dtype=np.float64)
    keys = whole_inputs(frame, facts)
    seen: dict[Key, list[int]] = {}
    for index, key in enumerate(keys):
        seen.setdefault(key, []).append(index)
    clashes = [group for group in seen.values() if len(set(labels[group])) > 1]
    firsts = frame["source_row"].to_numpy()[[group[0] for group in clashes][:20]]
    return SplitReport(
        split=split.value,
        rows=len(frame),
        sources=tuple(dict.fromkeys(frame["source"])),
        duplicates=len(frame) - len(set(zip(keys, labels.tolist(), strict=True))),
        contradictions=len(clashes),
        contradiction_rows=tuple(int(row) for row in firsts),
        labels=class_counts(labels, facts.classes) if facts.classes else label_counts(labels),
        slices={name: _counts(frame[name]) for name in slices},
        lengths=tuple(TextLengths(text, _invisible(frame[text])) for text in facts.texts),
        fingerprint=fingerprint(frame, facts),
        missing=_missing(frame, facts) if facts.classes else {},
        series=series_shape(frame[COLUMN].tolist(), facts.channels) if facts.channels else None,
    )


def label_counts(labels: np.ndarray) -> dict[str, int]:
    """Return the count per label: by value if all are 0 or 1, else in ten equal bins.

    Example:
        >>> label_counts(np.array([0.0, 1.0, 1.0]))
        {'0': 1, '1': 2}
        >>> label_counts(np.array([0.5, 1.0]))["0.9-1.0"]
        1
    """
    if np.isin(labels, (0, 1)).all():
        return {str(value): int((labels == value).sum()) for value in (0, 1)}
    counts, edges = np.histogram(labels, bins=BINS, range=(0, 1))
    names = [f"{low:.1f}-{high:.1f}" for low, high in pairwise(edges)]
    return dict(zip(names, counts.tolist(), strict=True))


def class_counts(labels: np.ndarray, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the count per class, in the order of the classes.

    Example:
        >>> class_counts(np.array([1.0, 1.0]), ("no", "yes"))
        {'no': 0, 'yes': 2}
    """
    counts = np.bincount(labels.astype(int), minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def unseen_categories(
    train: pd.DataFrame, rows: pd.DataFrame, categories: tuple[str, ...]
) -> dict[str, int]:
    """Return column to the rows whose category no training row has; only columns with such rows.

    Example:
        >>> train, test = pd.DataFrame({"unit": ["ICU"]}), pd.DataFrame({"unit": ["ICU", "ER"]})
        >>> unseen_categories(train, test, ("unit",))
        {'unit': 1}
    """
    counts = {name: int((~rows[name].isin(set(train[name]))).sum()) for name in categories}
    return {name: count for name, count in counts.items() if count}


def with_token_lengths(
    report: DataReport, lengths: Mapping[tuple[str, str], Sequence[int]], limit: int
) -> DataReport:
    """Return the report with the token columns filled in.

    Args:
        report: Report of the data.
        lengths: (split, text column) to the tokens of each text, special tokens included; what
            is not named stays unknown.
        limit: Tokens that the model reads.

    Example:
        >>> train = SplitReport("train", 2, ("a.csv",), 0, 0, (), {}, {},
        ...     (TextLengths("sentence1", 0),), "")
        >>> report = DataReport((train,), (), "given", {}, ())
        >>> filled = with_token_lengths(report, {("train", "sentence1"): [4, 300]}, limit=256)
        >>> filled.splits[0].lengths[0].truncated
        1
    """
    splits = tuple(
        replace(
            split,
            lengths=tuple(
                _measured(entry, lengths.get((split.split, entry.column), ()), limit)
                for entry in split.lengths
            ),
        )
        for split in report.splits
    )
    return replace(report, splits=splits)


def _measured(entry: TextLengths, tokens: Sequence[int], limit: int) -> TextLengths:
    if not len(tokens):
        return entry
    counts = np.asarray(tokens)
    return replace(
        entry,
        tokens_mean=float(counts.mean()),
        tokens_p95=float(np.percentile(counts, 95)),
        tokens_max=int(counts.max()),
        limit=limit,
        truncated=int((counts > limit).sum()),
    )


def _counts(column: pd.Series[str]) -> dict[str, int]:
    return {str(value): int(count) for value, count in sorted(column.value_counts().items())}


def _missing(frame: pd.DataFrame, facts: RowFacts) -> dict[str, int]:
    return {
        **{name: int((frame[name] == "").sum()) for name in facts.texts},
        **{name: int(frame[name].isna().sum()) for name in facts.numbers},
        **{name: int((frame[name] == MISSING).sum()) for name in facts.categories},
    }


def _invisible(column: pd.Series[str]) -> int:
    return sum(is_blank(text) for text in column)
