"""Task by name."""

from __future__ import annotations

from graft.config.pretraining import PretrainSection
from graft.core.facts import UNKNOWN, RowFacts
from graft.tasks.class_task import Costs
from graft.tasks.classification import ClassificationTask
from graft.tasks.masked_series import MaskedSeries
from graft.tasks.pairs import PairsTask
from graft.tasks.pretraining import PretrainingTask
from graft.tasks.protocol import Task
from graft.tasks.series import SeriesTask

_PAIRS = PairsTask()


def task_of(name: str, facts: RowFacts | None = None, costs: Costs | None = None) -> Task:
    """Return the task `name` for rows with these facts.

    Args:
        name: Kind of task.
        facts: Columns and classes; None before the rows were read, then the task knows all of its
            measures and can train nothing.
        costs: What a false positive and a false negative of two classes cost; None to decide by
            the best F1.

    Example:
        >>> task_of("pairs").embedded
        ('sentence1', 'sentence2')
    """
    if name == "classification":
        return ClassificationTask(facts or UNKNOWN, costs)
    if name == "series":
        return SeriesTask(facts or UNKNOWN, costs)
    return _PAIRS


def pretraining_of(section: PretrainSection, seed: int, facts: RowFacts) -> PretrainingTask:
    """Return the pretraining that a recipe describes; that of series is the only one yet.

    Args:
        section: The recipe's section.
        seed: The experiment's seed.
        facts: What is known of the rows.
    """
    return MaskedSeries(section, seed, facts)
