"""Switching tensors and modules between frozen and trainable, as the plan says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.plan import ResolvedPlan
from graft.models.encoder import tensor_name
from graft.tasks.protocol import Batch, TrainingTask


def named_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return every parameter once, by the name that plans and ledgers use."""
    return {tensor_name(name): parameter for name, parameter in model.named_parameters()}


def named_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return every buffer by the name that ledgers use."""
    return {tensor_name(name): buffer for name, buffer in model.named_buffers()}


def tied_names(model: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Return the sets of names that share one parameter."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(tensor_name(name))
    return tuple(tuple(group) for group in names.values() if len(group) > 1)


def unused_names(
    task: TrainingTask, model: nn.Module, arm: ArmSection, batch: Batch
) -> frozenset[str]:
    """Return the parameters that the forward pass never reads.

    Found by one backward pass with everything trainable: what then has no gradient has no part
    in the loss (a pooler that the pooling passes over, for example).
    """
    parameters = named_parameters(model)
    flags = {name: parameter.requires_grad for name, parameter in parameters.items()}
    model.requires_grad_(True)
    model.eval()
    loss, _ = task.loss(model, batch, arm)
    torch.autograd.backward(loss)
    unused = frozenset(name for name, p in parameters.items() if p.grad is None)
    model.zero_grad(set_to_none=True)
    for name, parameter in parameters.items():
        parameter.requires_grad_(flags[name])
    return unused


def enter_phase(
    model: nn.Module, plan: ResolvedPlan, phase: int, parameters: Mapping[str, nn.Parameter]
) -> tuple[str, ...]:
    """Make exactly the phase's tensors trainable; return the modules that are in eval mode.

    A module whose parameters are all frozen runs in eval mode, with all that is inside it: no
    dropout on features that nobody trains, no running statistics that drift.
    """
    trainable = plan.trainable_in(phase)
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in trainable)
    model.train()
    frozen = list(frozen_modules(model))
    for _, module in frozen:
        module.eval()
    return tuple(name for name, _ in frozen)


def frozen_modules(model: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the outermost modules of which every parameter is frozen, with their names.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
        >>> [name for name, _ in frozen_modules(model)]
        ['0']
    """
    own = list(model.parameters())
    if own and not any(parameter.requires_grad for parameter in own):
        yield tensor_name(name), model
        return
    for child_name, child in model.named_children():
        yield from frozen_modules(child, f"{name}.{child_name}" if name else child_name)


def is_awake(module: nn.Module) -> bool:
    """Return True if the module or one inside it is in training mode.

    Example:
        >>> is_awake(nn.Sequential(nn.Dropout().train()).eval())
        False
    """
    return any(inner.training for inner in module.modules())
