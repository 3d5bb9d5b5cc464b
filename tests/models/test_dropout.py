"""Dropout that draws from SFC64: unbiased, reproducible, and gone when it should be."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from graft.models.dropout import drop, quick_dropout


@given(st.floats(0, 1), st.integers(0, 40), st.integers(0, 5))
def test_kept_values_are_scaled_and_the_rest_is_zero(p: float, rows: int, columns: int) -> None:
    dropped = drop(torch.ones(rows, columns), p)
    assert dropped.shape == (rows, columns)
    values = set(dropped.flatten().tolist())
    if p < 0.999:
        assert all(value == 0 or value == pytest.approx(1 / (1 - p), rel=1e-2) for value in values)
    else:
        assert all(value == 0 or value >= 1 / (1 - 0.999) for value in values)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_and_mean_are_those_asked_for(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    dropped = drop(torch.ones(400_000, dtype=dtype), p).float()
    assert float((dropped == 0).float().mean()) == pytest.approx(p, abs=4e-3)
    assert float(dropped.mean()) == pytest.approx(1, abs=1e-2)


def test_neighbours_are_independent() -> None:
    torch.manual_seed(2)
    kept = (drop(torch.ones(400_000), 0.5) > 0).double()
    for distance in (1, 2, 3, 4, 8, 384):
        together = torch.corrcoef(torch.stack([kept[:-distance], kept[distance:]]))[0, 1]
        assert abs(float(together)) < 0.01


def test_the_gradient_passes_where_the_value_did() -> None:
    states = torch.full((50, 7), 2.0, requires_grad=True)
    dropped = drop(states, 0.3)
    dropped.sum().backward()
    torch.testing.assert_close(states.grad, dropped.detach() / 2)


def test_the_state_of_torch_decides() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = (drop(torch.ones(100), 0.5) for _ in range(2))
    torch.set_rng_state(state)
    again = drop(torch.ones(100), 0.5)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_modules_are_as_they_were_afterwards() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    with quick_dropout(model):
        assert "forward" in vars(model[1])
        model.eval()
        states = torch.ones(3, 4)
        torch.testing.assert_close(model(states), model[0](states))
        model.train()
        assert (model(torch.ones(200, 4)) == 0).any()
    assert "forward" not in vars(model[1])
