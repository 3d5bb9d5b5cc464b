"""AdamW over the groups of a plan; groups join when they thaw, rates are set by the step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from graft.config.sections import TrainingSection
from graft.core.plan import ResolvedPlan
from graft.train.rowwise import RowwiseAdamW


def build_optimizer(
    training: TrainingSection, plan: ResolvedPlan, parameters: Mapping[str, nn.Parameter]
) -> RowwiseAdamW:
    """Return AdamW (Loshchilov & Hutter 2019) over the tensors that phase 0 trains."""
    return RowwiseAdamW(
        _param_groups(plan, 0, parameters),
        lr=training.learning_rate,
        betas=(training.adam_beta1, training.adam_beta2),
        eps=training.adam_epsilon,
        fused=True,
    )


def join_phase(
    optimizer: torch.optim.Optimizer,
    plan: ResolvedPlan,
    phase: int,
    parameters: Mapping[str, nn.Parameter],
) -> None:
    """Add the tensors that `phase` thaws to the optimizer."""
    for group in _param_groups(plan, phase, parameters):
        optimizer.add_param_group(group)


def set_rates(optimizer: torch.optim.Optimizer, plan: ResolvedPlan, step: int) -> None:
    """Set the planned rate of `step` on every group."""
    for group in optimizer.param_groups:
        group["lr"] = plan.rates[group["name"]][step]


def applied_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return the rate that each group of the plan really has in the optimizer."""
    return {group["name"]: float(group["lr"]) for group in optimizer.param_groups}


def _param_groups(
    plan: ResolvedPlan, phase: int, parameters: Mapping[str, nn.Parameter]
) -> list[dict[str, object]]:
    decay = {group.name: group.weight_decay for group in plan.groups}
    joined: dict[tuple[str, float], list[nn.Parameter]] = {}
    for tensor in plan.tensors:
        if tensor.joins == phase:
            # Vectors (biases, norms) are not decayed: shrinking a scale towards 0 is no prior.
            weight_decay = decay[tensor.group] if len(tensor.shape) > 1 else 0.0
            key = (tensor.group, weight_decay)
            joined.setdefault(key, []).append(parameters[tensor.name])
    return [
        {"params": tensors, "name": name, "weight_decay": weight_decay}
        for (name, weight_decay), tensors in joined.items()
    ]
