"""How many tokens a micro-batch may hold in the memory that is free, before anything trains."""

from __future__ import annotations

import gc
import math
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.control_groups import memory_left
from graft.core.plan import ResolvedPlan
from graft.models.precision import autocast, resolve_precision
from graft.tasks.protocol import Example, TrainingTask
from graft.train.micro_batches import MicroBatchLimit, limit_of
from graft.train.modes import enter_phase, named_parameters

SHARE = 0.8  # of the memory that is free; the rest is for other processes and for validation
# Gradient and AdamW's two moments of every trainable element.
COPIES = 3
# A pass also holds what it is computing just now and what the allocator keeps: for MiniLM, 64
# pairs, the process grew by 1.2 to 1.6 times what was kept for the backward pass.
_WORKING = 1.5
_SMALL, _LARGE = 8, 16  # rows of the two measured passes


@dataclass(frozen=True)
class MemoryNeed:
    """What training takes beyond the weights, as measured, and what there is.

    Args:
        fixed_bytes: Gradients, moments and what a pass keeps whatever its size.
        bytes_per_token: What one more token in a micro-batch takes.
        free_bytes: Memory that could be taken when it was measured.
        largest_tokens: Tokens of the largest micro-batch by rows that the data can give.
    """

    fixed_bytes: int
    bytes_per_token: float
    free_bytes: int
    largest_tokens: int

    @property
    def max_tokens(self) -> int:
        """The largest micro-batch that is safe, in tokens; 1 if there is room for none."""
        room = SHARE * self.free_bytes - self.fixed_bytes
        return max(1, math.floor(room / max(self.bytes_per_token, 1.0)))

    @property
    def fits(self) -> bool:
        """True if the largest micro-batch by rows is safe."""
        return self.largest_tokens <= self.max_tokens


def memory_need(
    task: TrainingTask,
    model: nn.Module,
    arm: ArmSection,
    plan: ResolvedPlan,
    examples: Sequence[Example],
) -> MemoryNeed:
    """Return what training would take, from what autograd keeps of two forward passes.

    The count of kept bytes is exact and the same on every machine; only what is free differs. No
    weight, flag or random state changes.

    Args:
        task: The kind of task.
        model: The model, adapter or head attached.
        arm: The arm.
        plan: Its plan; the phase that trains most is measured.
        examples: Training examples.
    """
    parameters = named_parameters(model)
    flags = {name: parameter.requires_grad for name, parameter in parameters.items()}
    mode = model.training
    gc.collect()
    free = free_memory(next(iter(parameters.values())).device)
    enter_phase(model, plan, plan.phases[-1].index, parameters)
    with torch.random.fork_rng(devices=[]):
        kept, tokens = _kept(task, model, arm, examples[:_SMALL])
        more, more_tokens = _kept(task, model, arm, examples[:_LARGE])
    model.train(mode)
    for name, parameter in parameters.items():
        parameter.requires_grad_(flags[name])
    grown = more_tokens - tokens
    slope = (more - kept) / grown if grown > 0 else more / max(more_tokens, 1)
    trainable = plan.trainable_in(plan.phases[-1].index)
    own = sum(p.numel() * p.element_size() for n, p in parameters.items() if n in trainable)
    sizes = sorted(map(task.tokens, examples))
    return MemoryNeed(
        fixed_bytes=COPIES * own + int(max(0.0, kept - slope * tokens)),
        bytes_per_token=_WORKING * max(slope, 0.0),
        free_bytes=free,
        largest_tokens=sum(sizes[-arm.training.per_device_train_batch_size :]),
    )


def resolve_limit(
    task: TrainingTask,
    model: nn.Module,
    arm: ArmSection,
    plan: ResolvedPlan,
    examples: Sequence[Example],
) -> MicroBatchLimit:
    """Return the limit of a micro-batch; for `auto` by tokens only if the rows would not fit.

    Whatever fits is divided by rows, so that the same recipe gives the same numbers on every
    machine that has room for it.
    """
    limit = limit_of(arm.training)
    if arm.training.max_tokens_per_micro_batch != "auto":
        return limit
    need = memory_need(task, model, arm, plan, examples)
    return limit if need.fits else MicroBatchLimit(limit.rows, need.max_tokens)


def free_memory(device: torch.device) -> int:
    """Return the bytes that this process can still take.

    On a processor: the least of what the machine has available, what the control group has left
    and what the limit of the address space leaves.

    Args:
        device: Where the model is.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = [int(psutil.virtual_memory().available)]
    left = memory_left()
    if left is not None:
        free.append(left)
    if hasattr(psutil, "RLIMIT_AS"):
        process = psutil.Process()
        limit, _ = process.rlimit(psutil.RLIMIT_AS)
        if limit != psutil.RLIM_INFINITY:
            free.append(max(0, limit - int(process.memory_info().vms)))
    return min(free)


def _kept(
    task: TrainingTask, model: nn.Module, arm: ArmSection, examples: Sequence[Example]
) -> tuple[int, int]:
    """Return the bytes that a forward pass keeps for the backward pass, and its tokens."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = task.collate(examples)
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, autocast(resolve_precision(arm.training.precision)):
        # The graph lives as long as the loss; until then no memory is counted twice.
        loss, _ = task.loss(model, batch, arm)
    del loss
    return sum(kept.values()), sum(map(task.tokens, examples))
