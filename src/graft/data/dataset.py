"""The rows of an experiment, dealt out to train, validation and test."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from graft.core.errors import DataError, Problem
from graft.core.facts import RowFacts
from graft.core.jsonable import dumps
from graft.core.roles import Split
from graft.data.series import COLUMN, as_lists, series_digest

TEXTS = ("sentence1", "sentence2")
PAIR_FACTS = RowFacts(texts=TEXTS)
OWN_COLUMNS = ("row", "split", "source", "source_row")


@dataclass(frozen=True, eq=False)
class Dataset:
    """All rows of an experiment with their split.

    Args:
        frame: One row per example. `row` (str, stable id such as `train:17`), `split`, `source`
            (file name), `source_row` (int, line of a text file or record of any other, from 1),
            the role columns (of pairs `sentence1`, `sentence2` and `label` as float in 0..1; of a
            classification `label` as float: the place of the class, the number of several labels
            with a column `y_0`, `y_1`, … of 0 and 1 for each, or the number to predict; where there
            are such columns `group` as str and `time`), and the slice columns as str. A
            classification has its text columns (str, "" where one is missing) and its table columns
            (float with NaN, or str with `(missing)`) under their own names. Of series `series` is a
            column of float32 arrays [time, channels], NaN where a value is missing, and where there
            are such columns `start` and `end` say when a window begins and ends.
        columns: Role to the name of its column in the files.
        slices: Columns by which metrics are reported too.
        ignored: Columns of the files that nothing reads.
        split_method: How the splits were made, in words.
        facts: Text columns, table columns and classes.
        notes: What a person should know about how the rows were read and dealt out.
    """

    frame: pd.DataFrame
    columns: dict[str, str]
    slices: tuple[str, ...]
    ignored: tuple[str, ...]
    split_method: str
    facts: RowFacts = PAIR_FACTS
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The text columns, in order."""
        return self.facts.texts

    def rows(self, split: Split) -> pd.DataFrame:
        """Return a copy of the rows of `split`, index from 0; validation may be empty.

        Raises:
            DataError: There are no training rows or no test rows.
        """
        frame = self.frame[self.frame["split"] == split.value].reset_index(drop=True)
        if frame.empty and split is not Split.validation:
            counts = self.frame["split"].value_counts().to_dict()
            problem = Problem(
                f"split '{split.value}'",
                f"holds no rows; rows per split: {counts}",
                f"name a file in data.{split.value} or give the split a larger share",
            )
            raise DataError("data", [problem])
        return frame

    def as_read(self, split: Split) -> pd.DataFrame:
        """Return the rows of `split` under the names of the files, in a form that reads back.

        Labels of a classification are the names of their classes, of several labels a list of them;
        a number that is missing is None. Series are lists of time steps.
        """
        rows = self.rows(split)
        kept = () if self.facts.of_pairs else (*self.facts.texts, *self.facts.table)
        names = {**self.columns, **{name: name for name in (*kept, *self.slices)}}
        if not self.facts.of_pairs:
            numbers = rows[list(self.facts.numbers)].astype(object)
            labels = rows["label"] if self.facts.regression else self._names(rows)
            rows = rows.assign(label=labels, **numbers.where(numbers.notna(), None))
        if self.facts.channels:
            rows[COLUMN] = rows[COLUMN].map(as_lists)
        return rows[list(names)].rename(columns=names)

    def _names(self, rows: pd.DataFrame) -> list[Any]:
        """Return the name of the class of each row, of several labels the list of them."""
        classes = self.facts.classes
        if not self.facts.multi_label:
            return [classes[int(place)] for place in rows["label"]]
        carried = rows[list(self.facts.label_columns)].to_numpy()
        return [[classes[place] for place in np.flatnonzero(row)] for row in carried]


def fingerprint(frame: pd.DataFrame, facts: RowFacts = PAIR_FACTS) -> str:
    """Return the SHA-256 over the ids and contents of the rows, in order, as 64 hex digits.

    The file a row came from and its split play no part, so renaming a file changes nothing. What a
    classification takes for text, number, category and class does.

    Args:
        frame: Rows.
        facts: Text columns, table columns and classes.

    Example:
        >>> frame = pd.DataFrame({"row": ["train:1"], "sentence1": ["a"], "label": [1.0]})
        >>> fingerprint(frame) == fingerprint(frame.assign(label=0.0))
        False
    """
    columns = ["row", *sorted(set(frame.columns) - set(OWN_COLUMNS))]
    digest = hashlib.sha256(json.dumps(columns).encode())
    if not facts.of_pairs:
        digest.update(dumps(facts).encode())
    if facts.channels:
        frame = frame.assign(**{COLUMN: frame[COLUMN].map(series_digest)})
    for values in zip(*(frame[column].tolist() for column in columns), strict=True):
        digest.update(json.dumps([str(value) for value in values]).encode() + b"\n")
    return digest.hexdigest()
