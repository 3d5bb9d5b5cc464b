"""The schedules against those of Transformers, step by step."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_scheduler

from graft.config.sections import TrainingSection
from graft.train.schedule import factor, warmup_count

KINDS = ["linear", "cosine", "constant", "polynomial", "one_cycle", "cosine_with_restarts"]
PEERS = {
    "linear": ("linear", {}),
    "cosine": ("cosine", {}),
    "constant": ("constant_with_warmup", {}),
    "cosine_with_restarts": ("cosine_with_restarts", {"num_cycles": 3}),
    "polynomial": ("polynomial", {"power": 2.0, "lr_end": 0.0}),
}


@pytest.mark.parametrize("kind", PEERS)
@pytest.mark.parametrize("warmup", [0, 7])
def test_rates_are_those_of_transformers(kind: str, warmup: int) -> None:
    name, options = PEERS[kind]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    peer = get_scheduler(name, optimizer, warmup, 40, scheduler_specific_kwargs=options)
    training = TrainingSection(lr_scheduler_type=kind, num_cycles=3, power=2.0)
    for step in range(40):
        ours = factor(training, step, 40, warmup)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12), step
        optimizer.step()
        peer.step()


@given(st.sampled_from(KINDS), st.integers(2, 300), st.data())
def test_rates_stay_between_zero_and_the_peak(kind: str, total: int, data: st.DataObject) -> None:
    warmup = data.draw(st.integers(0, total - 1))
    training = TrainingSection(lr_scheduler_type=kind)
    rates = [factor(training, step, total, warmup) for step in range(total)]
    assert all(0.0 <= rate <= 1.0 for rate in rates)
    assert max(rates) == pytest.approx(1.0) or warmup == 0 or warmup >= total - 1 or total < 30


def test_one_cycle_rises_to_the_peak_and_falls() -> None:
    training = TrainingSection(lr_scheduler_type="one_cycle")
    rates = [factor(training, step, 100, 30) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[30] == pytest.approx(1.0)
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)


@pytest.mark.parametrize(("given_", "count"), [(0.1, 30), (0.0, 0), (100, 100), (0.101, 31)])
def test_warm_up_is_steps_or_a_share(given_: float, count: int) -> None:
    assert warmup_count(TrainingSection(warmup_steps=given_), 300) == count
