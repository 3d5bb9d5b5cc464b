"""From an arm, a model and a number of rows to the resolved plan, before step 1."""

from __future__ import annotations

import math
from itertools import pairwise

from graft.config.sections import ArmSection, TrainingSection
from graft.core.errors import Problem, RecipeError
from graft.core.plan import PlannedGroup, PlannedPhase, ResolvedPlan
from graft.models.freeze import GroupAssignment
from graft.train.schedule import factor, warmup_count


def resolve_plan(arm: ArmSection, assignment: GroupAssignment, rows: int) -> ResolvedPlan:
    """Return every phase, tensor and rate of the run.

    A group that thaws gets the whole schedule over the steps that are left, warm-up in proportion,
    at its own rate; the groups that run already are multiplied by `unfreeze_lr_factor` from there.

    Args:
        arm: The arm.
        assignment: Groups of the model's parameters.
        rows: Training rows.

    Raises:
        RecipeError: The warm-up is longer than the training.
    """
    training = arm.training
    steps_per_epoch = math.ceil(
        rows / (training.per_device_train_batch_size * training.gradient_accumulation_steps)
    )
    total = steps_per_epoch * training.num_train_epochs
    if training.max_steps is not None:
        total = min(total, training.max_steps)
    warmup = warmup_count(training, total)
    if warmup >= total:
        what = f"{warmup} warm-up steps, but only {total} steps in all ({rows} rows)"
        fix = "lower warmup_steps, or train longer: the rate would never reach its peak"
        raise RecipeError("training", [Problem("training.warmup_steps", what, fix)])
    phases = _phases(assignment, steps_per_epoch, total, training)
    return ResolvedPlan(
        method=arm.method,
        tensors=assignment.tensors,
        groups=assignment.groups,
        phases=phases,
        tied=assignment.tied,
        total_parameters=sum(tensor.count for tensor in assignment.tensors),
        trainable_parameters=sum(t.count for t in assignment.tensors if t.joins is not None),
        steps_per_epoch=steps_per_epoch,
        total_steps=total,
        warmup_steps=warmup,
        schedule=training.lr_scheduler_type,
        rates={
            group.name: _rates(group, training, phases, total)
            for group in assignment.groups
            if group.unfreeze_after != 0
        },
    )


def due(plan: ResolvedPlan, step: int, strategy: str, every: int | None) -> bool:
    """Return True if an evaluation or a checkpoint is due after `step` steps.

    Args:
        plan: The plan.
        step: Steps taken, 1 to `plan.total_steps`; the last one is always due.
        strategy: `no`, `epoch` or `steps`.
        every: Steps between two of them, for `steps`.
    """
    if strategy == "no":
        return False
    interval = plan.steps_per_epoch if every is None or strategy == "epoch" else every
    return step % interval == 0 or step == plan.total_steps


def _phases(
    assignment: GroupAssignment, steps_per_epoch: int, total: int, training: TrainingSection
) -> tuple[PlannedPhase, ...]:
    epochs = math.ceil(total / steps_per_epoch)
    bounds = [0, *(thaw for thaw in assignment.thaws if thaw < epochs), epochs]
    late = [thaw for thaw in assignment.thaws if thaw >= epochs]
    if late:
        what = f"a thaw after epoch {late[0]}, but max_steps {training.max_steps} ends before it"
        raise RecipeError("training", [Problem("training.max_steps", what, "raise it")])
    phases = []
    for index, (first, last) in enumerate(pairwise(bounds)):
        trainable = [t for t in assignment.tensors if t.joins is not None and t.joins <= index]
        present = {tensor.group for tensor in trainable}
        first_step = first * steps_per_epoch
        phases.append(
            PlannedPhase(
                index=index,
                first_epoch=first,
                last_epoch=last - 1,
                first_step=first_step,
                steps=min(last * steps_per_epoch, total) - first_step,
                trainable=sum(tensor.count for tensor in trainable),
                groups=tuple(g.name for g in assignment.groups if g.name in present),
            )
        )
    return tuple(phases)


def _rates(
    group: PlannedGroup, training: TrainingSection, phases: tuple[PlannedPhase, ...], total: int
) -> tuple[float, ...]:
    joined = next(phase for phase in phases if group.name in phase.groups)
    steps = total - joined.first_step
    warmup = math.ceil(warmup_count(training, total) * steps / total)
    rates = [0.0] * joined.first_step
    for phase in phases[joined.index :]:
        damping = training.unfreeze_lr_factor ** (phase.index - joined.index)
        for step in range(phase.first_step, phase.first_step + phase.steps):
            share = factor(training, step - joined.first_step, steps, warmup)
            rates.append(group.learning_rate * share * damping)
    return tuple(rates)
