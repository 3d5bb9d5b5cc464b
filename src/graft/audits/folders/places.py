"""What lies in a place: a model, an adapter or bare weights, recognised before it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from graft.audits.folders.stored import StoredTensor, stored_tensors
from graft.core.errors import ModelError, Problem
from graft.core.layout import RunPaths

ADAPTER_CONFIG = "adapter_config.json"
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_NOT_WEIGHTS = ("optimizer", "scheduler", "rng_state", "training_args", "scaler", "adapter_model")
_OLD_ENDINGS = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
_SHARD = re.compile(r"-(\d+)-of-(\d+)\.")
_WHOLE = "give the folder of a saved model, or one file of weights"


class Kind(StrEnum):
    """What a place holds."""

    transformers = "Transformers folder"
    sentence_transformers = "Sentence-Transformers folder"
    adapter = "adapter folder"
    weights = "bare weights"


@dataclass(frozen=True)
class Place:
    """A model, an adapter or bare weights on disk.

    Args:
        path: As it was named.
        folder: Folder that its files lie in.
        kind: What it is.
        tensors: Name, with dots only, to the tensor in its file.
        absent: What an index of shards names and no file holds.
        config: `config.json` of the model; empty if there is none.
        modules: Type and folder of each module of a Sentence-Transformers model.
    """

    path: Path
    folder: Path
    kind: Kind
    tensors: Mapping[str, StoredTensor]
    absent: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    modules: tuple[tuple[str, str], ...] = ()

    @property
    def adapter_config(self) -> dict[str, Any]:
        """The adapter's config; empty if the folder has none."""
        return json_file(self.folder / ADAPTER_CONFIG) if self.kind == Kind.adapter else {}

    @property
    def backbone(self) -> Path:
        """Folder of the config and the tokenizer."""
        first = self.modules[0][1] if self.modules else ""
        return self.folder / first

    @property
    def has_tokenizer(self) -> bool:
        """True if a tokenizer was saved with it."""
        return self.kind != Kind.weights and any(
            (self.backbone / name).is_file()
            for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "tokenizer.model")
        )


def open_place(path: Path) -> Place:
    """Return what lies at `path`, no tensor read yet.

    Args:
        path: A Transformers, Sentence-Transformers or PEFT folder, the folder of an arm of
            Graft, or a file: .safetensors, or a state dict as .bin, .pt, .pth or .ckpt.

    Raises:
        ModelError: Nothing is there, it holds no weights, or a file is damaged or of a format
            that is not read.
    """
    if path.is_file():
        return Place(path, path.parent, Kind.weights, _named(path, ""))
    if not path.is_dir():
        raise ModelError(str(path), [Problem(str(path), "does not exist", _WHOLE)])
    arm = RunPaths(path)
    inside = next((f for f in (arm.model, arm.adapter) if f.is_dir() and _is_model(f)), None)
    if inside is not None and not _is_model(path):
        return open_place(inside)
    if (path / ADAPTER_CONFIG).is_file() and not _files(path)[0]:
        files = [file for file in sorted(path.glob("adapter_model.*")) if file.suffix in _ENDINGS]
        tensors = _named(files[-1], "") if files else {}
        return Place(path, path, Kind.adapter, tensors, modules=_modules(path))
    return _open_model(path)


def _open_model(path: Path) -> Place:
    modules = _modules(path)
    parts = [folder for _, folder in modules] or ["", *_module_folders(path)]
    tensors: dict[str, StoredTensor] = {}
    absent: list[str] = []
    for part in dict.fromkeys(parts):
        files, lost = _files(path / part)
        absent += lost
        prefix = "" if part == parts[0] else f"{part}."
        for file in files:
            tensors |= _named(file, prefix)
    absent += _lost_keys(path / parts[0], tensors)
    if not tensors:
        raise ModelError(str(path), [_nothing(path, absent)])
    config = json_file(path / parts[0] / "config.json")
    kind = Kind.sentence_transformers if modules else Kind.transformers
    if not (modules or config):
        kind = Kind.weights
    return Place(path, path, kind, tensors, tuple(absent), config, modules)


def _is_model(folder: Path) -> bool:
    names = ("config.json", "modules.json", ADAPTER_CONFIG)
    return any((folder / name).is_file() for name in names)


