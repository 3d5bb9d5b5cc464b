"""Cores and memory that may be used, read from file systems made for the test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.core.control_groups import memory_left, processor_quota
from graft.core.processors import thread_count, usable_cores

GIB = 2**30


def system(root: Path, group: str, files: dict[str, str]) -> Path:
    """Return a root with the membership `group` and the files below /sys."""
    files = {"proc/self/cgroup": group, **{f"sys/{name}": text for name, text in files.items()}}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/", {"fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"fs/cgroup/cpu.max": "max 100000"}, None),
        # The quota of a group above holds too.
        (
            "0::/a/b",
            {"fs/cgroup/a/cpu.max": "200000 100000", "fs/cgroup/a/b/cpu.max": "max 100000"},
            2.0,
        ),
        # In a container the path is the host's, the files are at the mount.
        ("0::/docker/123", {"fs/cgroup/cpu.max": "50000 100000"}, 0.5),
        (
            "4:cpu,cpuacct:/jobs",
            {
                "fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us": "300000",
                "fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        (
            "4:cpu:/",
            {"fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            None,
        ),
        ("3:pids:/", {"fs/cgroup/cpu.max": "100000 100000"}, None),
    ],
)
def test_the_quota_of_both_versions(
    tmp_path: Path, group: str, files: dict[str, str], expected: float | None
) -> None:
    assert processor_quota(system(tmp_path, group, files)) == expected


def test_cores_are_the_least_of_quota_and_real_cores(tmp_path: Path) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    siblings = {
        f"devices/system/cpu/cpu{number}/topology/thread_siblings_list": "the same core"
        for number in allowed
    }
    assert usable_cores(system(tmp_path / "one", "0::/", siblings)) == 1
    assert usable_cores(system(tmp_path / "bare", "0::/", {})) == len(allowed)
    small = system(tmp_path / "quota", "0::/", {"fs/cgroup/cpu.max": "50000 100000"})
    assert usable_cores(small) == 1
    wide = system(tmp_path / "wide", "0::/", {"fs/cgroup/cpu.max": "6400000 100000"})
    assert usable_cores(wide) == len(allowed)


def test_a_machine_without_these_files_has_no_limit(tmp_path: Path) -> None:
    assert processor_quota(tmp_path) is None
    assert memory_left(tmp_path) is None
    assert usable_cores(tmp_path) >= 1


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        (
            "0::/",
            {"fs/cgroup/memory.max": f"{4 * GIB}", "fs/cgroup/memory.current": f"{3 * GIB}"},
            GIB,
        ),
        # Files that the kernel would give up count as free.
        (
            "0::/",
            {
                "fs/cgroup/memory.max": f"{4 * GIB}",
                "fs/cgroup/memory.current": f"{3 * GIB}",
                "fs/cgroup/memory.stat": f"anon 5\ninactive_file {2 * GIB}",
            },
            3 * GIB,
        ),
        ("0::/", {"fs/cgroup/memory.max": "max", "fs/cgroup/memory.current": "5"}, None),
        (
            "9:memory:/job",
            {
                "fs/cgroup/memory/job/memory.limit_in_bytes": "1000",
                "fs/cgroup/memory/job/memory.usage_in_bytes": "1500",
            },
            0,
        ),
        (
            "9:memory:/",
            {
                "fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
                "fs/cgroup/memory/memory.usage_in_bytes": "7",
            },
            None,
        ),
    ],
)
def test_the_memory_that_is_left(
    tmp_path: Path, group: str, files: dict[str, str], expected: int | None
) -> None:
    assert memory_left(system(tmp_path, group, files)) == expected


@given(st.floats(0, 1e15), st.integers(1, 256))
def test_threads_are_between_one_and_the_cores(operations: float, cores: int) -> None:
    threads = thread_count(operations, cores)
    assert 1 <= threads <= cores
    assert thread_count(2 * operations, cores) >= threads
