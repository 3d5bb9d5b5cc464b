"""Predictions for the rows of a file, by a model that was trained and saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from graft.core.errors import DataError, InputError, Problem
from graft.data.badrows import BadRow, listed
from graft.data.readers import Table, read_parts
from graft.models.precision import Precision
from graft.models.threads import suitable_threads
from graft.runs.loading import decision_threshold, load
from graft.runs.row_writer import ENDINGS, joint_schema, row_writer
from graft.runs.scorers import Scorer, scorer_of
from graft.train.progress import progress_bar

# Rows that are in memory at once, with two embeddings: 60 MB if those have 384 numbers.
PART = 4096


@dataclass(frozen=True)
class Predicted:
    """What was predicted.

    Args:
        rows: Number of rows.
        columns: Role to column.
        threshold: Scores from here on are decided as a match, or as the positive class; None if
            no run stands behind the model, or there are more than two classes.
        added: Columns that were written beside those of the file.
        positive: The class that the threshold decides on, empty for pairs and several labels.
        kind: What the label is, empty for pairs.
    """

    rows: int
    columns: dict[str, str]
    threshold: float | None
    added: tuple[str, ...] = ()
    positive: str = ""
    kind: str = ""


@dataclass(frozen=True)
class _Survey:
    """What a file holds: its columns, which of them are the texts, its rows, types for Parquet."""

    names: list[str]
    assigned: dict[str, str]
    rows: int
    schema: pa.Schema | None


def predict_file(
    model: Path,
    source: Path,
    target: Path,
    columns: Mapping[str, str],
    precision: Precision = "fp32",
) -> Predicted:
    """Write the rows of `source` with what the model predicts for each to `target`.

    The file is read part by part, once for its columns, once to check every row and once to
    predict, so memory does not grow with its length. What cannot be read in parts
    (`data.readers.read_parts`) is held whole.

    Args:
        model: Folder of a trained arm, or its model folder.
        source: Data file in any format that training reads; labels are not needed.
        target: `.parquet`, `.csv` or `.jsonl`; written whole or not at all.
        columns: Role (`sentence1`, `sentence2`; of a classification the name that a column had in
            training) to column; customary and equal names need none.
        precision: `fp32` gives the scores of the artefact, bf16 rounds them.

    Raises:
        InputError: The model, the file, a row of it or the target cannot be used.
    """
    _check_places(source, target)
    scorer = scorer_of(load(model), decision_threshold(model), precision)
    survey = _surveyed(source, scorer, columns, target.suffix.lower() == ".parquet")
    done = 0
    with (
        suitable_threads(),
        progress_bar(f"predict {source.name}", survey.rows, unit="rows") as report,
        row_writer(target, _with_added(survey.schema, scorer)) as write,
    ):
        for part in read_parts(source, PART):
            rows, bad = _checked(part, scorer, survey.assigned)
            _refuse(source.name, bad)  # the file was changed after the survey
            found = scorer.score(rows).set_axis(part.frame.index)
            answer = pd.concat([part.frame.reindex(columns=survey.names), found], axis=1)
            write(answer)
            done += len(answer)
            report(done, "")
    return Predicted(
        rows=done,
        columns=survey.assigned,
        threshold=scorer.threshold,
        added=tuple(scorer.added),
        positive=scorer.positive,
        kind=scorer.kind,
    )


def _check_places(source: Path, target: Path) -> None:
    kind = target.suffix.lower()
    problem = None
    if kind not in ENDINGS:
        fix = f"name it {target.stem}.parquet, .csv or .jsonl"
        problem = Problem(str(target), f"has the unknown ending '{kind}'", fix)
    elif target.exists() and source.exists() and target.samefile(source):
        problem = Problem(str(target), "is the input too", "name another file")
    if problem:
        raise InputError("output", [problem])
    if source.exists() and not (source.is_file() or source.is_dir()):
        fix = "save it as a file: it is read more than once"
        raise DataError(source.name, [Problem(str(source), "is a pipe or a device", fix)])


def _surveyed(source: Path, scorer: Scorer, columns: Mapping[str, str], typed: bool) -> _Survey:
    """Return what the file holds; every row of it was checked.

    Raises:
        InputError: Rows that cannot be used, all at once; columns that are missing or taken.
    """
    names: dict[str, None] = {}
    for part in read_parts(source, PART):
        names |= dict.fromkeys(part.frame.columns)
    assigned = scorer.assign(list(names), columns, source.name)
    taken = [name for name in scorer.added if name in names]
    if taken:
        what = f"has the columns {taken} already"
        raise DataError(source.name, [Problem(source.name, what, "rename them")])
    rows, schema = 0, None
    bad: list[BadRow] = []
    for part in read_parts(source, PART):
        rows += len(part.frame)
        bad += _checked(part, scorer, assigned)[1]
        if typed:
            schema = joint_schema(schema, part.frame, source.name)
    _refuse(source.name, bad)
    return _Survey(list(names), assigned, rows, schema)


def _checked(
    part: Table, scorer: Scorer, assigned: Mapping[str, str]
) -> tuple[pd.DataFrame, list[BadRow]]:
    read = part.frame.reindex(columns=list(assigned.values())).set_axis(list(assigned), axis=1)
    return scorer.check(read, part.source_rows)


def _refuse(name: str, bad: list[BadRow]) -> None:
    if bad:
        raise DataError(name, listed(name, bad))


def _with_added(schema: pa.Schema | None, scorer: Scorer) -> pa.Schema | None:
    if schema is None:
        return None
    return pa.schema([*schema, *(pa.field(name, kind) for name, kind in scorer.added.items())])
