"""The rows that an arm decides wrongly, with their texts, the most confident ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from graft.core.facts import UNKNOWN, RowFacts
from graft.report.chart import text_columns
from graft.report.evidence import RunEvidence
from graft.report.predictions import is_binary, scored
from graft.report.tables import Table, from_frame

MOST_ROWS = 50


@dataclass(frozen=True)
class Mistakes:
    """The wrong decisions of one arm, or the reason why there are none to show.

    Args:
        run: The arm.
        tables: Kind of mistake, and its rows: false positives and false negatives of two classes,
            wrong decisions of more.
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
    if frame is not None and "predicted" in frame and facts.classes:
        return Mistakes(run, (("wrong decision", _wrong(frame, run, slices, facts)),))
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


def _table(
    frame: pd.DataFrame, run: RunEvidence, slices: Sequence[str], texts: list[str], *, rising: bool
) -> Table:
    kept = [name for name in ("row", "score", *slices, "leaked") if name in frame]
    by = ["score", "row"] if "row" in frame else ["score"]
    ordered = frame.sort_values(by, ascending=rising)
    source = f"{run.name}/predictions/test.parquet"
    return from_frame(ordered[[*texts, *kept]], source, MOST_ROWS)
