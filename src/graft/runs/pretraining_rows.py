"""The rows of a pretraining: from files without labels, or the training rows, some held out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from graft.config.data import SplitSection
from graft.config.pretraining import PretrainSection
from graft.core.errors import DataError, Problem
from graft.core.facts import RowFacts
from graft.core.roles import Split
from graft.core.tables import DataReport
from graft.data.counts import split_report
from graft.data.dataset import fingerprint
from graft.data.leakage import leakage_report
from graft.data.splits import WORDS, deal
from graft.data.unlabelled import unlabelled_rows
from graft.runs.experiment import Experiment

_NEEDS = {"grouped": "group", "by_time": "time"}


@dataclass(frozen=True, eq=False)
class PretrainingRows:
    """Rows to learn from and rows to choose by, and the report on both.

    Args:
        frame: Rows with `row`, `split` (`train` or `validation`) and what the task reads.
        report: What is known of them; its leakage into `test` is that into the test rows of the
            experiment.
    """

    frame: pd.DataFrame
    report: DataReport

    def of(self, split: Split) -> pd.DataFrame:
        """Return the rows of a split, index from 0."""
        return self.frame[self.frame["split"] == split].reset_index(drop=True)


def pretraining_rows(
    experiment: Experiment, section: PretrainSection, labelled: pd.DataFrame
) -> PretrainingRows:
    """Return the rows that the recipe pretrains on; no label is read.

    Args:
        experiment: The experiment, bound to the facts of its rows.
        section: Its section on pretraining.
        labelled: Rows of the experiment with their splits.

    Raises:
        DataError: Files or rows that cannot be used, other channels, or nothing to hold out.
    """
    data, facts = experiment.recipe.data, replace(experiment.facts, classes=())
    notes: tuple[str, ...] = ()
    if section.unlabelled is None:
        rows = labelled[labelled["split"] == Split.train].drop(columns="label")
    else:
        files = (section.unlabelled,) if isinstance(section.unlabelled, str) else section.unlabelled
        read = unlabelled_rows(files, data, experiment.loaded.folder, "pretrain.unlabelled")
        _check_channels(read.channels, facts)
        rows, notes = read.frame, read.notes
    frame = rows.drop(columns="split", errors="ignore").reset_index(drop=True)
    frame["split"], method = _held_out(experiment, section, frame, facts)
    found = PretrainingRows(frame, DataReport((), (), method, {}, (), facts, notes))
    train, held_out = (found.of(split) for split in (Split.train, Split.validation))
    leakage = [leakage_report(train, held_out, Split.validation, data.leakage, facts)]
    test = labelled[labelled["split"] == Split.test].reset_index(drop=True)
    if section.unlabelled is not None and len(test):
        leakage.append(leakage_report(frame, test, Split.test, data.leakage, facts))
    splits = tuple(
        replace(
            split_report(part.assign(label=0.0), split, (), facts),
            labels={},
            fingerprint=fingerprint(part, facts),
        )
        for split, part in ((Split.train, train), (Split.validation, held_out))
    )
    return replace(found, report=replace(found.report, splits=splits, leakage=tuple(leakage)))


def _held_out(
    experiment: Experiment, section: PretrainSection, frame: pd.DataFrame, facts: RowFacts
) -> tuple[np.ndarray, str]:
    """Return the split of each row, by the method of the recipe where its column is there."""
    method = experiment.recipe.data.split.method
    if _NEEDS.get(method, "row") not in frame:
        method = "stratified"
    split = SplitSection(method=method, validation=section.validation)
    dealt = deal(frame.assign(label=0.0), split, experiment.recipe.seed, (Split.validation,), facts)
    words = WORDS[method].removeprefix("stratified by label, ")
    return dealt, f"validation: {section.validation:.3g} of the rows, {words}"


def _check_channels(channels: tuple[str, ...], facts: RowFacts) -> None:
    if channels == facts.channels:
        return
    what = f"hold the channels {list(channels)}, the labelled rows {list(facts.channels)}"
    fix = "give both the same channels, or name them in data.series.channels"
    raise DataError("pretraining", [Problem("recipe, pretrain.unlabelled", what, fix)])
