"""A short trial of an arm: the real stages on a few rows, at a rate of 0, in a folder that goes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from graft.core.files import read_json, read_jsonl
from graft.core.layout import ExperimentPaths
from graft.core.ledger import Ledger
from graft.core.plan import PlannedPhase, ResolvedPlan
from graft.core.seeds import generator
from graft.runs.arms import PreparedArm, train_prepared
from graft.runs.experiment import Experiment
from graft.tasks.protocol import Example, Task

STEPS, EPOCHS = 3, 2  # of each phase; what is stored in the first epoch is used in the second
ROWS = 64  # of each split, to be predicted


@dataclass(frozen=True)
class Trial:
    """What a trial left behind.

    Args:
        seconds: Wall time of all its stages.
        plan: Its plan.
        history: Its steps, evaluations and checkpoints.
        ledger: Its ledger.
        examples: Training examples that it saw.
        rows: Rows of all splits that it predicted from.
    """

    seconds: float
    plan: ResolvedPlan
    history: tuple[dict[str, Any], ...]
    ledger: Ledger
    examples: Sequence[Example]
    rows: pd.DataFrame

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the records of one kind: `step`, `evaluation` or `checkpoint`."""
        return [record for record in self.history if record["kind"] == kind]

    def seconds_of(self, kind: str) -> list[float]:
        """Return the seconds of every record of one kind."""
        return [record["seconds"] for record in self.of(kind)]


def run_trial(experiment: Experiment, prepared: PreparedArm, rows: pd.DataFrame) -> Trial:
    """Return what a few steps of every phase did, from the probes to the saved artefact.

    Every stage of the training of an arm runs as it is, checkpoints and validation included. The
    rate is 0, so no weight changes; the folder is removed.

    Args:
        experiment: The experiment.
        prepared: The arm; its model is left as it was, but for flags and modes.
        rows: All rows with their splits.
    """
    plan = _trial_plan(prepared.plan)
    examples = _examples(experiment.task, prepared, plan.steps_per_epoch)
    total = sum(map(experiment.task.tokens, prepared.examples))
    share = sum(map(experiment.task.tokens, examples)) / total
    training = prepared.arm.training
    changed = {
        # With a rate of 0 nothing ever gets better.
        "early_stopping_patience": None,
        # What would not fit for all rows must not fit for a few.
        "feature_cache_gb": training.feature_cache_gb * share,
    }
    arm = prepared.arm.model_copy(update={"training": training.model_copy(update=changed)})
    small = replace(prepared, arm=arm, plan=plan, examples=examples)
    few = rows.groupby("split", sort=False).head(ROWS).reset_index(drop=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        torch.random.fork_rng(devices=[]),
    ):
        paths = ExperimentPaths(Path(folder))
        started = time.perf_counter()
        train_prepared(replace(experiment, paths=paths), small, few, frozenset())
        seconds = time.perf_counter() - started
        run = paths.run(prepared.name)
        history, ledger = tuple(read_jsonl(run.history)), read_json(run.ledger, Ledger)
    return Trial(seconds, plan, history, ledger, examples, few)


def _trial_plan(plan: ResolvedPlan) -> ResolvedPlan:
    """Return the plan with a few steps per epoch, one or two epochs per phase, and rates of 0."""
    per_epoch = min(STEPS, plan.steps_per_epoch)
    phases: list[PlannedPhase] = []
    first = 0
    for phase in plan.phases:
        # What a phase sees once only is not stored, so it must not be seen twice here.
        epochs = EPOCHS if phase.steps > plan.steps_per_epoch else 1
        phases.append(
            replace(
                phase,
                first_epoch=first,
                last_epoch=first + epochs - 1,
                first_step=first * per_epoch,
                steps=epochs * per_epoch,
            )
        )
        first += epochs
    total = first * per_epoch
    return replace(
        plan,
        phases=tuple(phases),
        steps_per_epoch=per_epoch,
        total_steps=total,
        warmup_steps=0,
        rates=dict.fromkeys(plan.rates, (0.0,) * total),
    )


def _examples(task: Task, prepared: PreparedArm, steps: int) -> list[Example]:
    """Return the rows of a few steps of the first epoch, that with most tokens among them.

    They are laid out so that the order of the trial's first epoch gives the same steps.
    """
    training = prepared.arm.training
    size = training.per_device_train_batch_size * training.gradient_accumulation_steps
    order = generator(prepared.seed, "order", 0).permutation(len(prepared.examples))
    tokens = np.array([task.tokens(prepared.examples[position]) for position in order])
    starts = list(range(0, len(order), size))
    if len(starts) > steps:
        whole = [start for start in starts if start + size <= len(order)]
        heavy = max(whole, key=lambda start: int(tokens[start : start + size].sum()))
        starts = [heavy, *(start for start in whole if start != heavy)][:steps]
    chosen = [position for start in starts for position in order[start : start + size]]
    places = generator(prepared.seed, "order", 0).permutation(len(chosen))
    laid_out: list[Example] = [None] * len(chosen)
    for place, position in zip(places, chosen, strict=True):
        laid_out[place] = prepared.examples[position]
    return laid_out
