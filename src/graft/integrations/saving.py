"""What a trainer wrote to disk, compared with the model in memory at that moment."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from graft.core.errors import ModelError
from graft.core.saves import Save
from graft.integrations.watched import adapter_names, plain_name
from graft.models.encoder import tensor_name
from graft.models.tensors import read_tensors

# A loader that is not strict finds nothing under such a name.
_WRAPPED = ("_orig_mod", "module")


def compare_folder(folder: Path, step: int, model: nn.Module, changed: Iterable[str]) -> Save:
    """Return what the folder holds of the tensors that training changed.

    Args:
        folder: The folder that was saved.
        step: Optimizer steps taken before.
        model: The model in memory.
        changed: Tensors that training had changed by then.
    """
    try:
        stored = read_tensors(folder)
    except (ModelError, OSError):
        stored = {}
    return compare_tensors(str(folder), step, model, changed, stored)


def compare_tensors(
    folder: str, step: int, model: nn.Module, changed: Iterable[str], stored: Mapping[str, Tensor]
) -> Save:
    """Return the same for tensors that were read from what was saved."""
    adapters = adapter_names(model)
    names = {_stored_name(key): key for key in stored}
    aliases = _aliases(model)
    wanted = sorted(changed)
    missing, different = [], []
    used: set[str] = set()
    for name in wanted:
        tensor = aliases[name][0]
        plain = [plain_name(alias, adapters) for alias in aliases[name][1]]
        key = next((names[p] for p in plain if p in names), None)
        key = key or _by_value(tensor, stored, used)
        if key is None:
            missing.append(name)
        elif not _equal(tensor, stored[key]):
            different.append(name)
        used |= {key} if key is not None else set()
    known = {plain_name(alias, adapters) for _, group in aliases.values() for alias in group}
    known |= {plain_name(name, adapters) for name in model.state_dict()}
    return Save(
        folder=folder,
        step=step,
        tensors=len(stored),
        changed=len(wanted),
        missing=tuple(missing),
        different=tuple(different),
        unknown=tuple(sorted(k for n, k in names.items() if n not in known and k not in used)),
    )


def _stored_name(key: str) -> str:
    return plain_name(re.sub(r"^(\d+)_[^/]*/", r"\1.", key))


def _aliases(model: nn.Module) -> dict[str, tuple[Tensor, list[str]]]:
    """Return every tensor by its name in the ledger, with all names that share it."""
    shared: dict[int, list[str]] = defaultdict(list)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        shared[id(parameter)].append(name)
    tensors: dict[str, tuple[Tensor, list[str]]] = {
        tensor_name(name): (parameter.detach(), shared[id(parameter)])
        for name, parameter in model.named_parameters()
    }
    buffers = {tensor_name(name): (buffer, [name]) for name, buffer in model.named_buffers()}
    return {**tensors, **buffers}


def _by_value(tensor: Tensor, stored: Mapping[str, Tensor], used: set[str]) -> str | None:
    """Return the key of an equal tensor: some models are saved under other names than in memory."""
    return next(
        (
            key
            for key, other in stored.items()
            if key not in used
            and key.split(".")[0] not in _WRAPPED
            and "_orig_mod" not in key.split(".")
            and _equal(tensor, other)
        ),
        None,
    )


def _equal(tensor: Tensor, other: Tensor) -> bool:
    if tensor.shape != other.shape:
        return False
    return torch.equal(tensor.to(other.dtype).cpu(), other.cpu())
