"""What was measured on a few rows with the model in hand, beside the training itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Gap:
    """How far two ways of computing the same outputs lie apart.

    Args:
        rows: Rows that were computed both ways.
        largest: Largest absolute difference of an output.
        spread: Standard deviation of the outputs: what a difference is to be measured against.
        worst: Ids of the rows with the largest differences, the largest first.
    """

    rows: int
    largest: float
    spread: float
    worst: tuple[str, ...] = ()


@dataclass(frozen=True)
class GradientProbe:
    """The gradient against what the loss really does along it.

    Args:
        loss: Loss of the batch.
        norm: Norm of the gradient over all trainable tensors.
        measured: (loss(w + h·g) − loss(w − h·g)) / 2h‖g‖, which equals the norm if the gradient
            is right.
        step: ‖h·g‖, the length of the step in weight space.
    """

    loss: float
    norm: float
    measured: float
    step: float


@dataclass(frozen=True)
class AccumulationProbe:
    """One optimizer step's batch in micro-batches against the same rows at once.

    Args:
        micro_batches: Number of micro-batches.
        loss: Mean loss with accumulation.
        loss_at_once: Mean loss of one batch.
        gradient_gap: ‖g − g_at_once‖ / ‖g_at_once‖.
        rowwise: True if the loss of a batch is the sum of the losses of its rows.
        tolerance: Largest gap that passes where the two cannot be compared exactly (dropout was
            on); None for the check's own.
    """

    micro_batches: int
    loss: float
    loss_at_once: float
    gradient_gap: float
    rowwise: bool = True
    tolerance: float | None = None


@dataclass(frozen=True)
class Probes:
    """Everything that was probed; None where it was not, with the reason in `not_probed`.

    Args:
        gradient: At the first step.
        accumulation: At the first step.
        alone: Each row alone against the rows in one batch.
        again: The same batch twice.
        training_modules: Modules that were in training mode while the model predicted.
        not_probed: Field to the reason why it is None.
        padded: The rows packed against the same rows padded.
        blind: What a pretraining says of rows whose hidden values were replaced by others, against
            the rows as they are.
    """

    gradient: GradientProbe | None = None
    accumulation: AccumulationProbe | None = None
    alone: Gap | None = None
    again: Gap | None = None
    training_modules: tuple[str, ...] = ()
    not_probed: dict[str, str] = field(default_factory=dict)
    padded: Gap | None = None
    blind: Gap | None = None


@dataclass(frozen=True)
class Reading:
    """How a model reads its input, seen on probe rows.

    Args:
        settings: What decides it: tokenizer, limit, prompts, pooling, normalisation.
        inputs: Row id to the token ids that reach the model, all texts of the row in order.
    """

    settings: dict[str, Any]
    inputs: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Spread:
    """How much of their space the embeddings use.

    Args:
        texts: Number of embeddings.
        mean_cosine: Mean cosine of two different texts, −1 to 1.
        effective_rank: exp of the entropy of the normalised singular values, 1 to `dimension`
            (Roy & Vetterli 2007).
        dimension: Length of an embedding.
    """

    texts: int
    mean_cosine: float
    effective_rank: float
    dimension: int
