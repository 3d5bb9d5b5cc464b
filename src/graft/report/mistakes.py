"""The rows that an arm decides wrongly, with their texts, the most confident ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graft.core.facts import UNKNOWN, RowFacts
from graft.metrics.label_sets import decided_labels, true_labels
from graft.report.chart import text_columns
from graft.report.evidence import RunEvidence
from graft.report.numerals import NONE
from graft.report.predictions import columns_of, decides, is_binary, scored
from graft.report.tables import Table, from_frame

MOST_ROWS = 50


@dataclass(frozen=True)
class Mistakes:
    """The wrong decisions of one arm, or the reason why there are none to show.

    Args:
        run: The arm.
        tables: Kind of mistake, and its rows: false positives and false negatives of two classes,
            wrong decisions of more, or of several labels, the errors of a regression.
        threshold: Where it decides, None where decisions need none.
        reason: Why nothing can be shown.
    """

    run: RunEvidence
    tables: tuple[tuple[str, Table], ...] = ()
    threshold: float | None = None
    reason: str = ""


def mistakes(run: RunEvidence, slices: Sequence[str], facts: RowFacts = UNKNOWN) -> Mistakes:
    """Return the wrong decisions of an arm at its threshold.

    Args:
        run: The arm.
        slices: Columns that are slices and not texts.
        facts: Names of the classes, and which columns are texts and table.
    """
    if run.predictions is None:
        return Mistakes(run, reason="there are no test predictions of this arm")
    frame = scored({run.name: run.predictions}).get(run.name)
    if frame is not None and not facts.of_pairs and not facts.binary:
        return _by_kind(frame, run, slices, facts)
    if frame is None or "threshold" not in frame or frame["threshold"].isna().any():
        return Mistakes(run, reason="a score, a label and a threshold are needed")
    if not is_binary({run.name: frame}):
        return Mistakes(run, reason="labels are graded: there is no wrong decision")
    decided = frame["score"] >= frame["threshold"]
    positive = frame["label"] == 1
    texts = _texts(frame, slices, facts)
    tables = (
        ("false positive", _table(frame[decided & ~positive], run, slices, texts, rising=False)),
        ("false negative", _table(frame[~decided & positive], run, slices, texts, rising=True)),
    )
    return Mistakes(run, tables, float(frame["threshold"].iloc[0]))


def _by_kind(
    frame: pd.DataFrame, run: RunEvidence, slices: Sequence[str], facts: RowFacts
) -> Mistakes:
    """Return the errors of numbers, and the wrong decisions on labels and on many classes."""
    if facts.regression:
        return Mistakes(run, (("error", _furthest(frame, run, slices, facts)),))
    if not decides(frame):
        return Mistakes(run, reason="what was decided for each row is needed")
    if facts.multi_label:
        wrong = _wrong_labels(frame, run, slices, facts)
        return Mistakes(run, (("wrong decision", wrong),), float(frame["threshold"].iloc[0]))
    return Mistakes(run, (("wrong decision", _wrong(frame, run, slices, facts)),))


def _texts(frame: pd.DataFrame, slices: Sequence[str], facts: RowFacts) -> list[str]:
    """Return the columns that tell what a row is: its texts, and its table without the slices."""
    if facts.texts:
        return [*facts.texts, *(name for name in facts.table if name not in slices)]
    return text_columns(frame, slices)


def _wrong(frame: pd.DataFrame, run: RunEvidence, slices: Sequence[str], facts: RowFacts) -> Table:
    """Return the rows that are decided to be of another class, by the names of the classes."""
    names = dict(enumerate(facts.classes))
    named = frame.assign(
        **{"class": frame["label"].map(names), "decided": frame["predicted"].map(names)}
    )
    wrong = named[frame["predicted"] != frame["label"]]
    texts = [*_texts(frame, slices, facts), "class", "decided"]
    return _table(wrong, run, slices, texts, rising=False)


def _wrong_labels(
    frame: pd.DataFrame, run: RunEvidence, slices: Sequence[str], facts: RowFacts
) -> Table:
    """Return the rows with labels that are decided wrongly, those with the most of them first."""
    columns = columns_of(frame)
    true, decided = true_labels(columns), decided_labels(columns)
    named = frame.assign(
        labels=[_names(row, facts) for row in true],
        decided=[_names(row, facts) for row in decided],
        wrong=(true != decided).sum(axis=1),
    )
    texts = [*_texts(frame, slices, facts), "labels", "decided", "wrong"]
    return _table(named[named["wrong"] > 0], run, slices, texts, rising=False, by="wrong")


def _names(carried: NDArray[np.bool_], facts: RowFacts) -> str:
    return ", ".join(facts.classes[place] for place in np.flatnonzero(carried)) or NONE


def _furthest(
    frame: pd.DataFrame, run: RunEvidence, slices: Sequence[str], facts: RowFacts
) -> Table:
    """Return the rows, those first whose prediction lies furthest from the label."""
    apart = frame.assign(distance=(frame["label"] - frame["score"]).abs())
    texts = [*_texts(frame, slices, facts), "label", "distance"]
    return _table(apart, run, slices, texts, rising=False, by="distance")


def _table(
    frame: pd.DataFrame,
    run: RunEvidence,
    slices: Sequence[str],
    texts: list[str],
    *,
    rising: bool,
    by: str = "score",
) -> Table:
    kept = [name for name in ("row", "score", *slices, "leaked") if name in frame]
    ordered = frame.sort_values([by, "row"] if "row" in frame else [by], ascending=rising)
    source = f"{run.name}/predictions/test.parquet"
    return from_frame(ordered[[*texts, *kept]], source, MOST_ROWS)
