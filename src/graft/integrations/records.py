"""Phase records of a training that another library runs, final and on the way."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from graft.audits.phases import ADAPTER_LEAD
from graft.core.ledger import PhaseRecord, TensorRecord
from graft.integrations.watched import depends_on_mode
from graft.models.encoder import tensor_name
from graft.models.tensors import sha256_tensor
from graft.train.modes import named_buffers, named_parameters
from graft.train.recorder import PhaseCounts, PhaseRecorder

T = TypeVar("T")
_LEFT: WeakKeyDictionary[nn.Module, dict[str, str]] = WeakKeyDictionary()


def as_it_was(recorder: PhaseRecorder) -> PhaseRecord:
    """Return the record of the phase, read as foreign trainers are to be read.

    Flags are those of the phase, even if a thaw has changed them by now. Many hand all parameters
    to the optimizer: a frozen tensor that it passes over and never moves does not count as held.
    Of the modules in training mode only those count that compute something else there.
    """
    record = recorder.finish()
    tensors = tuple(
        replace(
            tensor,
            requires_grad=tensor.name in recorder.start,
            in_optimizer=tensor.in_optimizer and (tensor.name in recorder.start or _moved(tensor)),
            first_gradient=_finite(tensor.first_gradient, None),
            relative_change=_finite(tensor.relative_change, sys.float_info.max),
        )
        for tensor in record.tensors
    )
    modules = {tensor_name(name): module for name, module in recorder.model.named_modules()}
    modules |= {name.removeprefix("model."): module for name, module in modules.items()}
    awake = tuple(n for n in record.awake if n not in modules or depends_on_mode(modules[n]))
    return replace(record, tensors=tensors, awake=awake)


def _finite(value: float | None, otherwise: T) -> float | T:
    """Return the value, or `otherwise` if it is no finite number and cannot be written down."""
    return value if value is not None and math.isfinite(value) else otherwise


def _moved(tensor: TensorRecord) -> bool:
    return tensor.sha256_before != tensor.sha256_after


def sketch(recorder: PhaseRecorder) -> PhaseRecord:
    """Return the record so far without reading a tensor: flags, optimizer and gradients."""
    counts = recorder.counts

    def look(name: str, tensor: Tensor, kind: str, held: bool) -> TensorRecord:
        return TensorRecord(
            name=name,
            kind=kind,
            count=tensor.numel(),
            requires_grad=tensor.requires_grad,
            in_optimizer=tensor.requires_grad and held,
            gradient=name in counts.with_gradient,
            first_gradient=counts.first_gradients.get(name),
            relative_change=0.0,
            changed_share=0.0,
            nonzero_share=1.0,
            finite=True,
            sha256_before="",
            sha256_after="",
        )

    return recorder.phase_record(look)


def changed_tensors(model: nn.Module, initial: Mapping[str, str]) -> list[str]:
    """Return the tensors of the model's state whose hash is not the one in `initial`."""
    tensors = _tensors(model)
    return [
        name
        for name in map(tensor_name, model.state_dict())
        if name in tensors and initial.get(name) != sha256_tensor(tensors[name])
    ]


def remember(model: nn.Module) -> None:
    """Keep the hashes that a recorded training leaves, for a second one of the same model."""
    _LEFT[model] = {name: sha256_tensor(tensor) for name, tensor in _tensors(model).items()}


def left_behind(model: nn.Module, now: Mapping[str, str]) -> frozenset[str]:
    """Return the tensors that are still as a recorded training of this process left them.

    Args:
        model: The model.
        now: Hash of each tensor by its name.
    """
    left = _LEFT.get(model, {})
    return frozenset(name for name, digest in left.items() if now.get(name) == digest)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**named_parameters(model), **named_buffers(model)}


def is_cut(counts: PhaseCounts) -> bool:
    """Return True if it is certain by now that a tensor is cut off from the loss.

    After the first step that is one without any gradient, unless it is a pooler or belongs to one
    of several losses; a batch without loss may give zeros, but not several of them.
    """
    if counts.executed_steps == 1:
        return any(
            gradient is None and "pooler" not in name.split(".") and not name.startswith("loss.")
            for name, gradient in counts.first_gradients.items()
        )
    return counts.executed_steps == ADAPTER_LEAD and not counts.with_gradient


def finite_gradients(recorder: PhaseRecorder) -> bool:
    """Return True if no gradient holds NaN or infinity."""
    found = [p.grad for p in recorder.parameters.values() if p.grad is not None]
    return all(bool(torch.isfinite(gradient).all()) for gradient in found)
