"""Division and clipping at once give what torch gives in two passes, sparse or dense."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from graft.train.clipping import gradient_norm, scale_and_clip, stored_values, total_norm


def parameters(seed: int, dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    draw = torch.Generator().manual_seed(seed)
    made = [nn.Parameter(torch.randn(s, generator=draw).to(dtype)) for s in ((9, 4), (7,), ())]
    for parameter in made[:2]:
        parameter.grad = (10 * torch.randn(parameter.shape, generator=draw)).to(dtype)
    return made  # the last has no gradient


@pytest.mark.parametrize("limit", [None, 0.5, 1e6])
@pytest.mark.parametrize("count", [1, 16])
def test_the_gradient_is_that_of_two_passes_of_torch(limit: float | None, count: int) -> None:
    ours, theirs = parameters(3), parameters(3)
    for parameter in theirs[:2]:
        assert parameter.grad is not None
        parameter.grad.div_(count)
    expected = torch.nn.utils.clip_grad_norm_(theirs, math.inf if limit is None else limit)
    assert scale_and_clip(ours, count, limit) == pytest.approx(float(expected), rel=1e-6)
    for mine, its in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, its.grad, rtol=1e-6, atol=0)


def test_a_sparse_gradient_counts_each_row_once() -> None:
    dense, sparse = nn.Embedding(50, 4), nn.Embedding(50, 4, sparse=True)
    for table in (dense, sparse):
        table.weight.grad = None
        for words in ([1, 2, 2], [2, 7]):  # two micro-batches that share a row
            table(torch.tensor(words)).sum().backward()
    norms = [scale_and_clip(table.parameters(), 3, 0.1) for table in (dense, sparse)]
    assert norms[0] == pytest.approx(norms[1])
    assert dense.weight.grad is not None
    assert sparse.weight.grad is not None
    torch.testing.assert_close(sparse.weight.grad.to_dense(), dense.weight.grad)
    assert stored_values(sparse.weight.grad).shape == (3, 4)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_gradients_that_are_not_finite_stay_as_they_are(wrong: float) -> None:
    given = parameters(1)
    assert given[1].grad is not None
    given[1].grad[2] = wrong
    before = [None if p.grad is None else p.grad.clone() for p in given]
    assert not math.isfinite(scale_and_clip(given, 4, 1.0))
    for parameter, gradient in zip(given, before, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=0, equal_nan=True)


def test_norms_of_bfloat16_are_summed_in_float32() -> None:
    gradient = torch.ones(100_000, dtype=torch.bfloat16)
    assert gradient_norm(gradient) == pytest.approx(math.sqrt(100_000), rel=1e-6)


def test_nothing_has_no_norm() -> None:
    assert total_norm([]) == 0
    assert scale_and_clip([nn.Parameter(torch.zeros(2))], 1, 1.0) == 0
