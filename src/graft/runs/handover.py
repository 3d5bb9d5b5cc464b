"""The finished run of one arm as a folder of its own, whole or not there."""

from __future__ import annotations

import shutil
from pathlib import Path

from graft.core.errors import Problem, RunFolderError
from graft.core.files import committed_folder
from graft.core.layout import RunPaths
from graft.core.roles import Split

_FILES = (
    "load", "plan", "history", "ledger", "supervision", "probes", "reading", "options", "cost",
)  # fmt: skip
_FOLDERS = ("model", "adapter")


def hand_over(source: RunPaths, target: Path) -> RunPaths:
    """Copy what training one arm left (model, adapter, plan, ledger, …) to `target`.

    A folder that an earlier hand-over wrote is replaced; any other that holds something is not
    touched.

    Args:
        source: The arm's run folder, trained to the end.
        target: A new or empty folder.

    Raises:
        RunFolderError: `target` holds something else.
    """
    check_target(target)
    with committed_folder(target) as folder:
        for name in _FILES:
            place: Path = getattr(source, name)
            if place.is_file():
                shutil.copy2(place, folder / place.name)
        for name in _FOLDERS:
            place = getattr(source, name)
            if place.is_dir():
                shutil.copytree(place, folder / place.name)
        # Those of the model in memory carry the decision threshold.
        memory = source.in_memory(Split.test)
        if memory.is_file():
            kept = RunPaths(folder).in_memory(Split.test)
            kept.parent.mkdir()
            shutil.copy2(memory, kept)
    return RunPaths(target)


def check_target(target: Path) -> None:
    """Refuse a target that holds something other than a run that was handed over.

    Raises:
        RunFolderError: It does.
    """
    ours = all(path.exists() for path in (RunPaths(target).plan, RunPaths(target).model))
    if target.is_file() or (target.is_dir() and not ours and any(target.iterdir())):
        problem = Problem(str(target), "is there already and holds something", "name a new folder")
        raise RunFolderError("output folder", [problem])
