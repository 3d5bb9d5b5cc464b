"""From what the user names to an experiment; a mistake in a recipe is told before torch loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graft.core.errors import InputError, Problem

if TYPE_CHECKING:
    from graft.runs.experiment import Experiment


def opened(recipe: Path, settings: Sequence[str] | None, runs: Path) -> Experiment:
    """Return the experiment of a recipe.

    Raises:
        RecipeError: Every problem of the recipe.
        RunFolderError: The run folder belongs to another recipe.
    """
    from graft.config.loading import load_recipe

    load_recipe(recipe, settings or ())
    from graft.runs.experiment import open_experiment

    return open_experiment(recipe, settings or (), runs)


def opened_or_found(source: Path, settings: Sequence[str] | None, runs: Path) -> Experiment:
    """Return the experiment of a recipe, or the one that lies in a run folder.

    Raises:
        InputError: As `opened`, or there are settings for a run that is there.
    """
    if not source.is_dir():
        return opened(source, settings, runs)
    if settings:
        problem = Problem("--set", "cannot change a run that is there", "give the recipe instead")
        raise InputError(str(source), [problem])
    from graft.runs.experiment import find_experiment

    return find_experiment(source)
