"""Arms that were trained with several seeds: in words, as a table, and in one colour each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from graft.core.scores import Metric, Score
from graft.report import words
from graft.report.evidence import Evidence, RunEvidence
from graft.report.palette import RunStyle
from graft.report.predictions import Styles
from graft.report.tables import Table, from_records


def seeds_words(evidence: Evidence) -> str:
    """Return the seeds of the trainings.

    Those of an experiment are its seed and what follows it.
    """
    first, count = evidence.index.seed, evidence.seeds
    return f"{first}" if count == 1 else f"{first} to {first + count - 1}"


def first_seed(evidence: Evidence) -> str:
    """Return that what stands for one model is the first seed's; empty if there is only one."""
    if evidence.seeds == 1:
        return ""
    return (
        "Scores are means over the seeds; what shows single rows, tensors or the artefact is of "
        f"the first seed, {evidence.index.seed}."
    )


def deviation(score: Score) -> float | None:
    """Return the standard deviation over the seeds, None if a seed has no value.

    Example:
        >>> deviation(Score("f1", 0.5, None, None, 9, by_seed=(0.4, 0.6))).__round__(3)
        0.141
    """
    known = [value for value in score.by_seed if value is not None]
    if len(known) < 2 or len(known) < len(score.by_seed):
        return None
    return float(np.std(known, ddof=1))


def seed_table(evidence: Evidence, metrics: Sequence[Metric]) -> Table:
    """Return every arm and metric: mean, interval, deviation over the seeds, and each seed."""
    count = evidence.seeds
    arms = [arm for arm in evidence.arms if len(arm.trainings) == count]
    rows = [
        (
            arm.title,
            metric.title,
            words.value(metric.name, score.value),
            words.ends(metric.name, score.low, score.high),
            words.difference(metric.name, deviation(score)).removeprefix("+"),
            *(words.value(metric.name, value) for value in score.by_seed),
        )
        for arm in arms
        for metric in metrics
        if (score := arm.score(metric.name)) and score.by_seed
    ]
    seeds = [f"seed {evidence.index.seed + place}" for place in range(count)]
    columns = ("arm", "metric", "mean", "95 % interval", "deviation over seeds", *seeds)
    table = from_records(columns, rows, "<run>/scores.json")
    return replace(table, numeric=(False, False, *(True for _ in columns[2:])))


def training_styles(runs: Sequence[RunEvidence], styles: Styles) -> dict[str, RunStyle]:
    """Return the styles with those of every replicate: the colour and the key of its arm."""
    further = {
        replicate.name: replace(styles[run.name], title=replicate.title)
        for run in runs
        for replicate in run.replicates
    }
    return {**styles, **further}
