"""What the control group of this process may use: processor time and memory (Linux)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def processor_quota(root: Path = _ROOT) -> float | None:
    """Return the processors' worth of time that the control group may use, None without a limit.

    The smallest quota of the group and all groups above it holds; both versions of control groups
    are read.

    Args:
        root: Where the file system begins.
    """
    quotas = []
    for folder in _folders(root, "cpu"):
        words = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        if len(words) == 2 and words[0].isdecimal() and float(words[1]) > 0:
            quotas.append(float(words[0]) / float(words[1]))
    return min(quotas, default=None)


def memory_left(root: Path = _ROOT) -> int | None:
    """Return the bytes that the control group may still take, None without a limit.

    Args:
        root: Where the file system begins.
    """
    left = []
    for folder in _folders(root, "memory"):
        limit = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
        used = _words(folder / "memory.current") or _words(folder / "memory.usage_in_bytes")
        # Version 1 writes the largest page number for no limit, version 2 the word max.
        if limit and used and limit[0].isdecimal() and int(limit[0]) < 2**62:
            left.append(max(0, int(limit[0]) - int(used[0]) + _reclaimable(folder)))
    return min(left, default=None)


def _reclaimable(folder: Path) -> int:
    """Return the bytes of files that the kernel gives up before it kills anybody."""
    for line in _lines(folder / "memory.stat"):
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.isdecimal():
            return int(value)
    return 0


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the groups that hold the process, from its own to the topmost."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, place = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        group = mount / place.strip("/")
        # Inside a container the group's path may be the host's; its files are at the mount then.
        for folder in (group, *group.parents):
            if folder.is_dir():
                yield folder
            if folder == mount:
                break


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
