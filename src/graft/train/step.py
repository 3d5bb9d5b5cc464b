"""One optimizer step: gradients exact over the whole batch, refused when not finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from graft.config.sections import ArmSection
from graft.core.errors import NonFiniteError
from graft.tasks.protocol import Example, Task


@dataclass(frozen=True)
class StepResult:
    """What one step computed: mean loss, norm before clipping, units of the loss, positions."""

    loss: float
    grad_norm: float
    tokens: int
    padding: int
    units: int = 0


def accumulate(
    task: Task,
    model: nn.Module,
    arm: ArmSection,
    examples: Sequence[Example],
    context: Callable[[], torch.autocast],
) -> StepResult:
    """Leave the clipped gradient of the mean loss over `examples` in the trainable tensors.

    The loss is summed over the micro-batches and divided by the count of the whole batch, so
    that k micro-batches give the gradient of one large batch, whatever their sizes.

    Raises:
        NonFiniteError: The loss or the gradient is NaN or infinite; nothing was updated.
    """
    size = arm.training.per_device_train_batch_size
    total, count, tokens, padding = 0.0, 0, 0, 0
    for start in range(0, len(examples), size):
        batch = task.collate(examples[start : start + size])
        with context():
            loss, units = task.loss(model, batch, arm)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise NonFiniteError(f"the loss is {value}")
        torch.autograd.backward(loss)
        here = task.positions(batch)
        total, count = total + value, count + units
        tokens, padding = tokens + here[0], padding + here[1]
    trainable = [p for p in model.parameters() if p.grad is not None]
    for parameter in trainable:
        if parameter.grad is not None:
            parameter.grad.div_(count)
    limit = arm.training.max_grad_norm
    norm = float(torch.nn.utils.clip_grad_norm_(trainable, limit or math.inf))
    if not math.isfinite(norm):
        raise NonFiniteError(f"the norm of the gradient is {norm}, the loss {total / count:.6g}")
    return StepResult(total / count, norm, tokens, padding, count)
