"""The origin of every tensor: compared by name and shape before loading, by bits after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from graft.core.errors import ModelError, Problem
from graft.core.files import sha256_file
from graft.core.origins import LoadReport, Origin, TensorOrigin
from graft.models.locate import LocatedBase
from graft.models.patterns import matching
from graft.models.tensors import iterate_tensors, weight_files

# Old checkpoints name the scale and shift of a layer norm after the paper.
_OLD_ENDINGS = ((".gamma", ".weight"), (".beta", ".bias"))


def check_before_load(folder: Path, skeleton: torch.nn.Module, allow: tuple[str, ...]) -> None:
    """Compare the backbone's tensors with the files by name and shape, before any is loaded.

    Args:
        folder: Folder of the base model.
        skeleton: The backbone on the meta device.
        allow: Patterns of tensors that may be missing or left over.

    Raises:
        ModelError: Names every missing, left over or mismatched tensor.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    buffers = {name for name, _ in skeleton.named_buffers()}
    tied = _tied_names(skeleton)
    in_file: dict[str, tuple[str, tuple[int, ...]]] = {}
    for file, key, tensor in iterate_tensors(folder):
        if "/" not in file:
            in_file[backbone_name(key, wanted, skeleton)] = (file, tuple(tensor.shape))
    problems = []
    for name, shape in wanted.items():
        if name not in in_file and name not in tied and not matching(allow, name):
            what = f"tensor {name} {list(shape)} is in no file and would be random"
            fix = "use the whole checkpoint, or name the tensor in base.allow"
            problems.append(Problem(str(folder), what, fix))
        elif name in in_file and in_file[name][1] != shape:
            file, found = in_file[name]
            what = f"tensor {name} has shape {list(found)}, the model needs {list(shape)}"
            problems.append(Problem(f"{folder}/{file}", what, "use the config of this checkpoint"))
    for name, (file, _) in in_file.items():
        if name not in wanted and name not in buffers and not matching(allow, name):
            what = f"tensor {name} is in the file but not in the model and would be dropped"
            fix = "use the config of this checkpoint, or name the tensor in base.allow"
            problems.append(Problem(f"{folder}/{file}", what, fix))
    if problems:
        raise ModelError(folder.name, problems)


def backbone_name(key: str, wanted: object, skeleton: torch.nn.Module) -> str:
    """Return the name in the backbone of a key of the file (head prefix and old endings off)."""
    prefix = f"{getattr(skeleton, 'base_model_prefix', '')}."
    candidates = [key, key.removeprefix(prefix)]
    for old, new in _OLD_ENDINGS:
        candidates += [c[: -len(old)] + new for c in candidates if c.endswith(old)]
    known = wanted if isinstance(wanted, dict) else {}
    return next((name for name in candidates if name in known), candidates[1])


def _tied_names(module: torch.nn.Module) -> set[str]:
    names = getattr(module, "_tied_weights_keys", None) or ()
    return set(names)


def trace_origins(
    model: SentenceTransformer, base: LocatedBase, allow: tuple[str, ...]
) -> LoadReport:
    """Return the origin of every tensor in memory, each compared bit for bit with its file."""
    folders = _module_folders(base.folder)
    state = {
        _shown(index, name): tensor
        for index, module in enumerate(model)
        for name, tensor in module.state_dict().items()
    }
    backbone = model[0].auto_model
    saved, held = dict.fromkeys(backbone.state_dict()), dict(backbone.named_buffers())

    def name_of(file: str, key: str) -> str | None:
        index = folders.get(Path(file).parent.as_posix(), 0)
        name = backbone_name(key, saved, backbone) if index == 0 else _shown(index, key)
        # A buffer that the model recomputes is not saved.
        return None if index == 0 and name in held and name not in saved else name

    return compared_with_files(model, state, base, name_of, allow)


def compared_with_files(
    model: torch.nn.Module,
    state: Mapping[str, torch.Tensor],
    base: LocatedBase,
    name_of: Callable[[str, str], str | None],
    allow: tuple[str, ...],
) -> LoadReport:
    """Return the origin of every tensor of `state`, each compared bit for bit with its file.

    Args:
        model: The model that was loaded.
        state: Its tensors by the names that the report uses.
        base: Where it was loaded from.
        name_of: File and key to the name of the tensor, None for what the model computes anew.
        allow: Patterns of tensors that may be missing or left over.
    """
    found: dict[str, TensorOrigin] = {}
    unexpected = []
    for file, key, tensor in iterate_tensors(base.folder):
        name = name_of(file, key)
        if name is None:
            continue
        loaded = state.get(name)
        if loaded is None:
            unexpected.append(name)
            continue
        same = torch.equal(loaded, tensor.to(loaded.dtype))
        found[name] = TensorOrigin(name, Origin.file, f"{file}:{key}", tuple(loaded.shape), same)
    tensors, missing = [], []
    owners: dict[int, str] = {}
    for name, tensor in state.items():
        shape = tuple(tensor.shape)
        if name in found:
            owners.setdefault(tensor.data_ptr(), name)
            tensors.append(found[name])
        elif tensor.data_ptr() in owners:
            owner = owners[tensor.data_ptr()]
            tensors.append(TensorOrigin(name, Origin.tied, owner, shape, None))
        else:
            missing.append(name)
            tensors.append(TensorOrigin(name, Origin.new, "initialised", shape, None))
    return LoadReport(
        base=base.name,
        found=base.found,
        files={
            p.relative_to(base.folder).as_posix(): sha256_file(p) for p in weight_files(base.folder)
        },
        tensors=tuple(tensors),
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        mismatched=(),
        allowed=allow,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def _module_folders(folder: Path) -> dict[str, int]:
    """Return the index of the module that each weight folder belongs to."""
    places = {"": 0}
    for file in weight_files(folder):
        parent = file.relative_to(folder).parent.as_posix()
        head = parent.split("_", 1)[0]
        if head.isdigit():
            places[parent] = int(head)
    return places


def _shown(index: int, name: str) -> str:
    return name.removeprefix("model.") if index == 0 else f"{index}.{name}"
