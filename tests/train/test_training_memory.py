"""What is kept for later lies on disk, and what is free goes back to the system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graft.core.free_memory import FreeMemory
from graft.train.snapshot import Snapshot, TensorFile, write_tensors

MANY_SHAPES = """
import os, torch
from graft.models.kernel_caches import bound_kernel_caches

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

environment = dict(os.environ)
bound_kernel_caches()
weight = torch.randn(1024, 256).bfloat16()
before = 0.0
for rows in range(400):
    with torch.inference_mode():
        torch.nn.functional.linear(torch.randn(500 + rows, 256).bfloat16(), weight)
    if rows == 100:
        before = resident()
assert dict(os.environ) == environment
print(resident() - before)
"""


def tensors() -> dict[str, torch.Tensor]:
    return {
        "b": torch.randn(4, 3).bfloat16(),
        "a": torch.randn(5, 2).t(),
        "scalar": torch.tensor(3.0),
        "none": torch.zeros(0, 7),
    }


def test_a_file_gives_back_the_tensors_that_were_written(tmp_path: Path) -> None:
    written = tensors()
    write_tensors(tmp_path / "x.safetensors", written)
    read = TensorFile(tmp_path / "x.safetensors")
    assert set(read) == set(written)
    assert len(read) == len(written)
    for name, tensor in written.items():
        assert torch.equal(read[name], tensor)
        assert read[name].dtype == tensor.dtype
    assert "c" not in read
    with pytest.raises(KeyError):
        read["c"]


def test_a_snapshot_keeps_the_values_of_its_moment(tmp_path: Path) -> None:
    live = tensors()
    then = {name: tensor.clone() for name, tensor in live.items()}
    write_tensors(tmp_path / "x.safetensors", {name: live[name] for name in ("a", "none")})
    snapshots = [Snapshot(live), Snapshot(live, tmp_path / "x.safetensors")]
    for tensor in live.values():
        tensor.add_(1)
    for snapshot in snapshots:
        assert list(snapshot) == list(live)
        assert all(torch.equal(snapshot[name], then[name]) for name in live)


def test_a_snapshot_holds_nothing_but_its_tensors(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x.safetensors", tensors())
    snapshot = Snapshot({"a": torch.ones(1)}, tmp_path / "x.safetensors")
    assert list(snapshot) == ["a"]
    assert snapshot.get("b") is None


def test_memory_goes_back_at_most_once_in_a_while() -> None:
    if sys.platform != "linux":
        pytest.skip("needs glibc")
    seldom, always = FreeMemory(every_s=3600), FreeMemory(every_s=0)
    assert [seldom.release(), seldom.release(now=True), seldom.release()] == [False, True, False]
    assert always.release()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ever_new_shapes_do_not_fill_the_memory() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MANY_SHAPES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert float(done.stdout) < 40  # without a limit about 150 MB
