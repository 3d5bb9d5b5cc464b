"""The index of an experiment: what was run, on what, with which versions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from graft.core.roles import Role

BASE_RUN = "base"  # the baseline that is the untouched base model


def replicates_of(arm: str, seeds: Sequence[int]) -> dict[str, int]:
    """Return the name of each training of an arm, which is also its folder, and its seed.

    The training with the first seed is the arm's own run, and its artefact the arm's.

    Example:
        >>> replicates_of("lora", (42, 43))
        {'lora': 42, 'lora/seed-43': 43}
    """
    return {f"{arm}/seed-{seed}" if place else arm: seed for place, seed in enumerate(seeds)}


def arm_of(replicate: str) -> str:
    """Return the name of the arm that a training belongs to.

    Example:
        >>> arm_of("lora/seed-43"), arm_of("lora")
        ('lora', 'lora')
    """
    return re.sub(r"/seed-\d+$", "", replicate)


@dataclass(frozen=True)
class RunEntry:
    """One arm or baseline of the experiment.

    Args:
        name: Its key in the recipe and its folder.
        role: Arm or baseline.
        title: A few words for people.
        trained: True if it has plan, history, ledger and a model folder.
        seeds: Seeds that it was trained with; none for what draws nothing.
    """

    name: str
    role: Role
    title: str
    trained: bool
    seeds: tuple[int, ...] = ()

    @property
    def replicates(self) -> tuple[str, ...]:
        """The names of its trainings, its own first."""
        return tuple(replicates_of(self.name, self.seeds)) or (self.name,)


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
