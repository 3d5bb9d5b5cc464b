"""Measurements with the model in hand, on a few rows; the checks read what is written here."""

from __future__ import annotations

import contextlib
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
from graft.models.embedding import plain_passes
from graft.models.precision import autocast
from graft.tasks.protocol import Array, Example, TrainingTask
from graft.train.clipping import total_norm
from graft.train.micro_batches import MicroBatchLimit, limit_of, split
from graft.train.modes import enter_phase, named_parameters
from graft.train.rowwise import rowwise_gradients
from graft.train.step import StepResult, accumulate

GRADIENT_ROWS = 4
# The loss is to change by this share of itself: far above float32 rounding, far below curvature.
_LOSS_SHARE = 2e-3
# A longer step is no longer local; a smaller change of the loss is lost in float32 rounding.
_WEIGHT_SHARE = 1e-2
_ROUNDING = 5e-6


def probe_start(
    task: TrainingTask,
    model: nn.Module,
    arm: ArmSection,
    plan: ResolvedPlan,
    examples: Sequence[Example],
    limit: MicroBatchLimit | None = None,
) -> Probes:
    """Return what was measured before step 1, on the first rows, in float32 and without dropout.

    The model is left as it was: no weight, flag or random state changes.

    Args:
        task: The kind of task.
        model: The model, adapter or head attached.
        arm: The arm.
        plan: Its plan; the tensors of phase 0 are probed.
        examples: Training examples.
        limit: Largest micro-batch; that of the arm if left out.
    """
    parameters = named_parameters(model)
    flags = {name: parameter.requires_grad for name, parameter in parameters.items()}
    enter_phase(model, plan, 0, parameters)
    model.eval()
    training = arm.training
    rows = examples[: training.per_device_train_batch_size * training.gradient_accumulation_steps]
    limit = limit or limit_of(training)
    not_probed: dict[str, str] = {}
    accumulation = gradient = None
    parts = split(task, rows, limit)
    if len(parts) == 1:
        not_probed["accumulation"] = "a step is one batch: nothing is accumulated"
    try:
        with rowwise_gradients(model, plan):
            if "accumulation" not in not_probed:
                accumulation = _accumulation(task, model, arm, *_to_compare(rows, parts, limit))
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


def probe_end(
    probes: Probes, task: TrainingTask, model: nn.Module, examples: Sequence[Example]
) -> Probes:
    """Return `probes` with what was measured after training, on `examples`."""
    rows = list(examples)
    with _modules_in_training_mode() as awake:
        beside = predict(task, model, rows, len(rows))
    again = predict(task, model, rows, len(rows))
    alone = [predict(task, model, [row], 1) for row in rows]
    apart = {name: np.concatenate([part[name] for part in alone]) for name in beside}
    names = [row.row for row in rows]
    not_probed, padded = dict(probes.not_probed), None
    if problem := task.packing_problem(model):
        not_probed["padded"] = f"rows are padded: {problem}"
    else:
        with plain_passes():
            padded = gap(beside, predict(task, model, rows, len(rows)), names)
    return replace(
        probes,
        alone=gap(beside, apart, names),
        again=gap(beside, again, names),
        padded=padded,
        training_modules=tuple(sorted(awake)),
        not_probed=not_probed,
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


def _step(
    task: TrainingTask,
    model: nn.Module,
    arm: ArmSection,
    rows: Sequence[Example],
    limit: MicroBatchLimit | None = None,
) -> StepResult:
    """Leave the unclipped float32 gradient of the mean loss in the model.

    The rows are one micro-batch if there is no limit.
    """
    model.zero_grad(set_to_none=True)
    unclipped = arm.training.model_copy(update={"max_grad_norm": None})
    arm = arm.model_copy(update={"training": unclipped})
    limit = limit or MicroBatchLimit(len(rows))
    return accumulate(task, model, arm, rows, lambda: autocast("fp32"), limit)


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def _to_compare(
    rows: Sequence[Example], parts: Sequence[Sequence[Example]], limit: MicroBatchLimit
) -> tuple[Sequence[Example], MicroBatchLimit]:
    """Return rows that can be computed at once, and the limit by which to divide them."""
    if limit.tokens is None:
        return rows, limit
    # A limit in tokens may stand there because the step does not fit: the rows of one micro-batch
    # do. Uneven parts tell a sum from a mean of means.
    few = parts[0] if len(parts[0]) > 1 else rows[:2]
    return few, MicroBatchLimit(max(1, 2 * len(few) // 3))


def _accumulation(
    task: TrainingTask,
    model: nn.Module,
    arm: ArmSection,
    rows: Sequence[Example],
    limit: MicroBatchLimit,
) -> AccumulationProbe:
    parts = _step(task, model, arm, rows, limit)
    summed = _gradients(model)
    whole = _step(task, model, arm, rows)
    at_once = _gradients(model)
    apart = total_norm(summed[name] - gradient for name, gradient in at_once.items())
    return AccumulationProbe(
        micro_batches=parts.micro_batches,
        loss=parts.loss,
        loss_at_once=whole.loss,
        gradient_gap=apart / max(whole.grad_norm, 1e-12),
        rowwise=task.rowwise(arm),
    )


def _gradient(
    task: TrainingTask, model: nn.Module, arm: ArmSection, rows: Sequence[Example]
) -> GradientProbe | None:
    here = _step(task, model, arm, rows)
    if here.grad_norm == 0:
        return None
    gradient = _gradients(model)
    weights = dict(model.named_parameters())
    size = total_norm(weights[name].detach() for name in gradient)
    length = min(_LOSS_SHARE * abs(here.loss) / here.grad_norm, _WEIGHT_SHARE * size)
    if length * here.grad_norm <= _ROUNDING * abs(here.loss):
        return None

    def loss_at(distance: float) -> float:
        with torch.no_grad():
            for name, direction in gradient.items():
                weights[name].add_(direction, alpha=distance / here.grad_norm)
            loss, units = task.loss(model, task.collate(rows), arm)
        return float(loss) / units

    # Of a table whose gradient is sparse only the rows that move are copied.
    moved = {n: g.coalesce().indices()[0] if g.is_sparse else ... for n, g in gradient.items()}
    before = {name: weights[name].detach()[places].clone() for name, places in moved.items()}
    try:
        up = loss_at(length)
        down = loss_at(-2 * length)
    finally:
        with torch.no_grad():
            for name, value in before.items():
                weights[name][moved[name]] = value
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
