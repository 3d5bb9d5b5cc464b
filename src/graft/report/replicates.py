"""Arms that were trained with several seeds: in words, as a table, and in one colour each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from graft.core.scores import Metric, Score
from graft.report import words
from graft.report.evidence import Evidence, RunEvidence
from graft.report.numerals import listed
from graft.report.palette import RunStyle
from graft.report.predictions import Styles
from graft.report.tables import Table, from_records


def span(seeds: Sequence[int]) -> str:
    """Return seeds that follow one another in words.

    Example:
        >>> span((42,)), span((42, 43, 44))
        ('42', '42 to 44')
    """
    return f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"


def seeds_words(evidence: Evidence) -> str:
    """Return the seeds of all trainings: that of the experiment, and what follows it."""
    return span(range(evidence.index.seed, evidence.index.seed + evidence.seeds))


def trained_words(evidence: Evidence) -> str:
    """Return how often the arms were trained, in one sentence."""
    times: dict[int, list[str]] = {}
    for arm in evidence.arms:
        if arm.entry.trained:
            times.setdefault(len(arm.trainings), []).append(arm.title)
    if len(times) == 1:
        return f"Every arm was trained {_often(next(iter(times)))}."
    clauses = [f"{listed(titles)} {_often(often)}" for often, titles in sorted(times.items())]
    return f"Trained: {'; '.join(clauses)}."


def _often(times: int) -> str:
    return "once" if times == 1 else f"{times} times"


def first_seed(evidence: Evidence) -> str:
    """Return that what stands for one model is the first seed's; empty if there is only one."""
    if evidence.seeds == 1:
        return ""
    return (
        "Scores are means over the seeds of an arm; what shows single rows, tensors or the "
        f"artefact is of the first seed, {evidence.index.seed}."
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
    arms = [arm for arm in evidence.arms if arm.replicates]
    rows = [
        (
            arm.title,
            metric.title,
            words.value(metric.name, score.value),
            words.ends(metric.name, score.low, score.high),
            words.difference(metric.name, deviation(score)).removeprefix("+"),
            *(words.value(metric.name, value) for value in score.by_seed),
            *([words.value(metric.name, None)] * (count - len(score.by_seed))),
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
