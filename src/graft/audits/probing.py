"""Measurements with the model in hand, on a few rows; the checks read what is written here."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.errors import NonFiniteError
from graft.core.plan import ResolvedPlan
from graft.core.probes import AccumulationProbe, Gap, GradientProbe, Probes
from graft.evaluate.predictions import predict
from graft.tasks.protocol import Array, Example, Task
from graft.train.modes import enter_phase, named_parameters
from graft.train.precision import autocast
from graft.train.step import StepResult, accumulate

GRADIENT_ROWS = 4
# The loss is to change by this share of itself: far above float32 rounding, far below curvature.
_LOSS_SHARE = 2e-3
# A longer step is no longer local; a smaller change of the loss is lost in float32 rounding.
_WEIGHT_SHARE = 1e-2
_ROUNDING = 5e-6


def probe_start(
    task: Task, model: nn.Module, arm: ArmSection, plan: ResolvedPlan, examples: Sequence[Example]
) -> Probes:
    """Return what was measured before step 1, on the first rows, in float32 and without dropout.

    The model is left as it was: no weight, flag or random state changes.

    Args:
        task: The kind of task.
        model: The model, adapter or head attached.
        arm: The arm.
        plan: Its plan; the tensors of phase 0 are probed.
        examples: Training examples.
    """
    parameters = named_parameters(model)
    flags = {name: parameter.requires_grad for name, parameter in parameters.items()}
    enter_phase(model, plan, 0, parameters)
    model.eval()
    steps = arm.training.gradient_accumulation_steps
    size = arm.training.per_device_train_batch_size
    rows = examples[: size * steps]
    not_probed: dict[str, str] = {}
    accumulation = gradient = None
    if steps == 1 or len(rows) <= size:
        not_probed["accumulation"] = "a step is one batch: nothing is accumulated"
    try:
        if "accumulation" not in not_probed:
            accumulation = _accumulation(task, model, arm, rows)
        gradient = _gradient(task, model, arm, rows[:GRADIENT_ROWS])
        if gradient is None:
            not_probed["gradient"] = "the gradient of the first rows is zero, or lost in rounding"
    except NonFiniteError as error:
        # The loop meets the same batch, and says which rows it holds.
        not_probed |= dict.fromkeys(("gradient", "accumulation"), str(error))
    model.zero_grad(set_to_none=True)
    for name, parameter in parameters.items():
        parameter.requires_grad_(flags[name])
    return Probes(gradient=gradient, accumulation=accumulation, not_probed=not_probed)


def probe_end(probes: Probes, task: Task, model: nn.Module, examples: Sequence[Example]) -> Probes:
    """Return `probes` with what was measured after training, on `examples`."""
    rows = list(examples)
    with _modules_in_training_mode() as awake:
        beside = predict(task, model, rows, len(rows))
    again = predict(task, model, rows, len(rows))
    alone = [predict(task, model, [row], 1) for row in rows]
    apart = {name: np.concatenate([part[name] for part in alone]) for name in beside}
    names = [row.row for row in rows]
    return replace(
        probes,
        alone=gap(beside, apart, names),
        again=gap(beside, again, names),
        training_modules=tuple(sorted(awake)),
    )


def gap(one: Mapping[str, Array], other: Mapping[str, Array], rows: Sequence[str]) -> Gap:
    """Return how far two sets of outputs of the same rows lie apart.

    Args:
        one: Column to `[rows]` or `[rows, …]` outputs.
        other: The same columns.
        rows: Row ids.

    Example:
        >>> gap({"score": np.array([0.0, 1.0])}, {"score": np.array([0.0, 1.5])}, ["a", "b"])
        Gap(rows=2, largest=0.5, spread=0.5, worst=('b', 'a'))
    """
    flat = {name: (_flat(one[name]), _flat(other[name])) for name in one}
    distances = np.max([np.abs(a - b).max(axis=1) for a, b in flat.values()], axis=0)
    order = np.argsort(-distances, kind="stable")[:3]
    return Gap(
        rows=len(rows),
        largest=float(distances.max()),
        spread=float(max(a.std() for a, _ in flat.values())),
        worst=tuple(rows[index] for index in order),
    )


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1).astype(np.float64)


def _step(task: Task, model: nn.Module, arm: ArmSection, rows: Sequence[Example]) -> StepResult:
    """Leave the unclipped float32 gradient of the mean loss in the model."""
    model.zero_grad(set_to_none=True)
    return accumulate(task, model, arm, rows, lambda: autocast("fp32"))


def _unclipped(arm: ArmSection, micro_batch: int) -> ArmSection:
    changed = {"max_grad_norm": None, "per_device_train_batch_size": micro_batch}
    return arm.model_copy(update={"training": arm.training.model_copy(update=changed)})


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def _accumulation(
    task: Task, model: nn.Module, arm: ArmSection, rows: Sequence[Example]
) -> AccumulationProbe:
    size = arm.training.per_device_train_batch_size
    parts = _step(task, model, _unclipped(arm, size), rows)
    summed = {name: gradient.clone() for name, gradient in _gradients(model).items()}
    whole = _step(task, model, _unclipped(arm, len(rows)), rows)
    at_once = _gradients(model)
    apart = math.sqrt(sum(float((summed[n] - g).square().sum()) for n, g in at_once.items()))
    return AccumulationProbe(
        micro_batches=-(-len(rows) // size),
        loss=parts.loss,
        loss_at_once=whole.loss,
        gradient_gap=apart / max(whole.grad_norm, 1e-12),
        rowwise=task.rowwise(arm),
    )


def _gradient(
    task: Task, model: nn.Module, arm: ArmSection, rows: Sequence[Example]
) -> GradientProbe | None:
    here = _step(task, model, _unclipped(arm, len(rows)), rows)
    if here.grad_norm == 0:
        return None
    gradient = _gradients(model)
    weights = dict(model.named_parameters())
    size = math.sqrt(sum(float(weights[name].detach().square().sum()) for name in gradient))
    length = min(_LOSS_SHARE * abs(here.loss) / here.grad_norm, _WEIGHT_SHARE * size)
    if length * here.grad_norm <= _ROUNDING * abs(here.loss):
        return None

    def loss_at(distance: float) -> float:
        with torch.no_grad():
            for name, direction in gradient.items():
                weights[name].add_(direction, alpha=distance / here.grad_norm)
            loss, units = task.loss(model, task.collate(rows), arm)
        return float(loss) / units

    before = {name: weights[name].detach().clone() for name in gradient}
    try:
        up = loss_at(length)
        down = loss_at(-2 * length)
    finally:
        with torch.no_grad():
            for name, value in before.items():
                weights[name].copy_(value)
    return GradientProbe(
        loss=here.loss, norm=here.grad_norm, measured=(up - down) / (2 * length), step=length
    )


@contextlib.contextmanager
def _modules_in_training_mode() -> Iterator[set[str]]:
    """Yield the names of the classes of modules that run in training mode inside the block."""
    seen: set[str] = set()

    def look(module: nn.Module, _: tuple[Any, ...]) -> None:
        if module.training:
            seen.add(type(module).__name__)

    register: Callable[..., Any] = torch.nn.modules.module.register_module_forward_pre_hook
    handle = register(look)
    try:
        yield seen
    finally:
        handle.remove()
