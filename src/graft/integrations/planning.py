"""The plan of a training that another library runs: resolved before its first step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch

from graft.core.errors import InputError, Problem
from graft.core.ledger import PhaseRecord
from graft.core.plan import PlannedGroup, PlannedPhase, PlannedTensor, ResolvedPlan
from graft.integrations.watched import Watched, adapter_names
from graft.models.patterns import matching
from graft.train.modes import named_parameters

FROZEN = "frozen"


@dataclass(frozen=True)
class Schedule:
    """What the trainer was asked to do, as far as that can be computed without it.

    Args:
        name: The schedule, or why no rates can be planned.
        total_steps: Optimizer steps of the whole run.
        steps_per_epoch: Optimizer steps of one epoch.
        warmup_steps: Steps of warm-up.
        rates: For each group of the optimizer, by index, the rate at every step; empty if that
            is not known.
        first_step: Steps that were taken before, by the training that is taken up again.
        first_epoch: Epoch that begins or goes on now, counted from 0.
    """

    name: str
    total_steps: int
    steps_per_epoch: int
    warmup_steps: int = 0
    rates: tuple[tuple[float, ...], ...] = ()
    first_step: int = 0
    first_epoch: int = 0


def expected_names(
    watched: Watched, trainable: tuple[str, ...], frozen: tuple[str, ...]
) -> frozenset[str]:
    """Return the tensors that are to be trained: those that are trainable, and as expected.

    Args:
        watched: Model and losses.
        trainable: Patterns of tensors that must be trained.
        frozen: Patterns of tensors that must not be.

    Raises:
        InputError: A pattern matches nothing, or a tensor is expected to be both.
    """
    parameters = named_parameters(watched)
    problems = [
        Problem(
            key, f"'{pattern}' matches no tensor of the model", "look at model.named_parameters"
        )
        for key, patterns in (("expect_trainable", trainable), ("expect_frozen", frozen))
        for pattern in patterns
        if not any(matching((pattern,), name) for name in parameters)
    ]
    problems += [
        Problem(name, "is expected to be trainable and to be frozen", "narrow one of the patterns")
        for name in parameters
        if matching(trainable, name) and matching(frozen, name)
    ]
    if problems:
        raise InputError("GraftCallback", problems)
    flagged = {name for name, parameter in parameters.items() if parameter.requires_grad}
    wanted = {name for name in parameters if matching(trainable, name)}
    return frozenset((flagged | wanted) - {name for name in parameters if matching(frozen, name)})


def plan_training(
    watched: Watched,
    optimizer: torch.optim.Optimizer,
    trained: frozenset[str],
    schedule: Schedule,
    thaws: Mapping[str, int],
) -> ResolvedPlan:
    """Return the plan: `trained` from the start, and what is known to thaw later.

    Args:
        watched: Model and losses.
        optimizer: The optimizer, whose groups give rates and decay.
        trained: Names of the tensors that are trained from the first step.
        schedule: Steps and rates.
        thaws: Tensor to the epoch at whose start it thaws, counted from 0.
    """
    epochs = schedule.total_steps / max(schedule.steps_per_epoch, 1)
    thaws = {name: epoch for name, epoch in thaws.items() if epoch < epochs}
    later = {name: epoch for name, epoch in thaws.items() if epoch > schedule.first_epoch}
    bounds = sorted({schedule.first_epoch, *later.values()})
    now = trained | (set(thaws) - set(later))
    joins = dict.fromkeys(now - set(later), 0) | {n: bounds.index(e) for n, e in later.items()}
    parameters = named_parameters(watched)
    groups = group_names(optimizer)
    tensors = tuple(
        PlannedTensor(
            name=name,
            shape=tuple(parameter.shape),
            count=parameter.numel(),
            group=groups.get(id(parameter), "later") if name in joins else FROZEN,
            joins=joins.get(name),
        )
        for name, parameter in parameters.items()
    )
    used = {tensor.group for tensor in tensors}
    rates = dict(zip(_names(optimizer), schedule.rates, strict=False))
    plan = ResolvedPlan(
        method="lora" if adapter_names(watched.model) else "full",
        tensors=tensors,
        groups=tuple(g for g in _groups(optimizer, rates, schedule.first_step) if g.name in used),
        phases=(),
        tied=(),  # plan and ledger name a shared tensor alike: both read the same object
        total_parameters=sum(tensor.count for tensor in tensors),
        trainable_parameters=sum(tensor.count for tensor in tensors if tensor.joins is not None),
        steps_per_epoch=schedule.steps_per_epoch,
        total_steps=schedule.total_steps,
        warmup_steps=schedule.warmup_steps,
        schedule=schedule.name,
        rates={name: values for name, values in rates.items() if name in used},
        frozen_in_eval=False,
    )
    steps = [schedule.first_step, *(epoch * schedule.steps_per_epoch for epoch in bounds[1:])]
    return with_phases(plan, steps)


def with_phases(plan: ResolvedPlan, first_steps: list[int]) -> ResolvedPlan:
    """Return the plan with phases that begin at `first_steps`."""
    ends = [*first_steps[1:], plan.total_steps]
    phases = []
    for index, (start, end) in enumerate(zip(first_steps, ends, strict=True)):
        trained = [t for t in plan.tensors if t.joins is not None and t.joins <= index]
        present = {tensor.group for tensor in trained}
        phases.append(
            PlannedPhase(
                index=index,
                first_epoch=start // max(plan.steps_per_epoch, 1),
                last_epoch=max(end - 1, start) // max(plan.steps_per_epoch, 1),
                first_step=start,
                steps=max(end - start, 0),
                trainable=sum(tensor.count for tensor in trained),
                groups=tuple(group.name for group in plan.groups if group.name in present),
            )
        )
    return replace(plan, phases=tuple(phases))


def with_thaw(
    plan: ResolvedPlan, names: Iterable[str], step: int, optimizer: torch.optim.Optimizer,
    watched: Watched,
) -> ResolvedPlan:  # fmt: skip
    """Return the plan with `names` trainable from `step` on, in a phase of their own."""
    starts = [phase.first_step for phase in plan.phases if phase.first_step < step]
    joined, held = frozenset(names), group_names(optimizer)
    parameters = named_parameters(watched)
    tensors = tuple(
        replace(tensor, joins=len(starts), group=held.get(id(parameters[tensor.name]), "later"))
        if tensor.name in joined
        else tensor
        for tensor in plan.tensors
    )
    known = {group.name for group in plan.groups}
    used = {tensor.group for tensor in tensors}
    more = [g for g in _groups(optimizer, {}, step) if g.name in used - known]
    total = sum(tensor.count for tensor in tensors if tensor.joins is not None)
    changed = replace(
        plan, tensors=tensors, groups=(*plan.groups, *more), trainable_parameters=total
    )
    if more and plan.rates:
        changed = replace(changed, rates={}, schedule="a group joined the optimizer on the way")
    return with_phases(changed, [*starts, step])


def with_never_thawed(
    plan: ResolvedPlan,
    phases: Iterable[PhaseRecord],
    deferred: frozenset[str],
    expected: tuple[str, ...],
) -> ResolvedPlan:
    """Return the plan with what should have thawed and never did, so that K1 finds it frozen."""
    trained = {t.name for phase in phases for t in phase.tensors if t.requires_grad}
    never = {name for name in deferred - trained if matching(expected, name)}
    tensors = [replace(t, joins=0) if t.name in never else t for t in plan.tensors]
    return replace(plan, tensors=tuple(tensors))


def group_names(optimizer: torch.optim.Optimizer) -> dict[int, str]:
    """Return the name of the group of every tensor that the optimizer holds, by identity."""
    return {
        id(parameter): name
        for name, group in zip(_names(optimizer), optimizer.param_groups, strict=True)
        for parameter in group["params"]
    }


def applied_rates(optimizer: torch.optim.Optimizer, plan: ResolvedPlan) -> dict[str, float]:
    """Return the rate that each group has in the optimizer now; the planned ones if there are."""
    return {
        name: float(group["lr"])
        for name, group in zip(_names(optimizer), optimizer.param_groups, strict=True)
        if not plan.rates or name in plan.rates
    }


def _names(optimizer: torch.optim.Optimizer) -> list[str]:
    return [f"group {index}" for index in range(len(optimizer.param_groups))]


def _groups(
    optimizer: torch.optim.Optimizer, rates: Mapping[str, tuple[float, ...]], first_step: int
) -> list[PlannedGroup]:
    found = []
    for name, group in zip(_names(optimizer), optimizer.param_groups, strict=True):
        rate = float(group.get("initial_lr", group["lr"]))
        if left := rates.get(name, ())[first_step:]:
            # Of a training that is taken up again, the peak may be over.
            rate = max(left) if first_step else max(rate, *left)
        found.append(PlannedGroup(name, rate, float(group.get("weight_decay", 0.0)), -1))
    return [*found, PlannedGroup(FROZEN, 0.0, 0.0, 0), PlannedGroup("later", 0.0, 0.0, -1)]
