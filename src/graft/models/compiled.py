"""Parts of a model that are compiled: what stands between two attentions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch
from torch import nn

from graft.core.errors import InputError, Problem
from graft.core.processors import usable_cores
from graft.models.threads import multiplied

# Compiling takes about a minute and takes off a third of a step. From so many operations for each
# core on, a run takes several minutes at the speed that processors reach.
_OPERATIONS_PER_CORE = 5e13
_COMPILERS = ("c++", "g++", "clang++", "cl")


class CompiledParts:
    """The parts of a model's layers that hold no attention, compiled for training steps.

    Attention works on texts of ever new lengths, and would be compiled anew for each; what stands
    between two attentions works token by token. Nothing else than steps uses the compiled form.

    Args:
        model: The model; names and weights stay the same.
        wanted: False for no compilation.

    Example:
        >>> len(CompiledParts(nn.Sequential(nn.Linear(2, 2)), wanted=True).parts)
        0
    """

    def __init__(self, model: nn.Module, wanted: bool) -> None:
        self.parts = parts_without_attention(model) if wanted else []
        for part in self.parts:
            part.compile(dynamic=True)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let the model run as it is, but in steps; afterwards nothing is compiled any more."""
        try:
            with _stance("force_eager") if self.parts else nullcontext():
                yield
        finally:
            for part in self.parts:
                part._compiled_call_impl = None

    def in_step(self) -> AbstractContextManager[object]:
        """Return the context in which the compiled parts are used."""
        return _stance("default") if self.parts else nullcontext()


def _stance(name: str) -> AbstractContextManager[object]:
    context: AbstractContextManager[object] = torch.compiler.set_stance(name)
    return context


def parts_without_attention(model: nn.Module) -> list[nn.Module]:
    """Return the largest parts of the layers that hold no attention and do more than one thing.

    Example:
        >>> layer = nn.ModuleDict({"attn": nn.MultiheadAttention(4, 1),
        ...                        "feed_forward": nn.Sequential(nn.Linear(4, 4), nn.GELU())})
        >>> [type(part).__name__ for part in parts_without_attention(nn.ModuleList([layer, layer]))]
        ['Sequential']
    """
    found: dict[nn.Module, None] = {}
    for layers in model.modules():
        if isinstance(layers, nn.ModuleList) and len({type(layer) for layer in layers}) == 1:
            for layer in layers:
                found.update(dict.fromkeys(_parts(layer)))
    return list(found)


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    inside = list(module.modules())
    if any("Attention" in type(inner).__name__ for inner in inside):
        for child in module.children():
            yield from _parts(child)
    elif sum(1 for inner in inside if not list(inner.children())) > 1:
        yield module


def compiles(requested: bool | Literal["auto"], model: nn.Module, tokens: int) -> bool:
    """Return True if parts of the model are to be compiled for a run.

    `auto` is decided from the operations of the run, not from a clock: the same run is compiled
    each time, and ends with the same weights.

    Args:
        requested: What the recipe asks for.
        model: The model.
        tokens: Tokens that training computes, all epochs together.

    Raises:
        InputError: Compilation is asked for, and the machine has no compiler.

    Example:
        >>> compiles("auto", nn.Linear(8, 8), tokens=1000)
        False
    """
    found = any(shutil.which(name) for name in _COMPILERS)
    if requested == "auto":
        return (
            found and 6.0 * sum(multiplied(model)) * tokens > _OPERATIONS_PER_CORE * usable_cores()
        )
    if requested and not found:
        what = f"is true, but no C++ compiler is installed (looked for {', '.join(_COMPILERS)})"
        problem = Problem("training.torch_compile", what, "install one, or set it to auto")
        raise InputError("training", [problem])
    return requested
