"""Seconds and peak memory of one block of a process."""

from __future__ import annotations

import gc
import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from graft.runs.resources import ResourceMeter

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): resets the peak resident size to the current one


class Watch:
    """Measures its block; made when everything is imported.

    The peak is the kernel's own high-water mark, reset at the start of the block. Where the kernel
    keeps none, it is the largest of fifty samples a second.
    """

    def __init__(self) -> None:
        self.imported_bytes = resident_bytes()
        self.start_bytes = 0
        self._meter = ResourceMeter()
        self._marked = 0

    def __enter__(self) -> Self:
        gc.collect()
        self.start_bytes = resident_bytes()
        self._resets = _reset_peak()
        self._meter.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._meter.__exit__(kind, error, trace)
        self._marked = _high_water_bytes() if self._resets else 0

    @property
    def seconds(self) -> float:
        """Seconds of the block."""
        return self._meter.seconds

    @property
    def peak_bytes(self) -> int:
        """Largest resident size of the process during the block."""
        return max(self._marked, self._meter.peak_memory_bytes)


class Positions:
    """Counts what goes through an encoder: tokens, padding and calls.

    Args:
        table: Its table of word embeddings; a backbone itself may be called around its hooks.
        pad: Token id of padding.
    """

    def __init__(self, table: Any, pad: int) -> None:  # noqa: ANN401 - torch is not imported here
        self.tokens = self.padding = self.calls = 0
        self._pad = pad
        self._handle = table.register_forward_pre_hook(self._see)

    def _see(self, _: object, inputs: tuple[Any, ...]) -> None:
        padding = int((inputs[0] == self._pad).sum())
        self.padding += padding
        self.tokens += inputs[0].numel() - padding
        self.calls += 1

    def stop(self) -> None:
        """Count no more."""
        self._handle.remove()


def resident_bytes() -> int:
    """Return the resident size of this process now."""
    return int(psutil.Process().memory_info().rss)


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return _high_water_bytes() > 0


def _high_water_bytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
    return 1024 * int(found[1]) if found else 0
