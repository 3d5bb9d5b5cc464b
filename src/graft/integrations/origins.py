"""Where the tensors of a model that somebody else loaded came from: memory against the files."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.conversion_mapping import extract_weight_conversions_for_model

from graft.audits.adapter_files import match_names
from graft.audits.phases import is_matrix
from graft.core.errors import ModelError
from graft.core.files import sha256_file
from graft.core.origins import LoadReport, Origin, TensorOrigin
from graft.integrations.watched import adapter_names, is_added, plain_name
from graft.models.encoder import tensor_name
from graft.models.tensors import iterate_tensors, weight_files

# Old checkpoints name the scale and shift of a layer norm after the paper.
_OLD_ENDINGS = ((".gamma", ".weight"), (".beta", ".bias"))
_CONSTANTS = ("position_ids", "inv_freq", ".masked_bias")
# Share of the values that must come from the file before a missing module is taken for a head.
_BODY = 0.5


def load_report(
    model: nn.Module,
    base: Path,
    later: Sequence[Path],
    trained: frozenset[str],
    earlier: frozenset[str] = frozenset(),
) -> LoadReport:
    """Return the origin of every tensor in memory, each compared with its file bit for bit.

    A tensor that no file holds is a new head, and allowed, if it is to be trained and stands
    beside the part of the model that came from the files (poolers are heads too). Tensors of the
    files that belong to no child of the model are an old head.

    Args:
        model: The model as its trainer holds it.
        base: Folder of the base's files.
        later: Folders whose files replace the base's, such as the checkpoint that is resumed.
        trained: Tensors that are to be trained.
        earlier: Tensors that are, bit for bit, what a recorded training of this process left.
    """
    adapters = adapter_names(model)
    memory = _memory(model)
    found: dict[str, TensorOrigin] = {}
    unexpected: set[str] = set()
    mismatched: set[str] = set()
    for folder in (base, *later):
        origins, left, other = _compare(folder, model, memory)
        found |= origins
        unexpected |= left
        mismatched = (mismatched - set(origins)) | other
    for name in earlier & found.keys():
        found[name] = replace(found[name], source="trained before by this process", identical=True)
    new = {name: tensor for name, tensor in memory.items() if name not in found}
    added = {name for name in new if is_added(name, adapters)}
    matrices = {name for name in added if is_matrix(name, "lora_A") or is_matrix(name, "lora_B")}
    heads = _heads(new.keys() - added, found, memory) & (trained | _buffers(model))
    # K7 knows the matrices of LoRA; other adapters are allowed like heads.
    excused = heads | ((added - matrices) & (trained | _buffers(model)))
    excused |= {name for name in new if not _comparable(memory[name])}
    if _converted(model):
        excused |= new.keys() - added
    tensors = [
        found.get(name)
        or TensorOrigin(
            name, Origin.new, _source(name, added, heads), tuple(tensor.shape), identical=None
        )
        for name, tensor in memory.items()
    ]
    return LoadReport(
        base=base.name,
        found="folder",
        files={
            path.relative_to(folder).as_posix(): sha256_file(path)
            for folder in (*later, base)
            for path in weight_files(folder)
        },
        tensors=tuple(tensors),
        missing=tuple(sorted(new.keys() - matrices - mismatched)),
        unexpected=tuple(sorted(unexpected)),
        mismatched=tuple(sorted(mismatched)),
        allowed=tuple(sorted(excused | _old_heads(unexpected, found, _converted(model)))),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def _memory(model: nn.Module) -> dict[str, Tensor]:
    """Return every parameter, and every buffer that is saved, by its name in the ledger.

    PEFT keeps the module that it copied for training as `original_module`, and never runs it.
    """
    saved = model.state_dict().keys()
    tensors: dict[str, Tensor] = dict(model.named_parameters())
    tensors |= {name: buffer for name, buffer in model.named_buffers() if name in saved}
    return {
        tensor_name(name): tensor
        for name, tensor in tensors.items()
        if "original_module" not in name.split(".")
    }


def _buffers(model: nn.Module) -> set[str]:
    return {tensor_name(name) for name, _ in model.named_buffers()}


def _compare(
    folder: Path, model: nn.Module, memory: Mapping[str, Tensor]
) -> tuple[dict[str, TensorOrigin], set[str], set[str]]:
    """Return what the folder's files hold of the model, what they hold beside, and misfits."""
    keys = {_key(file, key): None for file, key, _ in iterate_tensors(folder)}
    holders = _holders(model, memory, list(keys))
    found: dict[str, TensorOrigin] = {}
    misfits: set[str] = set()
    for file, key, tensor in iterate_tensors(folder):
        for name in holders.get(_key(file, key), ()):
            here = memory[name].detach().cpu()
            same = _same(here, tensor)
            if same is None:
                misfits.add(name)
                continue
            # A tied tensor may stand in the file under each of its names.
            same = same and (name not in found or found[name].identical is True)
            shape = tuple(here.shape)
            found[name] = TensorOrigin(name, Origin.file, f"{file}:{key}", shape, same)
    left = {key for key in keys if key not in holders and not _is_constant(key, model, memory)}
    return found, left, misfits


