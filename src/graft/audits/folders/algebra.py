"""W_tuned − W_base against scale · B · A, and which tensors moved without an adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graft.audits.folders.adapters import AdapterParts
from graft.audits.folders.comparison import ComparedTensor, Movement
from graft.audits.folders.places import Place
from graft.audits.merging import MergedMatrix, judge

_ADDED = ("merged", "were merged", "lost the adapter")
_NOT_ADDED = ("were never merged", "have an adapter of zero")


def merged_matrices(
    base: Place,
    merged: Place,
    partners: Mapping[str, str],
    parts: AdapterParts,
    modules: Mapping[str, str],
) -> list[MergedMatrix]:
    """Return how each adapted matrix of `merged` relates to base and adapter.

    Args:
        base: The model before.
        merged: The model that is said to hold the adapter.
        partners: Tensor of the base to the tensor of `merged`.
        parts: The adapter.
        modules: Adapted module to the base's matrix.
    """
    found = []
    for module in parts.halves:
        origin = modules.get(module)
        if origin is None or origin not in partners:
            lost = "have no matrix in the base" if origin is None else "are not in the merged model"
            found.append(MergedMatrix(module, 0.0, None, None, None, 0.0, lost))
            continue
        delta = parts.delta(module)
        if delta is None:
            unfit = "have two matrices that do not fit each other"
            found.append(MergedMatrix(module, 0.0, None, None, None, 0.0, unfit))
            continue
        before, after = base.tensors[origin].read(), merged.tensors[partners[origin]].read()
        found.append(judge(module, before, after, delta))
    return found


def moved_without_adapter(
    moved: Sequence[ComparedTensor], parts: AdapterParts, modules: Mapping[str, str]
) -> list[str]:
    """Return the tensors that moved and that the adapter neither adapts nor holds whole."""
    adapted = set(modules.values())
    whole = tuple(parts.whole)
    return [
        tensor.name
        for tensor in moved
        if tensor.movement == Movement.updated
        and tensor.name not in adapted
        and not any(key.endswith(tensor.name) or tensor.name.endswith(key) for key in whole)
    ]


def holds_any(matrices: Sequence[MergedMatrix]) -> bool:
    """Return True if the adapter was added to some matrix, at whatever scale, and else to none."""
    told = [matrix.verdict for matrix in matrices]
    return any(verdict.startswith(_ADDED) for verdict in told) and all(
        verdict.startswith((*_ADDED, *_NOT_ADDED)) for verdict in told
    )


def holds_none(matrices: Sequence[MergedMatrix]) -> bool:
    """Return True if every matrix is the base's, although the adapter fits it."""
    return all(matrix.verdict.startswith(_NOT_ADDED) for matrix in matrices)
