"""The index of an experiment: what was run, on what, with which versions."""

from __future__ import annotations

from dataclasses import dataclass

from graft.core.roles import Role

BASE_RUN = "base"  # the baseline that is the untouched base model


@dataclass(frozen=True)
class RunEntry:
    """One arm or baseline of the experiment.

    Args:
        name: Its key in the recipe and its folder.
        role: Arm or baseline.
        title: A few words for people.
        trained: True if it has plan, history, ledger and a model folder.
    """

    name: str
    role: Role
    title: str
    trained: bool


@dataclass(frozen=True)
class ExperimentIndex:
    """What the experiment is.

    Args:
        name: Name of the experiment, also its folder.
        task: `pairs`, …
        base: Base model as the recipe names it.
        base_run: Name of the baseline that is the untouched base.
        primary: Primary metric.
        seed: The seed.
        runs: Baselines first, then arms, in the order of the recipe.
        slices: Columns by which metrics are also reported.
        recipe_sha256: Hash of the resolved recipe.
        versions: Versions of the libraries that matter.
        hardware: What it ran on.
    """

    name: str
    task: str
    base: str
    base_run: str
    primary: str
    seed: int
    runs: tuple[RunEntry, ...]
    slices: tuple[str, ...]
    recipe_sha256: str
    versions: dict[str, str]
    hardware: str
