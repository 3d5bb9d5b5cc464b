"""Weights are rounded once, and nothing else is different."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from graft.evaluate.encoding import encode
from graft.models.precision import RoundedWeights, autocast
from tiny_models import build_tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    folder = build_tiny_encoder(tmp_path_factory.mktemp("precision"))
    return SentenceTransformer(str(folder), device="cpu").eval()


def gradients(model: nn.Module, given: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad()
    model(given).float().square().sum().backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_outputs_and_gradients_are_those_of_autocast_bit_for_bit(frozen: int) -> None:
    torch.manual_seed(frozen)
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4, bias=False))
    for layer in [model[0], model[2]][:frozen]:
        layer.requires_grad_(False)
    given = torch.randn(5, 8, requires_grad=True)
    with autocast("bf16"):
        plain, theirs = model(given), gradients(model, given)
    rounded = RoundedWeights(model, "bf16", frozen_only=True)
    for _ in range(2):
        with rounded.autocast():
            assert torch.equal(model(given), plain)
            assert all(map(torch.equal, gradients(model, given), theirs))


def test_outside_of_the_block_the_modules_are_as_they_were() -> None:
    model = nn.Linear(8, 4)
    given = torch.randn(3, 8)
    before = model(given)
    with RoundedWeights(model, "bf16").autocast():
        inside = model(given)
    assert inside.dtype == torch.bfloat16
    assert "forward" not in vars(model)
    assert torch.equal(model(given), before)


def test_weights_that_a_step_changes_are_never_kept() -> None:
    model = nn.Linear(2, 2, bias=False)
    rounded = RoundedWeights(model, "bf16", frozen_only=True)
    for value in (1.0, 2.0):
        nn.init.constant_(model.weight, value)
        with rounded.autocast():
            assert model(torch.ones(1, 2)).detach().sum().item() == 4 * value


def test_float32_stays_float32() -> None:
    model = nn.Linear(2, 2)
    with RoundedWeights(model, "fp32").autocast():
        assert model(torch.ones(1, 2)).dtype == torch.float32


def test_encoding_in_bfloat16_keeps_the_direction(encoder: SentenceTransformer) -> None:
    texts = ["red", "blue and green", "red red red blue"] * 3
    exact, rounded = encode(encoder, texts, "fp32"), encode(encoder, texts, "bf16")
    cosine = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1)
    assert (cosine / np.linalg.norm(rounded, axis=1)).min() > 0.999
