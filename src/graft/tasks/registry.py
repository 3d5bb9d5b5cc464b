"""Task by name."""

from __future__ import annotations

from graft.tasks.pairs import PairsTask
from graft.tasks.protocol import Task

_TASKS: dict[str, Task] = {"pairs": PairsTask()}


def task_of(name: str) -> Task:
    """Return the task `name`.

    Example:
        >>> task_of("pairs").text_roles
        ('sentence1', 'sentence2')
    """
    return _TASKS[name]
