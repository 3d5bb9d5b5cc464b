"""Lengths in tokens of the texts of a data set, for the data report."""

from __future__ import annotations

import pandas as pd

from graft.config.sections import BaseSection
from graft.core.tables import DataReport
from graft.data.counts import with_token_lengths
from graft.models.locate import LocatedBase
from graft.tasks.protocol import Task


def with_lengths(
    task: Task, report: DataReport, rows: pd.DataFrame, base: LocatedBase, section: BaseSection
) -> DataReport:
    """Return the report with the token lengths of every text column and split, if there are any."""
    parts = {
        (split.split, column.column): rows.loc[rows["split"] == split.split, column.column]
        for split in report.splits
        for column in split.lengths
    }
    texts = [text for part in parts.values() for text in part]
    if not texts:
        return report
    lengths, limit = task.token_lengths(base, section, texts)
    found, start = {}, 0
    for key, part in parts.items():
        found[key] = lengths[start : start + len(part)].tolist()
        start += len(part)
    return with_token_lengths(report, found, limit)
