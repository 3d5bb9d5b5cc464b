"""What a callback watches: a model with the losses that train with it, and the names of both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from graft.models.encoder import tensor_name
from graft.train.modes import frozen_modules, is_awake

_WRAPPER = "base_model.model."
# What PEFT puts around a module of the base.
_AROUND = ("base_layer", "original_module")
_COPY = "modules_to_save"


class Watched(nn.Module):
    """A model and its losses as one module, in which every tensor keeps the name it has there.

    Args:
        model: The model.
        losses: Losses by name; only those of their tensors count that the model does not hold.
            They are named `loss.…`.

    Example:
        >>> watched = Watched(nn.Linear(2, 1), {"": nn.Linear(1, 1, bias=False)})
        >>> [name for name, _ in watched.named_parameters()]
        ['weight', 'bias', 'loss.weight']
    """

    def __init__(self, model: nn.Module, losses: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.model = model
        self.losses = nn.ModuleList(losses.values())
        self.prefixes = [f"loss.{name}." if name else "loss." for name in losses]

    def named_parameters(self, *options: Any, **more: Any) -> Iterator[tuple[str, nn.Parameter]]:  # noqa: ANN401
        """Yield every parameter of the model, then those that only a loss holds."""
        yield from self.model.named_parameters(*options, **more)
        known = {id(parameter) for parameter in self.model.parameters()}
        for prefix, loss in zip(self.prefixes, self.losses, strict=True):
            for name, parameter in loss.named_parameters(*options, **more):
                if id(parameter) not in known:
                    yield f"{prefix}{name}", parameter

    def named_buffers(self, *options: Any, **more: Any) -> Iterator[tuple[str, Tensor]]:  # noqa: ANN401
        """Yield every buffer of the model."""
        yield from self.model.named_buffers(*options, **more)

    def named_children(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the children of the model."""
        yield from self.model.named_children()


def adapter_names(model: nn.Module) -> frozenset[str]:
    """Return the names of the PEFT adapters that the model holds, such as `default`."""
    configs = (getattr(module, "peft_config", None) for module in model.modules())
    return frozenset(name for config in configs if isinstance(config, dict) for name in config)


def is_added(name: str, adapters: frozenset[str]) -> bool:
    """Return True if the tensor belongs to an adapter, and not to a copy of a module of the base.

    Example:
        >>> is_added("query.lora_A.default.weight", frozenset(["default"]))
        True
        >>> is_added("classifier.modules_to_save.default.weight", frozenset(["default"]))
        False
    """
    parts = name.split(".")
    return _COPY not in parts and not adapters.isdisjoint(parts)


def plain_name(name: str, adapters: frozenset[str] = frozenset()) -> str:
    """Return the name that the tensor has in the base, or in the file of an adapter.

    Example:
        >>> plain_name("base_model.model.bert.query.base_layer.weight")
        'bert.query.weight'
        >>> plain_name("classifier.modules_to_save.default.weight", frozenset(["default"]))
        'classifier.weight'
        >>> plain_name("query.lora_A.default.weight", frozenset(["default"]))
        'query.lora_A.weight'
    """
    parts = tensor_name(name).removeprefix(_WRAPPER).split(".")
    dropped = {*_AROUND, _COPY, *adapters}
    return ".".join(part for part in parts if part not in dropped)


def depends_on_mode(module: nn.Module) -> bool:
    """Return True if the module computes something else in training mode.

    Example:
        >>> depends_on_mode(nn.Dropout(0.0)), depends_on_mode(nn.Dropout(0.1))
        (False, True)
    """
    return any(
        (isinstance(inner, _DropoutNd) and inner.p > 0) or isinstance(inner, _BatchNorm)
        for inner in module.modules()
    )


def sleeping_modules(model: nn.Module) -> tuple[str, ...]:
    """Return the outermost modules that are frozen as a whole and in eval mode."""
    return tuple(name for name, module in frozen_modules(model) if not is_awake(module))


@contextlib.contextmanager
def output_format(model: nn.Module, wanted: bool) -> Iterator[list[str]]:
    """Yield a list that holds the number format of the first linear layer's output afterwards."""
    seen: list[str] = []
    layer = next((m for m in model.modules() if isinstance(m, nn.Linear)), None)
    if not wanted or layer is None:
        yield seen
        return

    def look(_: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            seen.append(str(output.dtype).removeprefix("torch."))

    handle = layer.register_forward_hook(look)
    try:
        yield seen
    finally:
        handle.remove()
