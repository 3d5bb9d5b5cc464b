"""Rates that fall from layer to layer: which part of a group a tensor is in, and its share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class LayerPart:
    """A part of a group of tensors with a rate of its own.

    Args:
        label: `layer.5`, `embeddings`, or nothing for what stands above all layers.
        depth: 0 for embeddings, 1 for the lowest layer, and so on.
    """

    label: str
    depth: int


def layer_parts(names: Sequence[str]) -> dict[str, LayerPart]:
    """Return the part of each tensor of a model.

    A layer is what has a number in its name; what stands before the first of them counts as
    embeddings, what stands after the last, or begins with a number, as above all layers.

    Args:
        names: Names of all tensors, in the order of the model.

    Example:
        >>> found = layer_parts(["embeddings.word", "encoder.layer.0.query", "encoder.layer.1.key",
        ...     "norm.weight"])
        >>> [(part.label, part.depth) for part in found.values()]
        [('embeddings', 0), ('layer.0', 1), ('layer.1', 2), ('', 3)]
    """
    layers = {name: found for name in names if (found := _layer(name))}
    top = max((depth for _, depth in layers.values()), default=-1)
    parts, seen = {}, False
    for name in names:
        if name in layers:
            seen = True
            label, depth = layers[name]
            parts[name] = LayerPart(label, depth + 1)
        elif layers and not seen:
            parts[name] = LayerPart("embeddings", 0)
        else:
            parts[name] = LayerPart("", top + 2)
    return parts


def _layer(name: str) -> tuple[str, int] | None:
    """Return the name of the layer with its number, as `layer.3`, and the number."""
    words = name.split(".")
    for before, number in pairwise(words):
        if number.isdigit():
            return f"{before}.{number}", int(number)
    return None


def shares(
    names: Iterable[str], parts: Mapping[str, LayerPart], decay: float
) -> dict[str, tuple[str, float]]:
    """Return for each tensor of a group the label of its part and its share of the group's rate.

    The topmost layer of the group, and what stands above it, have the whole rate; each layer below
    has `decay` of the one above it (Howard & Ruder 2018, discriminative fine-tuning).

    Args:
        names: Tensors of the group.
        parts: Part of each tensor of the model.
        decay: 0 to 1; 1 leaves the group whole.

    Example:
        >>> found = layer_parts(["embeddings.word", "layer.0.query", "layer.1.query"])
        >>> shares(found, found, decay=0.5)
        {'embeddings.word': ('embeddings', 0.25), 'layer.0.query': ('layer.0', 0.5),
         'layer.1.query': ('layer.1', 1.0)}
    """
    chosen = {name: parts[name] for name in names}
    if decay == 1:
        return dict.fromkeys(chosen, ("", 1.0))
    top = max((part.depth for part in chosen.values() if part.label), default=0)
    return {name: (part.label, decay ** max(top - part.depth, 0)) for name, part in chosen.items()}
