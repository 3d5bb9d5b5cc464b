"""What a run uses: peak memory, energy where the machine tells it, hardware and versions."""

from __future__ import annotations

import importlib.metadata
import platform
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from graft.core.processors import usable_cores

_POWERCAP = Path("/sys/class/powercap")
_PACKAGES = (
    "graft-ml",
    "torch",
    "transformers",
    "sentence-transformers",
    "peft",
    "scikit-learn",
    "numpy",
)


@dataclass
class ResourceMeter:
    """Measures wall time, the largest resident size and energy while its block runs.

    The resident size is sampled fifty times a second, so that each run of a process has its own
    peak. Energy is that of the processor packages, None where the machine does not tell.
    """

    interval_s: float = 0.02
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    energy_joules: float | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._process = psutil.Process()
        self._energy = energy_microjoules()
        self._started = time.perf_counter()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.seconds = time.perf_counter() - self._started
        after = energy_microjoules()
        if self._energy is not None and after is not None and after >= self._energy:
            self.energy_joules = (after - self._energy) / 1e6

    def _sample(self) -> None:
        while True:
            resident = self._process.memory_info().rss
            self.peak_memory_bytes = max(self.peak_memory_bytes, resident)
            if self._stop.wait(self.interval_s):
                return


def energy_microjoules() -> int | None:
    """Return the energy counter of all processor packages, None if it cannot be read."""
    counters = sorted(_POWERCAP.glob("intel-rapl:[0-9]*/energy_uj")) if _POWERCAP.is_dir() else []
    try:
        return sum(int(c.read_text()) for c in counters if c.parent.name.count(":") == 1) or None
    except OSError:
        return None


def hardware() -> str:
    """Return processor, usable cores and memory in one line."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{_processor()}, {usable_cores()} cores, {memory:.0f} GiB memory, no GPU used"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide the numbers."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        found[package] = importlib.metadata.version(package)
    return found


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
