"""Tensors on disk that are read one by one, so that what is kept for later takes no memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor


class TensorFile(Mapping[str, Tensor]):
    """The tensors of a safetensors file by name; each look reads one.

    They are read, not mapped: pages of a mapped file count as memory of the process.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, framework="pt") as stream:
            self._names = frozenset(stream.keys())

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        with safe_open(self.path, framework="pt", backend="pread") as stream:
            tensor: Tensor = stream.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


class Snapshot(Mapping[str, Tensor]):
    """The values of `tensors` at one moment, in their order.

    Args:
        tensors: The tensors as they are now; those that are not in the file are copied.
        file: Where values were written before, if they were.
    """

    def __init__(self, tensors: Mapping[str, Tensor], file: Path | None = None) -> None:
        self._stored: Mapping[str, Tensor] = {} if file is None else TensorFile(file)
        self._names = dict.fromkeys(tensors)
        self._held = {
            name: tensor.detach().clone()
            for name, tensor in tensors.items()
            if name not in self._stored
        }

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        return self._held[name] if name in self._held else self._stored[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write the tensors as one safetensors file.

    Args:
        path: The file.
        tensors: Of any layout; only one that is not contiguous is copied on the way.
    """
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
