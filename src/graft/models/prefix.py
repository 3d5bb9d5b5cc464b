"""The frozen beginning of an encoder: found, run once, and skipped from then on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from graft.models.packed import (
    packed_embeddings,
    packed_tokens,
    packing_problem,
    padded_embeddings,
    pooled,
    run_modules,
    trial_batch,
)
from graft.models.packing import TextBatch

Arguments = tuple[Any, ...]
Options = dict[str, Any]


@dataclass(frozen=True)
class Prefix:
    """Where the frozen beginning of an encoder ends.

    Args:
        layers: Leading layers of the backbone that belong to it, the embedding before them too;
            0 if the whole backbone does.
        modules: Leading modules of the encoder that belong to it, 0 if only layers do.
        words: What it is, in words.
        in_tuple: True if a layer gives its output as the first of a tuple.
    """

    layers: int
    modules: int
    words: str
    in_tuple: bool = False


class _Reached(Exception):
    """The forward pass came to the end of the prefix."""

    def __init__(self, hidden: Tensor) -> None:
        self.hidden = hidden


def frozen_prefix(encoder: SentenceTransformer) -> Prefix | str:
    """Return the longest beginning that no step can change, or why there is none.

    A module belongs to it if all its parameters are frozen and it is in evaluation mode, so that
    it gives the same output for the same text in every epoch. What runs before which layer is
    found by a trial, not by names.
    """
    modules = _leading_modules(encoder)
    if modules:
        return Prefix(0, modules, "the whole backbone")
    if problem := packing_problem(encoder):
        return f"layers are kept apart from packed texts only: {problem}"
    layers = layers_of(encoder)
    if not layers:
        return "its backbone has no list of layers"
    before, in_tuple = _trial(encoder, layers)
    # The first entry is the embedding alone: looking up a vector again costs next to nothing.
    frozen = sum(1 for _ in takewhile(lambda called: all(map(_still, called)), before)) - 1
    if frozen < 1:
        return "no layer of its backbone is frozen from the beginning on"
    return Prefix(frozen, 0, f"the embedding and {frozen} of {len(layers)} layers", in_tuple)


def run_prefix(encoder: SentenceTransformer, batch: TextBatch, prefix: Prefix) -> Tensor:
    """Return the outputs of the prefix for the distinct texts.

    Returns:
        `[distinct, dimension]` if the prefix is the whole backbone, else `[tokens, width]`.
    """
    if prefix.modules:
        whole = padded_embeddings if packing_problem(encoder) else packed_embeddings
        return whole(encoder, batch, prefix.modules)
    layer = layers_of(encoder)[prefix.layers]

    def stop(_: nn.Module, args: Arguments, kwargs: Options) -> None:
        raise _Reached(_hidden(args, kwargs))

    handle = layer.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        packed_tokens(encoder, batch)
    except _Reached as reached:
        return reached.hidden[0]
    finally:
        handle.remove()
    raise RuntimeError("the forward pass never came to the end of the frozen prefix")


def run_rest(
    encoder: SentenceTransformer, batch: TextBatch, prefix: Prefix, outputs: Tensor
) -> Tensor:
    """Return the embeddings of the distinct texts from the outputs of the prefix."""
    if prefix.modules:
        features = {"sentence_embedding": outputs}
        return run_modules(list(encoder)[prefix.modules :], features)
    with _skipping(layers_of(encoder), prefix, outputs[None]):
        tokens = packed_tokens(encoder, batch)
    return pooled(encoder, tokens, batch)


def layers_of(encoder: SentenceTransformer) -> list[nn.Module]:
    """Return the layers of the backbone in order, empty if it keeps them in no list."""
    backbone = encoder[0].auto_model
    count = getattr(backbone.config, "num_hidden_layers", None)
    for module in backbone.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return list(module)
    return []


def _leading_modules(encoder: SentenceTransformer) -> int:
    """Return how many modules from the first on are still, 0 if that ends before the pooling."""
    count = 0
    for module in encoder:
        if not _still(module):
            break
        count += 1
    ends = any(isinstance(module, Pooling) for module in list(encoder)[:count])
    return count if ends else 0


def _still(module: nn.Module) -> bool:
    """Return True if the module gives the same output for the same input from now on."""
    if any(parameter.requires_grad for parameter in module.parameters()):
        return False
    return not any(_draws(inner) for inner in module.modules())


def _draws(module: nn.Module) -> bool:
    # Dropout may stand in a module of its own, or in the forward pass of what has parameters.
    owns = next(module.parameters(), None) is not None
    return module.training and (owns or isinstance(module, _DropoutNd))


def _trial(
    encoder: SentenceTransformer, layers: list[nn.Module]
) -> tuple[list[list[nn.Module]], bool]:
    """Return the modules that run before each layer, and whether layers give tuples.

    Entry 0 holds what runs before layer 0; entry k what runs from layer k - 1 on, before layer k.
    """
    place = {id(layer): index for index, layer in enumerate(layers)}
    before: list[list[nn.Module]] = [[] for _ in layers]
    reached, in_tuple = 0, False

    def note(module: nn.Module, _: object) -> None:
        nonlocal reached
        if id(module) in place:
            reached = place[id(module)] + 1
        matters = isinstance(module, _DropoutNd) or any(True for _ in module.parameters(False))
        if reached < len(before) and matters:
            before[reached].append(module)

    def look(_: nn.Module, __: object, output: object) -> None:
        nonlocal in_tuple
        in_tuple = isinstance(output, tuple)

    handles = [m.register_forward_pre_hook(note) for m in encoder[0].auto_model.modules()]
    handles.append(layers[0].register_forward_hook(look))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            packed_tokens(encoder, trial_batch(encoder))
    finally:
        for handle in handles:
            handle.remove()
    return before, in_tuple


@contextmanager
def _skipping(layers: list[nn.Module], prefix: Prefix, hidden: Tensor) -> Iterator[None]:
    """Let the layers of the prefix do nothing, and the next one start from `hidden`."""

    def start(_: nn.Module, args: Arguments, kwargs: Options) -> tuple[Arguments, Options]:
        if args:
            return (hidden, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": hidden}

    def pass_on(*args: Tensor, **kwargs: Tensor) -> Tensor | tuple[Tensor]:
        return (_hidden(args, kwargs),) if prefix.in_tuple else _hidden(args, kwargs)

    skipped = layers[: prefix.layers]
    handle = layers[prefix.layers].register_forward_pre_hook(start, with_kwargs=True)
    for layer in skipped:
        layer.forward = pass_on
    try:
        yield
    finally:
        handle.remove()
        for layer in skipped:
            del layer.forward


def _hidden(args: Arguments, kwargs: Options) -> Tensor:
    hidden: Tensor = args[0] if args else kwargs["hidden_states"]
    return hidden
