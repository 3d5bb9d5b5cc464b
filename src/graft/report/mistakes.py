"""The rows that an arm decides wrongly, with their texts, the most confident ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from graft.report.chart import text_columns
from graft.report.evidence import RunEvidence
from graft.report.predictions import is_binary, scored
from graft.report.tables import Table, from_frame

MOST_ROWS = 50


@dataclass(frozen=True)
class Mistakes:
    """False positives and false negatives of one arm, or the reason why there are none to show."""

    run: RunEvidence
    positives: Table | None
    negatives: Table | None
    threshold: float | None
    reason: str = ""


def mistakes(run: RunEvidence, slices: Sequence[str]) -> Mistakes:
    """Return the wrong decisions of an arm at its threshold.

    Args:
        run: The arm.
        slices: Columns that are slices and not texts.
    """
    if run.predictions is None:
        return Mistakes(run, None, None, None, "there are no test predictions of this arm")
    frame = scored({run.name: run.predictions}).get(run.name)
    if frame is None or "threshold" not in frame or frame["threshold"].isna().any():
        return Mistakes(run, None, None, None, "a score, a label and a threshold are needed")
    if not is_binary({run.name: frame}):
        return Mistakes(run, None, None, None, "labels are graded: there is no wrong decision")
    decided = frame["score"] >= frame["threshold"]
    positive = frame["label"] == 1
    return Mistakes(
        run,
        _table(frame[decided & ~positive], run, slices, rising=False),
        _table(frame[~decided & positive], run, slices, rising=True),
        float(frame["threshold"].iloc[0]),
    )


def _table(frame: pd.DataFrame, run: RunEvidence, slices: Sequence[str], *, rising: bool) -> Table:
    texts = text_columns(frame, slices)
    kept = [name for name in ("row", "score", *slices, "leaked") if name in frame]
    ordered = frame.sort_values(["score", "row"] if "row" in frame else "score", ascending=rising)
    source = f"{run.name}/predictions/test.parquet"
    return from_frame(ordered[[*texts, *kept]], source, MOST_ROWS)