def _modules(folder: Path) -> tuple[tuple[str, str], ...]:
    listed = json_file(folder / "modules.json", list)
    return tuple((str(m["type"]).rpartition(".")[2], str(m["path"])) for m in listed)


def _module_folders(folder: Path) -> list[str]:
    """Return the folders of modules where no `modules.json` names them."""
    found = sorted(p for p in folder.iterdir() if p.is_dir() and re.match(r"\d+_", p.name))
    return [p.name for p in found if (p / "config.json").is_file()]


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the weight files of one folder, and the shards that are named but not there."""
    if not folder.is_dir():
        return [], []
    for single in ("model.safetensors", "pytorch_model.bin"):
        if (folder / single).is_file():
            return [folder / single], []
    for name in _INDEXES:
        named = sorted(set(json_file(folder / name).get("weight_map", {}).values()))
        if named:
            there = [folder / shard for shard in named if (folder / shard).is_file()]
            return there, [shard for shard in named if not (folder / shard).is_file()]
    for endings in (_ENDINGS[:1], _ENDINGS[1:2], _ENDINGS[2:]):
        files = [
            file
            for file in sorted(folder.iterdir())
            if file.suffix in endings and not file.name.startswith(_NOT_WEIGHTS)
        ]
        if files:
            return files, _lost_shards(files)
    return [], []


def _lost_shards(files: list[Path]) -> list[str]:
    """Return the shards that the numbering of the others leaves out."""
    lost = []
    for file in files:
        found = _SHARD.search(file.name)
        if found:
            width, total = len(found[1]), int(found[2])
            names = {
                _SHARD.sub(f"-{number:0{width}d}-of-{found[2]}.", file.name)
                for number in range(1, total + 1)
            }
            lost += sorted(names - {other.name for other in files})
    return list(dict.fromkeys(lost))


def _lost_keys(folder: Path, tensors: Mapping[str, StoredTensor]) -> list[str]:
    """Return the tensors that an index places in a shard that is there and does not hold them."""
    for name in _INDEXES:
        mapped = json_file(folder / name).get("weight_map", {})
        if mapped and not any((folder / f).is_file() for f in ("model.safetensors",)):
            return [
                f"{key} (named for {shard})"
                for key, shard in mapped.items()
                if (folder / shard).is_file() and canonical(key) not in tensors
            ]
    return []


def _nothing(folder: Path, absent: list[str]) -> Problem:
    if absent:
        what = f"holds none of the shards that its index names ({', '.join(absent[:3])})"
        return Problem(str(folder), what, "copy the missing files")
    inner = sorted(p.name for p in folder.iterdir() if p.is_dir() and _is_model(p))
    what = "holds no weight file (.safetensors, .bin, .pt, .pth, .ckpt)"
    fix = f"give one of the models in it: {', '.join(inner[:5])}" if inner else _WHOLE
    return Problem(str(folder), what, fix)


def _named(file: Path, prefix: str) -> dict[str, StoredTensor]:
    if file.suffix not in _ENDINGS:
        what = f"is of a format that is not read ('{file.suffix or file.name}')"
        fix = "give a folder, or a file that ends in .safetensors, .bin, .pt, .pth or .ckpt"
        raise ModelError(str(file), [Problem(str(file), what, fix)])
    return {f"{prefix}{canonical(key)}": found for key, found in stored_tensors(file).items()}


def canonical(key: str) -> str:
    """Return the key with dots only and the names of today for the parts of a layer norm.

    Example:
        >>> canonical("0/embeddings.LayerNorm.gamma")
        '0.embeddings.LayerNorm.weight'
    """
    key = key.replace("/", ".")
    for old, new in _OLD_ENDINGS:
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key


def json_file(path: Path, kind: type = dict) -> Any:  # noqa: ANN401 - JSON of a foreign library
    """Return the content of a JSON file of another library; empty if it is not there.

    Raises:
        ModelError: The file is no JSON, or another kind of JSON.
    """
    if not path.is_file():
        return kind()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        what = f"is no JSON: {error}"
    else:
        if isinstance(content, kind):
            return content
        what = f"holds a {type(content).__name__}, not a {kind.__name__}"
    raise ModelError(str(path), [Problem(str(path), what, "copy or save the file again")])