def _holders(
    model: nn.Module, memory: Mapping[str, Tensor], keys: list[str]
) -> dict[str, list[str]]:
    """Return which tensors of the model each key stands for, tied names included."""
    adapters = adapter_names(model)
    shown = {id(tensor): name for name, tensor in memory.items()}
    first: dict[str, list[str]] = defaultdict(list)
    other: dict[str, list[str]] = defaultdict(list)
    for name in memory:
        first[plain_name(name, adapters)].append(name)
    for alias, tensor in model.named_parameters(remove_duplicate=False):
        plain = plain_name(alias, adapters)
        if plain not in first and id(tensor) in shown:
            other[plain].append(shown[id(tensor)])
    holders = {key: first[name] for name, key in _partners(list(first), keys).items()}
    left = [key for key in keys if key not in holders]
    return holders | {
        key: names
        for alias, names in other.items()
        for key in left
        if f".{alias}".endswith(f".{key}") or f".{key}".endswith(f".{alias}")
    }


def _is_constant(key: str, model: nn.Module, memory: Mapping[str, Tensor]) -> bool:
    """Return True if the key names a buffer that models recompute and no longer save."""
    unsaved = {
        tuple(name.split(".")[-2:])
        for name, _ in model.named_buffers()
        if tensor_name(name) not in memory
    }
    return tuple(key.split(".")[-2:]) in unsaved or key.endswith(_CONSTANTS)


def _same(here: Tensor, there: Tensor) -> bool | None:
    """Return whether memory equals the file; None if the shapes do not fit.

    An embedding may have grown: then the rows of the file must be its first.
    """
    if here.shape == there.shape:
        return torch.equal(here, there.to(here.dtype)) if _comparable(here) else True
    grown = here.ndim == 2 and here.shape[1:] == there.shape[1:] and len(here) > len(there)
    if grown and len(there) > 1 and torch.equal(here[: len(there)], there.to(here.dtype)):
        return True
    return None


def _comparable(tensor: Tensor) -> bool:
    """Return False for packed numbers of a quantised layer."""
    return tensor.dtype not in (torch.uint8, torch.int8)


def _key(file: str, key: str) -> str:
    """Return a key as it would be named in memory: `2_Dense/linear.weight` is `2.linear.weight`."""
    for old, new in _OLD_ENDINGS:
        if key.endswith(old):
            key = key[: -len(old)] + new
    parent = Path(file).parent.as_posix()
    index = re.match(r"(\d+)_", parent)
    prefix = "" if index is None or index.group(1) == "0" else f"{index.group(1)}."
    return prefix + plain_name(key)


def _partners(names: list[str], keys: list[str]) -> dict[str, str]:
    try:
        return match_names(names, keys)
    except ModelError:  # ambiguous by suffixes: only equal names are sure
        return {name: name for name in names if name in set(keys)}


def _heads(
    new: Iterable[str], found: Mapping[str, TensorOrigin], memory: Mapping[str, Tensor]
) -> set[str]:
    """Return the new tensors that stand beside the body, and poolers."""
    read = sum(memory[name].numel() for name in found)
    total = sum(tensor.numel() for tensor in memory.values())
    if read < _BODY * total:
        return set()
    paths = [plain_name(name).split(".")[:-1] for name in found]
    body = list(itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False)))
    children = {path[0] for path in paths if path}
    heads = set()
    for name in new:
        parts = plain_name(name).split(".")
        inside = parts[: len(body)] == [part[0] for part in body]
        if "pooler" in parts or (not inside if body else parts[0] not in children):
            heads.add(name)
    return heads


def _old_heads(
    unexpected: Iterable[str], found: Mapping[str, TensorOrigin], everything: bool
) -> set[str]:
    read = {origin.source.partition(":")[2].split(".")[0] for origin in found.values()}
    return {
        key
        for key in unexpected
        if everything or key.split(".")[0] not in read or "pooler" in key.split(".")
    }


def _converted(model: nn.Module) -> bool:
    """Return True if Transformers renames or joins tensors of this model while loading."""
    return any(
        isinstance(module, PreTrainedModel) and extract_weight_conversions_for_model(module)
        for module in model.modules()
    )


def _source(name: str, added: set[str], heads: set[str]) -> str:
    if name in added:
        return "adapter: in no file of the base"
    return "head: in no file of the base" if name in heads else "initialised"
