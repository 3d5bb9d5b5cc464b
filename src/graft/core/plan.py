"""What training is going to do: the resolved list of tensors, groups, phases and rates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedTensor:
    """One parameter of the model and what the plan says about it.

    Args:
        name: Dotted name in the model.
        shape: Its shape.
        count: Number of elements.
        group: Name of its group.
        joins: Phase in which it becomes trainable, None if it is frozen for the whole run.
    """

    name: str
    shape: tuple[int, ...]
    count: int
    group: str
    joins: int | None


@dataclass(frozen=True)
class PlannedGroup:
    """Parameters that share a rate.

    Args:
        name: Name of the group.
        learning_rate: Its peak rate on joining.
        weight_decay: Decay applied to its matrices (biases and norms have none).
        unfreeze_after: -1 trainable from the start, 0 frozen for the whole run, N > 0 thawed
            after epoch N.
    """

    name: str
    learning_rate: float
    weight_decay: float
    unfreeze_after: int


@dataclass(frozen=True)
class PlannedPhase:
    """A stretch of training with one set of trainable tensors.

    Args:
        index: 0, 1, …
        first_epoch: First epoch of the phase, counted from 0.
        last_epoch: Last epoch of the phase, inclusive.
        first_step: First optimizer step of the phase, counted from 0.
        steps: Optimizer steps in the phase.
        trainable: Number of trainable parameters.
        groups: Names of the trainable groups.
    """

    index: int
    first_epoch: int
    last_epoch: int
    first_step: int
    steps: int
    trainable: int
    groups: tuple[str, ...]


@dataclass(frozen=True)
class ResolvedPlan:
    """The whole plan, saved before step 1.

    Args:
        method: `full`, `lora` or `head`.
        tensors: Every parameter of the model.
        groups: The groups.
        phases: The phases, in order; together they cover every epoch.
        tied: Sets of names that share one tensor.
        total_parameters: Parameters of the model, adapters and head included.
        trainable_parameters: Parameters that are trainable at some time.
        steps_per_epoch: Optimizer steps per epoch.
        total_steps: Optimizer steps of the run.
        warmup_steps: Steps of warm-up after resolving a ratio or an epoch count.
        schedule: Name of the schedule.
        rates: For each group, the planned rate at every step (0 before it joins).
        frozen_in_eval: True if modules that are frozen as a whole are to run in eval mode.
    """

    method: str
    tensors: tuple[PlannedTensor, ...]
    groups: tuple[PlannedGroup, ...]
    phases: tuple[PlannedPhase, ...]
    tied: tuple[tuple[str, ...], ...]
    total_parameters: int
    trainable_parameters: int
    steps_per_epoch: int
    total_steps: int
    warmup_steps: int
    schedule: str
    rates: dict[str, tuple[float, ...]]
    frozen_in_eval: bool = True

    def trainable_in(self, phase: int) -> frozenset[str]:
        """Return the names of the tensors that the plan trains in `phase`."""
        return frozenset(
            tensor.name
            for tensor in self.tensors
            if tensor.joins is not None and tensor.joins <= phase
        )
