"""What training an arm would cost, from a few real forward and backward passes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import psutil
import torch

from graft.core.seeds import generator
from graft.runs.arms import PreparedArm
from graft.runs.resources import ResourceMeter
from graft.tasks.protocol import Example, Task
from graft.train.modes import enter_phase, named_parameters
from graft.train.precision import autocast, resolve_precision
from graft.train.step import accumulate

MEASURED, WARM_UP = 3, 1
# AdamW keeps two moments per trainable element; the ledger keeps the values it started from.
MOMENTS, SNAPSHOT = 2, 1


@dataclass(frozen=True)
class Estimate:
    """An estimate, not a promise: other processes, evaluation and saving are not in it.

    Args:
        seconds: Wall time of all optimizer steps: median time per step × planned steps, phase
            by phase. The optimizer's own update and evaluation are not measured.
        memory_bytes: Largest resident size: the process as it was during the measured passes,
            plus moments and start snapshot, which only training makes.
        measured_steps: Steps that were measured, forward and backward, without any update.
        weight_bytes: All parameters.
        gradient_bytes: Gradients of the trainable parameters.
        optimizer_bytes: AdamW's two moments of the trainable parameters.
        snapshot_bytes: Start values of the trainable parameters, which the ledger compares with.
        activation_bytes: Growth of the process in the measured passes beyond the gradients.
        precision: Number format of the forward pass.
    """

    seconds: float
    memory_bytes: int
    measured_steps: int
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    snapshot_bytes: int
    activation_bytes: int
    precision: str


def estimate(prepared: PreparedArm, task: Task, seed: int = 0) -> Estimate:
    """Return what training `prepared` would cost, measured on its first batches.

    No optimizer exists, so no weight changes; gradients are dropped again.

    Args:
        prepared: The arm, ready to train.
        task: The kind of task.
        seed: The experiment's seed: the batches are those that training begins with.
    """
    plan, model = prepared.plan, prepared.model
    parameters = named_parameters(model)
    before = psutil.Process().memory_info().rss
    seconds, measured = 0.0, 0
    with ResourceMeter() as meter, torch.random.fork_rng(devices=[]):
        for phase in plan.phases:
            enter_phase(model, plan, phase.index, parameters)
            times = _seconds_per_step(prepared, task, seed)
            # The median: another process that takes the processor for a moment does not count.
            seconds += phase.steps * statistics.median(times)
            measured += len(times)
            model.zero_grad(set_to_none=True)
    weights = sum(p.numel() * p.element_size() for p in parameters.values())
    trainable = [parameters[t.name] for t in plan.tensors if t.joins is not None]
    own = sum(p.numel() * p.element_size() for p in trainable)
    peak = max(meter.peak_memory_bytes, before)
    return Estimate(
        seconds=seconds,
        memory_bytes=peak + (MOMENTS + SNAPSHOT) * own,
        measured_steps=measured,
        weight_bytes=weights,
        gradient_bytes=own,
        optimizer_bytes=MOMENTS * own,
        snapshot_bytes=SNAPSHOT * own,
        activation_bytes=max(0, peak - before - own),
        precision=resolve_precision(prepared.arm.training.precision),
    )


def _seconds_per_step(prepared: PreparedArm, task: Task, seed: int) -> list[float]:
    """Return the time of each measured step; the first ones only warm the machine up."""
    training = prepared.arm.training
    context = partial(autocast, resolve_precision(training.precision))
    times = []
    for examples in _batches(prepared, seed):
        started = time.perf_counter()
        accumulate(task, prepared.model, prepared.arm, examples, context)
        times.append(time.perf_counter() - started)
        prepared.model.zero_grad(set_to_none=True)
    return times[WARM_UP:] or times


def _batches(prepared: PreparedArm, seed: int) -> list[Sequence[Example]]:
    training = prepared.arm.training
    size = training.per_device_train_batch_size * training.gradient_accumulation_steps
    order = generator(seed, "order", 0).permutation(len(prepared.examples))
    steps = min(WARM_UP + MEASURED, prepared.plan.steps_per_epoch)
    return [
        [prepared.examples[position] for position in order[step * size : (step + 1) * size]]
        for step in range(steps)
    ]
