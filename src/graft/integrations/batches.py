"""Batches of other libraries: fingerprints of their rows, tokens and padding."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree

from graft.tasks.supervised_tokens import IGNORED, row_count, segments

Batch = Mapping[str, Any]


def as_mapping(batch: object) -> dict[str, Any]:
    """Return the batch as a mapping: itself, or its tensors by their place.

    Example:
        >>> list(as_mapping((torch.ones(2, 3), torch.ones(2))))
        ['0', '1']
    """
    if isinstance(batch, Mapping):
        return dict(batch)
    leaves: list[Any] = _pytree.tree_leaves(batch)
    return {str(index): leaf for index, leaf in enumerate(leaves) if isinstance(leaf, Tensor)}


def kept(batch: Batch, count: int | None = None) -> dict[str, Any]:
    """Return the batch with copies of its tensors in memory, for a look at it later."""
    return {
        name: value[:count].detach().cpu().clone() if isinstance(value, Tensor) and value.ndim
        else value
        for name, value in batch.items()
    }  # fmt: skip


def row_ids(batch: Batch) -> list[str]:
    """Return a fingerprint for each row, whatever its padding; equal rows have equal ones.

    Packed texts count as rows of their own.

    Example:
        >>> ids = torch.tensor([[5, 6, 0], [7, 8, 9]])
        >>> mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
        >>> first = row_ids({"input_ids": ids, "attention_mask": mask})[0]
        >>> first == row_ids({"input_ids": ids[:1, :2], "attention_mask": mask[:1, :2]})[0]
        True
    """
    ids = batch.get("input_ids")
    if isinstance(ids, Tensor) and batch.get("position_ids") is not None:
        return [
            _hash([ids[index, start:end]])
            for index in range(len(ids))
            for start, end in itertools.pairwise(segments({**batch, "attention_mask": None}, index))
        ]
    size = row_count(batch)
    fields = {n: v for n, v in batch.items() if isinstance(v, Tensor) and v.ndim and len(v) == size}
    masks = {name for name in fields if name.endswith("attention_mask")}
    return [
        _hash([_without_padding(fields, name, index) for name in sorted(fields.keys() - masks)])
        for index in range(size)
    ]


def _without_padding(fields: Mapping[str, Tensor], name: str, index: int) -> Tensor:
    row = fields[name][index]
    owner = name if name.endswith("input_ids") else "input_ids"
    mask = fields.get(owner.removesuffix("input_ids") + "attention_mask")
    same = mask is not None and row.ndim > 0 and mask[index].shape == row.shape
    return row[mask[index].bool()] if mask is not None and same else row


def _hash(parts: list[Tensor]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        flat = part.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
        digest.update(b"|")
    return digest.hexdigest()


def positions(batch: Batch) -> tuple[int, int]:
    """Return the tokens of the batch and the positions that are padding.

    Example:
        >>> positions({"a_input_ids": torch.ones(1, 3), "a_attention_mask": torch.ones(1, 3)})
        (3, 0)
    """
    tokens = padding = 0
    for name, ids in batch.items():
        if name.endswith("input_ids") and isinstance(ids, Tensor):
            mask = batch.get(name.removesuffix("input_ids") + "attention_mask")
            read = int(mask.sum()) if isinstance(mask, Tensor) else ids.numel()
            tokens, padding = tokens + read, padding + ids.numel() - read
    return tokens, padding


def units(batch: Batch) -> int:
    """Return what the loss is a sum over: labels that are not ignored, or rows."""
    labels = batch.get("labels")
    if isinstance(labels, Tensor) and not labels.is_floating_point():
        return int((labels != IGNORED).sum())
    return row_count(batch)
