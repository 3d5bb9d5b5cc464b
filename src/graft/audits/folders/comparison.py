"""One tensor before and after: does it hold the same values, and how far did it move?"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch

_SLICE = 1 << 22  # elements that are held in double precision at once


class Movement(StrEnum):
    """Whether a tensor still holds the base's values, bit for bit."""

    frozen = "FROZEN"
    updated = "UPDATED"


@dataclass(frozen=True)
class ComparedTensor:
    """One tensor that both folders hold.

    Args:
        name: Its name in the base, with dots only.
        tuned_name: Its name in the tuned folder.
        shape: Its shape.
        movement: The answer.
        changed_share: Share of elements that differ, 0 to 1.
        relative_change: ‖tuned − base‖ / ‖base‖ (‖tuned‖ if the base is zero).
        norm: ‖base‖.
        cosine: Cosine between base and tuned; None if either is zero.
        finite: False if tuned holds NaN or infinity where the base holds a number.
    """

    name: str
    tuned_name: str
    shape: tuple[int, ...]
    movement: Movement
    changed_share: float
    relative_change: float
    norm: float = 0.0
    cosine: float | None = None
    finite: bool = True

    @property
    def module(self) -> str:
        """Name of the module that holds it."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class LayerMovement:
    """How far the tensors of one layer moved.

    Args:
        layer: Name up to the number of the layer, or of the part outside the layers.
        tensors: Tensors that were compared.
        updated: Those that differ from the base.
        changed_share: Share of elements that differ, 0 to 1.
        relative_change: ‖tuned − base‖ / ‖base‖ over all of them.
    """

    layer: str
    tensors: int
    updated: int
    changed_share: float
    relative_change: float


def compare_tensor(
    name: str, tuned_name: str, one: torch.Tensor, other: torch.Tensor
) -> ComparedTensor:
    """Return how `other`, the tuned tensor, differs from `one`; both of one shape.

    The base is compared in the number format of the tuned tensor.

    Example:
        >>> compare_tensor("w", "w", torch.ones(4), torch.ones(4)).movement
        <Movement.frozen: 'FROZEN'>
    """
    changed, finite = 0, True
    sums = torch.zeros(4, dtype=torch.float64)
    slices = (torch.split(tensor.reshape(-1), _SLICE) for tensor in (one, other))
    for part, tuned in zip(*slices, strict=True):
        base = part.to(tuned.dtype)
        # Two NaN in one place are the same value; torch.equal says otherwise.
        same = (base == tuned) | ((base != base) & (tuned != tuned))  # noqa: PLR0124
        changed += int((~same).sum())
        before, after = base.double(), tuned.double()
        finite &= bool((torch.isfinite(after) | ~torch.isfinite(before)).all())
        moved = (after - before).square().sum()
        sums += torch.stack([moved, before.square().sum(), after.square().sum(), before @ after])
    gap, norm, size = (math.sqrt(value) for value in sums[:3].tolist())
    cosine = float(sums[3]) / (norm * size) if norm and size else None
    return ComparedTensor(
        name=name,
        tuned_name=tuned_name,
        shape=tuple(other.shape),
        movement=Movement.updated if changed else Movement.frozen,
        changed_share=changed / max(other.numel(), 1),
        relative_change=_largest(gap / norm if norm else size),
        norm=_largest(norm),
        cosine=cosine if cosine is not None and math.isfinite(cosine) else None,
        finite=finite,
    )


def by_layer(tensors: Sequence[ComparedTensor]) -> tuple[LayerMovement, ...]:
    """Return the movement of each layer, in the order of the tensors."""
    grouped: dict[str, list[ComparedTensor]] = {}
    for tensor in tensors:
        grouped.setdefault(layer_of(tensor.name), []).append(tensor)
    layers = []
    for layer, own in grouped.items():
        counts = [math.prod(tensor.shape) for tensor in own]
        changed = sum(t.changed_share * count for t, count in zip(own, counts, strict=True))
        moved = math.hypot(*(_clipped(t.relative_change * (t.norm or 1.0)) for t in own))
        norm = math.hypot(*(_clipped(t.norm) for t in own))
        layers.append(
            LayerMovement(
                layer=layer,
                tensors=len(own),
                updated=sum(tensor.movement == Movement.updated for tensor in own),
                changed_share=changed / max(sum(counts), 1),
                relative_change=_largest(moved / norm if norm else moved),
            )
        )
    return tuple(layers)


def layer_of(name: str) -> str:
    """Return the layer that a tensor belongs to.

    Example:
        >>> layer_of("bert.encoder.layer.1.attention.self.query.weight")
        'bert.encoder.layer.1'
        >>> layer_of("bert.embeddings.word_embeddings.weight"), layer_of("classifier.weight")
        ('bert.embeddings', 'classifier')
    """
    numbered = re.match(r"(?:.*?\.)??\d+(?=\.)", name)
    if numbered:
        return numbered[0]
    parts = name.split(".")[:-1]
    end = parts.index("embeddings") + 1 if "embeddings" in parts else 2
    return ".".join(parts[:end]) or name


def _largest(value: float) -> float:
    """Return the value; a change to NaN or infinity as the largest number there is."""
    return value if value < float("inf") else torch.finfo(torch.float64).max


def _clipped(value: float) -> float:
    return min(value, 1e150)  # its square is still a number
