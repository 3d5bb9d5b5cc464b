"""One optimizer step: gradients exact over the whole batch, refused when not finite."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.errors import NonFiniteError
from graft.tasks.protocol import Example, TrainingTask
from graft.train.clipping import scale_and_clip
from graft.train.micro_batches import (
    DoesNotFit,
    MicroBatchLimit,
    halved,
    limit_of,
    out_of_memory,
    split,
)


@dataclass(frozen=True)
class StepResult:
    """What one step computed.

    Args:
        loss: Mean loss.
        grad_norm: Norm of the gradient before clipping.
        tokens: Tokens that went through the model.
        padding: Positions computed for padding.
        units: Units that the loss is a mean over.
        micro_batches: Micro-batches that the rows were divided into.
        largest: Tokens of the largest micro-batch of several rows, 0 if each has one row.
        limit: The limit of a micro-batch that held in the end; the one that was given, unless
            memory ran out.
    """

    loss: float
    grad_norm: float
    tokens: int
    padding: int
    units: int = 0
    micro_batches: int = 1
    largest: int = 0
    limit: MicroBatchLimit | None = None


@dataclass
class _Sums:
    loss: float = 0.0
    units: int = 0
    tokens: int = 0
    padding: int = 0
    largest: int = 0


def accumulate(
    task: TrainingTask,
    model: nn.Module,
    arm: ArmSection,
    examples: Sequence[Example],
    context: Callable[[], AbstractContextManager[object]],
    limit: MicroBatchLimit | None = None,
) -> StepResult:
    """Leave the clipped gradient of the mean loss over `examples` in the trainable tensors.

    The loss is summed over the micro-batches and divided by the count of the whole batch, so
    that k micro-batches give the gradient of one large batch, whatever their sizes. If memory runs
    out, the step is taken again from its beginning, random state included, with micro-batches of
    half the size.

    Args:
        task: The kind of task.
        model: The model; no gradient is left from an earlier step.
        arm: The arm.
        examples: The rows of the step.
        context: The number format of the forward pass.
        limit: Largest micro-batch; that of the arm if left out.

    Raises:
        NonFiniteError: The loss or the gradient is NaN or infinite; nothing was updated.
        OutOfMemoryError: A micro-batch that cannot be divided does not fit into memory.
    """
    limit = limit or limit_of(arm.training)
    device = next(model.parameters()).device
    state = _random_state(device)
    parts = split(task, examples, limit)
    while isinstance(sums := _backward(task, model, arm, parts, context), DoesNotFit):
        model.zero_grad(set_to_none=True)
        limit = halved(task, arm, sums, limit)
        parts = split(task, examples, limit)
        _free_memory(device)
        _set_random_state(device, state)
    units = max(sums.units, 1)  # a step without loss moves nothing; K5 says so before it is taken
    norm = scale_and_clip(model.parameters(), units, arm.training.max_grad_norm)
    loss = sums.loss / units
    if not math.isfinite(norm):
        raise NonFiniteError(f"the norm of the gradient is {norm}, the loss {loss:.6g}")
    return StepResult(
        loss=loss,
        grad_norm=norm,
        tokens=sums.tokens,
        padding=sums.padding,
        units=sums.units,
        micro_batches=len(parts),
        largest=sums.largest,
        limit=limit,
    )


def _backward(
    task: TrainingTask,
    model: nn.Module,
    arm: ArmSection,
    parts: Sequence[Sequence[Example]],
    context: Callable[[], AbstractContextManager[object]],
) -> _Sums | DoesNotFit:
    """Add the gradients of all parts up; return their sums, or the part that does not fit."""
    sums = _Sums()
    for part in parts:
        try:
            batch = task.collate(part)
            with context():
                loss, units = task.loss(model, batch, arm)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise NonFiniteError(f"the loss is {value}")
            torch.autograd.backward(loss)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            return DoesNotFit(part, (str(error).strip() or "MemoryError").splitlines()[-1])
        tokens, padding = task.positions(model, batch)
        sums.loss, sums.units = sums.loss + value, sums.units + units
        sums.tokens, sums.padding = sums.tokens + tokens, sums.padding + padding
        if len(part) > 1:
            sums.largest = max(sums.largest, tokens)
    return sums


def _random_state(device: torch.device) -> list[Tensor]:
    """Return the states of the generators that a pass on `device` draws from."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set_random_state(device: torch.device, states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


def _free_memory(device: torch.device) -> None:
    # The error of the pass that failed held its activations, perhaps in a cycle.
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
