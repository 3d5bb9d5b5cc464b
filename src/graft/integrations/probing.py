"""Two measurements with a foreign trainer's model: accumulation, and packed texts alone."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from graft.audits.probing import gap
from graft.core.probes import AccumulationProbe, Gap
from graft.integrations.batches import Batch
from graft.tasks.supervised_tokens import IGNORED, segments

# Kept by trainers beside the weights, and changed by every call of a training step.
_COUNTS = ("_metrics", "_total_train_tokens", "accum_loss_components")
# Sums of attention in another order.
_TOLERANCE = 5e-3
_TEXTS = 4  # packed texts that are computed alone
_PACKED = ("input_ids", "position_ids", "attention_mask", "seq_idx")
_LENGTHS = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")
Step = Callable[[nn.Module, dict[str, Any], Any], Tensor]


def probe_accumulation(
    trainer: Any,  # noqa: ANN401
    model: nn.Module,
    step: Step,
    batches: Sequence[Batch],
    items: Any,  # noqa: ANN401
) -> AccumulationProbe | None:
    """Return the trainer's accumulated gradient beside the gradient of all tokens at once.

    Both are computed with the weights as they are and without dropout; nothing is left behind:
    no gradient, no random state, no count. None if the rows carry no loss.

    Args:
        trainer: The trainer.
        model: The model as the trainer calls it.
        step: The trainer's own training step, called as in its loop.
        batches: The micro-batches of one optimizer step.
        items: What the trainer's loop gives the step as the number of items.
    """
    counts = [_targets(trainer, batch) for batch in batches]
    if not sum(counts):
        return None
    with _undisturbed(trainer, model):
        losses = [float(step(model, dict(batch), items)) for batch in batches]
        summed = _gradients(model)
        model.zero_grad(set_to_none=True)
        means = []
        for batch, count in zip(batches, counts, strict=True):
            outputs = model(**trainer._prepare_inputs(dict(batch)))
            torch.autograd.backward(outputs.loss * (count / sum(counts)))
            means.append(float(outputs.loss.detach()) * count / sum(counts))
        at_once = _gradients(model)
    apart = _norm({name: summed[name] - at_once[name] for name in at_once if name in summed})
    return AccumulationProbe(
        micro_batches=len(batches),
        loss=sum(losses),
        loss_at_once=sum(means),
        gradient_gap=apart / max(_norm(at_once), 1e-12),
        tolerance=_TOLERANCE,
    )


def _targets(trainer: Any, batch: Batch) -> int:  # noqa: ANN401
    """Return the tokens with loss: if the model shifts the labels, the first is no target."""
    first = 1 if getattr(trainer, "_loss_shifts_labels", True) else 0
    return int((batch["labels"][..., first:] != IGNORED).sum())


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad.detach().clone() for n, p in model.named_parameters() if p.grad is not None}


def _norm(tensors: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors.values()))


@contextlib.contextmanager
def _undisturbed(trainer: Any, model: nn.Module) -> Iterator[None]:  # noqa: ANN401
    """Take gradients away inside the block, and put everything back after it."""
    modes = {module: module.training for module in model.modules()}
    buffers = {buffer: buffer.detach().clone() for buffer in model.buffers()}
    counts = {n: copy.deepcopy(getattr(trainer, n)) for n in _COUNTS if hasattr(trainer, n)}
    gradients = {parameter: parameter.grad for parameter in model.parameters()}
    model.zero_grad(set_to_none=True)
    try:
        with torch.random.fork_rng(), _no_dropout(model):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for buffer, value in buffers.items():
            buffer.copy_(value)
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        for name, count in counts.items():
            setattr(trainer, name, count)


@contextlib.contextmanager
def _no_dropout(model: nn.Module) -> Iterator[None]:
    """Set every share of dropout to zero inside the block; a training step switches modes."""
    shares: list[tuple[nn.Module, str, float]] = [
        (module, name, getattr(module, name))
        for module in model.modules()
        for name in ("p", "attention_dropout")
        if isinstance(getattr(module, name, None), float)
        and (name != "p" or isinstance(module, _DropoutNd))
    ]
    for module, name, _ in shares:
        setattr(module, name, 0.0)
    try:
        yield
    finally:
        for module, name, share in shares:
            setattr(module, name, share)


def is_packed(batch: Batch) -> bool:
    """Return True if a row of the batch holds more than one text."""
    positions = batch.get("position_ids")
    if not isinstance(positions, Tensor) or positions.shape != batch["input_ids"].shape:
        return False
    return any(len(segments(batch, index)) > 2 for index in range(len(positions)))


def probe_packing(model: nn.Module, batch: Batch) -> Gap:
    """Return how far the logits of packed texts lie from those of the same texts alone.

    Args:
        model: The model; it is left as it was.
        batch: A collated batch of packed rows, of which the first with two texts is taken.
    """
    index = next(i for i in range(len(batch["input_ids"])) if len(segments(batch, i)) > 2)
    bounds = list(itertools.pairwise(segments(batch, index)))[-_TEXTS:]
    device = next(model.parameters()).device
    row = {n: batch[n][index : index + 1].to(device) for n in _PACKED if n in batch}
    if len(batch["input_ids"]) == 1:
        row |= {
            n: batch[n].to(device) if isinstance(batch[n], Tensor) else batch[n]
            for n in _LENGTHS
            if n in batch
        }
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng():
            packed = model(**row).logits[0].float().cpu()
            alone = [
                model(input_ids=row["input_ids"][:, start:end]).logits[0].float().cpu()
                for start, end in bounds
            ]
    finally:
        for module, mode in modes.items():
            module.training = mode
    together = torch.cat([packed[start:end] for start, end in bounds]).numpy()
    names = [
        f"text {number} of the row" for number, (a, b) in enumerate(bounds) for _ in range(a, b)
    ]
    found = gap({"logits": together}, {"logits": np.concatenate([a.numpy() for a in alone])}, names)
    worst = tuple(dict.fromkeys(found.worst))
    return Gap(len(bounds), found.largest, found.spread, worst)
