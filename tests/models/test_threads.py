"""Threads are set for a block, and whoever has decided otherwise is heeded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from graft.core.processors import usable_cores
from graft.models.threads import suitable_threads, widest_matrix

BOUNDS = [nn.Linear(8, 8), nn.Linear(4096, 4096)]


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_small_work_gets_one_thread_and_large_work_all_cores() -> None:
    torch.set_num_threads(64)
    small, large = BOUNDS
    with suitable_threads(small, 100) as used:
        assert used == torch.get_num_threads() == 1
    with suitable_threads(large, 10_000) as used:
        assert used == torch.get_num_threads() == usable_cores()
    with suitable_threads() as used:
        assert used == usable_cores()
    assert torch.get_num_threads() == 64


def test_a_lower_number_of_the_caller_holds() -> None:
    torch.set_num_threads(1)
    with suitable_threads(BOUNDS[1], 10_000) as used:
        assert used == 1


def test_the_environment_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with suitable_threads(BOUNDS[0], 1) as used:
        assert used == torch.get_num_threads() == 3


def test_the_number_comes_back_after_an_error() -> None:
    torch.set_num_threads(2)
    with pytest.raises(ValueError, match="mine"), suitable_threads(BOUNDS[0], 1):
        raise ValueError("mine")
    assert torch.get_num_threads() == 2


def test_tables_do_not_count() -> None:
    model = nn.Sequential(nn.Embedding(10_000, 16), nn.Linear(16, 32), nn.LayerNorm(32))
    assert widest_matrix(model) == 512
    assert widest_matrix(nn.Embedding(10_000, 16)) == 0
