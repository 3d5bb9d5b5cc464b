"""Tensors as they lie in a file: name, shape and number format now, the values when asked for."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from graft.core.errors import ModelError, Problem

# Under which keys trainers put the state dict of the model.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
_FORMATS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """One tensor in a file.

    Args:
        file: The file.
        key: Its key there.
        shape: Its shape.
        format: Its number format, as torch names it.
        mapped: The tensor, mapped from a pickled file; None for safetensors.
    """

    file: Path
    key: str
    shape: tuple[int, ...]
    format: str
    mapped: torch.Tensor | None = None

    @property
    def count(self) -> int:
        """Number of elements."""
        return int(torch.Size(self.shape).numel())

    @property
    def is_float(self) -> bool:
        """True for a format of real numbers, False for indices, masks and packed weights."""
        return self.format in ("float64", "float32", "float16", "bfloat16")

    def read(self) -> torch.Tensor:
        """Return the values."""
        if self.mapped is not None:
            return self.mapped.detach()
        with safe_open(self.file, framework="pt") as stream:
            return stream.get_tensor(self.key)  # type: ignore[no-any-return]


def stored_tensors(file: Path) -> dict[str, StoredTensor]:
    """Return every tensor of a weight file by its key.

    Raises:
        ModelError: The file is damaged, or holds no state dict.
    """
    if file.suffix == ".safetensors":
        return _safe(file)
    state = _state(file)
    return {
        key: StoredTensor(file, key, tuple(tensor.shape), _format(tensor), tensor)
        for key, tensor in state.items()
        if isinstance(tensor, torch.Tensor)
    }


def _safe(file: Path) -> dict[str, StoredTensor]:
    try:
        with safe_open(file, framework="pt") as stream:
            slices = {key: stream.get_slice(key) for key in stream.keys()}  # noqa: SIM118
            return {
                key: StoredTensor(file, key, tuple(one.get_shape()), _FORMATS[one.get_dtype()])
                for key, one in slices.items()
            }
    except KeyError as error:
        what = f"holds a number format that is not read: {error}"
    except (SafetensorError, OSError) as error:
        what = f"cannot be read as safetensors: {str(error)[:200]}"
    fix = "copy the file again, or give a folder"
    raise ModelError(str(file), [Problem(str(file), what, fix)])


def _state(file: Path) -> Mapping[str, Any]:
    fix = "copy the file again, or save the state dict alone: torch.save(model.state_dict(), …)"
    try:
        content = _load(file)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, KeyError) as error:
        what = f"cannot be read as a state dict: {str(error)[:200]}"
        raise ModelError(str(file), [Problem(str(file), what, fix)]) from None
    for wrapper in _WRAPPERS:
        inner = content.get(wrapper) if isinstance(content, Mapping) else None
        if isinstance(inner, Mapping):
            content = inner
    if not isinstance(content, Mapping) or not any(map(torch.is_tensor, content.values())):
        what = f"holds a {type(content).__name__} without tensors"
        raise ModelError(str(file), [Problem(str(file), what, fix)])
    return content


def _load(file: Path) -> Any:  # noqa: ANN401 - anything can be pickled
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        return torch.load(file, map_location="cpu", weights_only=True)  # a format of before 1.6


def _format(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
