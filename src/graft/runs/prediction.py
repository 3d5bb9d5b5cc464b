"""Scores for the pairs of a file, by a model that was trained and saved."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from graft.core.errors import DataError, InputError, Problem
from graft.core.layout import RunPaths
from graft.core.roles import Split
from graft.data.badrows import listed
from graft.data.checks import check_rows
from graft.data.columns import assign_columns
from graft.data.dataset import TEXTS
from graft.data.readers import read_table
from graft.runs.loading import load
from graft.tasks.pairs import PairsTask

SCORE, DECISION = "predicted_score", "decision"


@dataclass(frozen=True)
class Predicted:
    """What was predicted.

    Args:
        rows: Number of pairs.
        columns: Role to column.
        threshold: Scores from here on are decided as a match; None if no run stands behind the
            model, then there is no decision.
    """

    rows: int
    columns: dict[str, str]
    threshold: float | None


def predict_file(model: Path, source: Path, target: Path, columns: Mapping[str, str]) -> Predicted:
    """Write the rows of `source` with the score of each pair to `target`.

    Args:
        model: Folder of a trained arm, or its model folder.
        source: Data file in any format that training reads; labels are not needed.
        target: `.parquet`, `.csv` or `.jsonl`; written whole or not at all.
        columns: Role (`sentence1`, `sentence2`) to column; customary names need none.

    Raises:
        InputError: The model, the file, a row of it or the target cannot be used.
    """
    write = _writer(source, target)
    table = read_table(source)
    assigned = assign_columns(
        list(table.frame.columns), columns, table.name, required=TEXTS, optional=()
    )
    frame = _checked(table.frame, assigned, table.source_rows, table.name)
    taken = [name for name in (SCORE, DECISION) if name in table.frame.columns]
    if taken:
        what = f"has the columns {taken} already"
        raise DataError(table.name, [Problem(table.name, what, "rename them")])
    scores = PairsTask().encode_rows(load(model), frame)["score"]
    threshold = decision_threshold(model)
    answer = table.frame.assign(**{SCORE: scores})
    if threshold is not None:
        answer[DECISION] = scores >= threshold
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    write(answer, partial)
    partial.replace(target)
    return Predicted(len(answer), assigned, threshold)


def decision_threshold(model: Path) -> float | None:
    """Return the decision threshold of the run behind the model, None if there is no run."""
    root = model if RunPaths(model).model.is_dir() else model.parent
    paths = RunPaths(root)
    for place in (paths.predictions(Split.test), paths.in_memory(Split.test)):
        if place.is_file():
            known = pd.read_parquet(place, columns=["threshold"])["threshold"].dropna()
            return float(known.iloc[0]) if len(known) else None
    return None


def _checked(
    frame: pd.DataFrame, columns: dict[str, str], rows: np.ndarray, name: str
) -> pd.DataFrame:
    picked = pd.DataFrame({role: frame[column] for role, column in columns.items()})
    clean, bad = check_rows(picked, rows)
    if bad:
        raise DataError(name, listed(name, bad))
    return clean


def _writer(source: Path, target: Path) -> Callable[[pd.DataFrame, Path], None]:
    kind = target.suffix.lower()
    problem = None
    if kind not in _WRITERS:
        fix = f"name it {target.stem}.parquet, .csv or .jsonl"
        problem = Problem(str(target), f"has the unknown ending '{kind}'", fix)
    elif target.exists() and source.exists() and target.samefile(source):
        problem = Problem(str(target), "is the input too", "name another file")
    if problem:
        raise InputError("output", [problem])
    return _WRITERS[kind]


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".jsonl": lambda frame, path: frame.to_json(
        path,
        orient="records",
        lines=True,
        force_ascii=False,
        date_format="iso",
        double_precision=15,
    ),
}
