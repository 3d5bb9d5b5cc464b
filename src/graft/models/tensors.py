"""Tensors of a model folder, read from its weight files without building the model."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from graft.core.errors import ModelError, Problem

# Optimizer states and training arguments are no weights of the model.
_NOT_WEIGHTS = ("optimizer", "scheduler", "rng_state", "training_args")


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files of `folder` and of its module folders, in a fixed order.

    Safetensors files are preferred; `.bin` files count only where a folder has none.
    """
    found: list[Path] = []
    for place in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
        if place != folder and not (place / "config.json").is_file():
            continue
        safe = sorted(place.glob("*.safetensors"))
        pickled = [p for p in sorted(place.glob("*.bin")) if not p.name.startswith(_NOT_WEIGHTS)]
        found += safe or pickled
    return found


def iterate_tensors(folder: Path) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Yield `(file, key, tensor)` for every tensor of the folder, one in memory at a time.

    `file` is relative to the folder.

    Raises:
        ModelError: There are no weights, or a file is truncated or no weight file.
    """
    files = weight_files(folder)
    if not files:
        problem = Problem(
            str(folder), "holds no *.safetensors or *.bin file", "give the folder of a saved model"
        )
        raise ModelError(folder.name, [problem])
    for path in files:
        name = path.relative_to(folder).as_posix()
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, framework="pt", backend="pread") as stream:
                    for key in stream.keys():  # noqa: SIM118 - not a mapping
                        yield name, key, stream.get_tensor(key)
            else:
                state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
                yield from ((name, key, tensor) for key, tensor in state.items())
        except (SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
            problem = Problem(
                str(path), f"cannot be read: {str(error)[:200]}", "copy or download the file again"
            )
            raise ModelError(folder.name, [problem]) from None


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Return every tensor of the folder by its key; keys of module folders carry its name.

    A tensor `linear.weight` in `2_Dense/model.safetensors` is returned as
    `2_Dense/linear.weight`.
    """
    tensors: dict[str, torch.Tensor] = {}
    for file, key, tensor in iterate_tensors(folder):
        parent = Path(file).parent.as_posix()
        tensors[key if parent == "." else f"{parent}/{key}"] = tensor
    return tensors


def sha256_tensor(tensor: torch.Tensor) -> str:
    """Return the SHA-256 of the tensor's type, shape and bytes.

    Example:
        >>> sha256_tensor(torch.zeros(2)) == sha256_tensor(torch.zeros(2))
        True
        >>> sha256_tensor(torch.zeros(2)) == sha256_tensor(torch.zeros(2, 1))
        False
    """
    flat = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{flat.dtype}{tuple(flat.shape)}".encode())
    digest.update(flat.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
