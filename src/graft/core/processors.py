"""How many processors this process may really use, and how many a piece of work needs."""

from __future__ import annotations

import math
import os
from pathlib import Path

import psutil

from graft.core.control_groups import processor_quota

# Floating-point operations of one matrix product that keep one more thread busy for longer than
# it takes to wake it and to wait for it.
_PER_THREAD = 16e6
_ROOT = Path("/")


def usable_cores(root: Path = _ROOT) -> int:
    """Return how many threads can compute at the same time: at least 1.

    The least of the cores that the scheduler allows (two threads of one core count once) and the
    quota of the control group, rounded up. A container that may use two processors of a machine
    with 64 has 2; torch by itself would start 64 threads, which wait for each other.

    Args:
        root: Where the file system begins.

    Example:
        >>> 1 <= usable_cores() <= os.cpu_count()
        True
    """
    cores = _cores(root)
    quota = processor_quota(root)
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def thread_count(operations: float, cores: int) -> int:
    """Return the threads for work whose largest matrix product has so many operations.

    A product that is done in microseconds is not worth dividing: the threads wait for one another.
    Measured on two idle cores with training steps of BERT encoders, the second thread makes a step
    1.0 to 1.3 times as fast up to 8 million operations (width 32, 1,024 tokens; width 64, 256
    tokens) and 1.2 to 1.4 times from 34 million on (width 64, 1,024 tokens; width 128, 256 tokens).
    While other processes held the cores, two threads took up to 300 times as long as one.

    Args:
        operations: Floating-point operations of the largest matrix product, 2 · m · n · k.
        cores: Cores that may be used.

    Example:
        >>> thread_count(4e6, cores=8), thread_count(1.2e9, cores=8)
        (1, 8)
    """
    return max(1, min(cores, round(operations / _PER_THREAD)))


def _cores(root: Path) -> int:
    if not hasattr(os, "sched_getaffinity"):
        return psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    return len({_siblings(root, processor) for processor in allowed})


def _siblings(root: Path, processor: int) -> str:
    """Return the threads of the core of `processor`, itself if the kernel does not tell."""
    place = root / f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
    try:
        return place.read_text(encoding="utf-8").strip()
    except OSError:
        return str(processor)
