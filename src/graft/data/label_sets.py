"""Several labels a row: lists of names, or texts with a separator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from graft.core.errors import DataError, Problem
from graft.core.facts import RowFacts
from graft.data.badrows import BadRow, shown
from graft.data.cells import is_missing
from graft.data.classes import MOST_CLASSES, class_names, ordered
from graft.data.normal_form import is_blank

Labels = tuple[str, ...]


def label_sets(
    column: pd.Series[Any], rows: np.ndarray, separator: str
) -> tuple[list[Labels], list[BadRow]]:
    """Return the labels of each row, and the rows whose labels cannot be read.

    An empty list and an empty text are no label; a cell that is missing is a mistake.

    Args:
        column: Lists of names, or texts.
        rows: [N] row numbers for the errors.
        separator: What stands between the labels of a text.

    Example:
        >>> column = pd.Series(["red | tall", ["red"], "", None])
        >>> sets, bad = label_sets(column, np.arange(1, 5), "|")
        >>> sets, [item.row for item in bad]
        ([('red', 'tall'), ('red',), (), ()], [4])
    """
    found, bad = [], []
    for row, value in zip(rows, column, strict=True):
        labels, problem = _labels(value, int(row), separator)
        found.append(labels)
        bad += [problem] if problem else []
    return found, bad


def _labels(value: object, row: int, separator: str) -> tuple[Labels, BadRow | None]:
    if isinstance(value, str):
        parts = [] if is_blank(value) else [part.strip() for part in value.split(separator)]
    elif isinstance(value, list | tuple | np.ndarray):
        parts = list(value)
    elif is_missing(value):
        fix = "write an empty list or an empty text for no label, or drop the row"
        return (), BadRow(row, "label is missing", fix)
    else:
        what = f"label is {shown(value)}, a {type(value).__name__}, not a list of labels"
        return (), BadRow(row, what, f"write a list, or a text with '{separator}' between labels")
    names, wrong = class_names(pd.Series(parts, dtype=object), np.full(len(parts), row))
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if wrong:
        what = f"label is {shown(value)}: one of its labels is empty, or no name"
        return (), BadRow(row, what, "write a text, a number, or true or false for each label")
    if twice:
        return (), BadRow(row, f"label names {twice} twice", "name each label once")
    return tuple(names), None


def label_names(sets: Sequence[Labels], column: str) -> Labels:
    """Return the names of the labels, in order.

    Args:
        sets: Labels of each row.
        column: Name of the label column.

    Raises:
        DataError: There are not several labels, or far too many.

    Example:
        >>> label_names([("tall", "red"), (), ("red",)], "tags")
        ('red', 'tall')
    """
    counts = Counter(name for labels in sets for name in labels)
    where, problem = f"label column '{column}'", None
    if len(counts) < 2:
        what = f"holds {len(counts)} different labels in {len(sets):,} rows, {sorted(counts)}"
        fix = "name the column of the labels, or check data.label_separator"
        problem = Problem(where, what, fix)
    elif len(counts) > MOST_CLASSES or (max(counts.values()) == 1 and len(counts) > 2):
        what = (
            f"holds {len(counts):,} different labels in {len(sets):,} rows: these look like "
            "identifiers or texts, not labels"
        )
        problem = Problem(
            where, what, "name the column of the labels, or check data.label_separator"
        )
    if problem:
        raise DataError("data", [problem])
    return ordered(set(counts))


def with_label_columns(frame: pd.DataFrame, facts: RowFacts) -> pd.DataFrame:
    """Return the frame with the number of its labels as `label`, and 0 or 1 for each of them.

    Args:
        frame: Rows with the labels of each as `label`.
        facts: Names of the labels.
    """
    places = {name: place for place, name in enumerate(facts.classes)}
    carried = np.zeros((len(frame), len(places)))
    for row, labels in enumerate(frame["label"]):
        carried[row, [places[name] for name in labels]] = 1.0
    columns = pd.DataFrame(carried, columns=list(facts.label_columns), index=frame.index)
    return pd.concat([frame.assign(label=carried.sum(axis=1)), columns], axis=1)
