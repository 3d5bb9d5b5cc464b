"""The rows of an experiment, dealt out to train, validation and test."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import pandas as pd

from graft.core.errors import DataError, Problem
from graft.core.roles import Split

TEXTS = ("sentence1", "sentence2")
OWN_COLUMNS = ("row", "split", "source", "source_row")


@dataclass(frozen=True, eq=False)
class Dataset:
    """All rows of an experiment with their split.

    Args:
        frame: One row per example. `row` (str, stable id such as `train:17`), `split`, `source`
            (file name), `source_row` (int, line of a text file or record of any other, from 1),
            the role columns (`sentence1`, `sentence2`, `label` as float in 0..1, and where there
            are such columns `group` as str and `time`), and the slice columns as str.
        columns: Role to the name of its column in the files.
        slices: Columns by which metrics are reported too.
        ignored: Columns of the files that nothing reads.
        split_method: How the splits were made, in words.
    """

    frame: pd.DataFrame
    columns: dict[str, str]
    slices: tuple[str, ...]
    ignored: tuple[str, ...]
    split_method: str

    @property
    def texts(self) -> tuple[str, ...]:
        """The text columns, in order."""
        return tuple(role for role in TEXTS if role in self.frame.columns)

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


def fingerprint(frame: pd.DataFrame) -> str:
    """Return the SHA-256 over the ids and contents of the rows, in order, as 64 hex digits.

    The file a row came from and its split play no part, so renaming a file changes nothing.

    Example:
        >>> frame = pd.DataFrame({"row": ["train:1"], "sentence1": ["a"], "label": [1.0]})
        >>> fingerprint(frame) == fingerprint(frame.assign(label=0.0))
        False
    """
    columns = ["row", *sorted(set(frame.columns) - set(OWN_COLUMNS))]
    digest = hashlib.sha256(json.dumps(columns).encode())
    for values in zip(*(frame[column].tolist() for column in columns), strict=True):
        digest.update(json.dumps([str(value) for value in values]).encode() + b"\n")
    return digest.hexdigest()
