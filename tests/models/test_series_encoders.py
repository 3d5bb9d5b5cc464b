"""Encoders of series: what a result may depend on, and what loads it again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from graft.models.series.modeling_series import (
    Pooling,
    Scaler,
    SeriesClassifier,
    SeriesConfig,
    SeriesEncoder,
)

KINDS = ("lstm", "gru", "tcn", "transformer")
POOLINGS = ("mean", "last", "attention")
LENGTHS = torch.tensor([9, 3, 1, 14, 8])


def classifier(kind: str, seed: int = 0, **shape: object) -> SeriesClassifier:
    torch.manual_seed(seed)
    settings = {"channels": 3, "width": 16, "num_labels": 4, "dropout": 0.0} | shape
    return SeriesClassifier(SeriesConfig(kind=kind, **settings)).eval()


def series(channels: int = 3, time: int = 14) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(LENGTHS), time, channels, generator=generator)


def close(first: Tensor, second: Tensor) -> None:
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("patch", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_depends_on_nothing_but_itself(kind: str, patch: int, pooling: str) -> None:
    model = classifier(kind, patch=patch, pooling=pooling, normalisation="series")
    values = series()
    together = model(values, LENGTHS).logits
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(values[row : row + 1, :length], LENGTHS[row : row + 1]).logits
        close(together[row], alone[0])
    beyond = torch.cat([values, torch.full((len(values), 5, 3), 1e6)], dim=1)
    for row, length in enumerate(LENGTHS.tolist()):
        beyond[row, length:] = torch.nan if row % 2 else 1e6
    close(together, model(beyond, LENGTHS).logits)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_every_parameter(kind: str, pooling: str, bidirectional: bool) -> None:
    model = classifier(kind, pooling=pooling, bidirectional=bidirectional)
    loss = torch.nn.functional.cross_entropy(
        model(series(), LENGTHS).logits, torch.tensor([0, 1, 2, 3, 0])
    )
    torch.autograd.backward(loss)
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("normalisation", ["series", "channel", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_a_gap_plays_no_role(kind: str, normalisation: str) -> None:
    model = classifier(kind, normalisation=normalisation)
    values = series()
    gaps = torch.rand(values.shape, generator=torch.Generator().manual_seed(2)) < 0.3
    holes = values.masked_fill(gaps, torch.nan)
    found = model(holes, LENGTHS).logits
    assert torch.isfinite(found).all()
    close(found, model(values.masked_fill(gaps, 1e4), LENGTHS, ~gaps).logits)
    assert not torch.allclose(found, model(values.masked_fill(gaps, 0), LENGTHS).logits)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gap_stops_the_gradient(kind: str) -> None:
    model = classifier(kind)
    values = series().requires_grad_()
    observed = torch.ones(values.shape, dtype=torch.bool)
    observed[:, 0] = False
    torch.autograd.backward(model(values, LENGTHS, observed).logits.sum())
    assert values.grad is not None
    assert not values.grad[:, 0].any()
    assert values.grad[0, 1].any()


@pytest.mark.parametrize("channels", [1, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_states_stand_for_patches_of_any_channels(kind: str, channels: int) -> None:
    encoder = classifier(kind, channels=channels, patch=4).encoder
    states, mask = encoder(series(channels), LENGTHS)
    assert states.shape == (5, 4, 16)
    assert mask.sum(dim=1).tolist() == [3, 1, 1, 4, 2]
    assert not states[~mask].any()


def test_a_series_of_its_own_scale_looks_like_any_other() -> None:
    scaler = Scaler(SeriesConfig(channels=2, normalisation="series"))
    values = series(2)
    seen = torch.ones(values.shape, dtype=torch.bool)
    found = scaler(values, seen)
    close(found, scaler(values * 50 + 7, seen))
    close(found.mean(dim=1), torch.zeros(5, 2))
    flat = values.clone()
    flat[..., 1] = 0.1
    assert not scaler(flat, seen)[..., 1].any()


def test_the_last_state_is_the_last_that_each_direction_reads() -> None:
    states = torch.arange(24.0).view(2, 3, 4)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    one_way = Pooling(SeriesConfig(kind="tcn", width=4, pooling="last"))
    assert one_way(states, mask).tolist() == [[4, 5, 6, 7], [20, 21, 22, 23]]
    both_ways = Pooling(SeriesConfig(kind="gru", width=4, pooling="last"))
    assert both_ways(states, mask).tolist() == [[4, 5, 2, 3], [20, 21, 14, 15]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_folder_loads_without_graft(kind: str, tmp_path: Path) -> None:
    model = classifier(kind, patch=2, pooling="attention", id2label={0: "a", 1: "b"})
    with torch.no_grad():
        model.encoder.scaler.center.copy_(torch.tensor([1.0, 2.0, 3.0]))
    model.save_pretrained(tmp_path / "whole")
    model.encoder.save_pretrained(tmp_path / "encoder")
    script = (
        "import json, sys, torch\n"
        "sys.modules['graft'] = None\n"
        "from transformers import AutoModel\n"
        "folder, values, lengths = json.loads(sys.stdin.read())\n"
        "load = lambda name: AutoModel.from_pretrained(\n"
        "    f'{folder}/{name}', trust_remote_code=True)\n"
        "values, lengths = torch.tensor(values), torch.tensor(lengths)\n"
        "with torch.no_grad():\n"
        "    logits = load('whole')(values, lengths).logits\n"
        "    states, mask = load('encoder')(values, lengths)\n"
        "print(json.dumps([logits.tolist(), states.tolist()]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps([str(tmp_path), series().tolist(), LENGTHS.tolist()]),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=os.environ | {"HF_MODULES_CACHE": str(tmp_path / "cache")},
    )
    logits, states = json.loads(done.stdout.splitlines()[-1])
    with torch.no_grad():
        close(torch.tensor(logits), model(series(), LENGTHS).logits)
        close(torch.tensor(states), model.encoder(series(), LENGTHS)[0])


def test_a_loaded_encoder_is_the_one_that_was_saved(tmp_path: Path) -> None:
    encoder = classifier("transformer").encoder
    encoder.save_pretrained(tmp_path)
    again = SeriesEncoder.from_pretrained(tmp_path)
    saved, loaded = encoder.state_dict(), again.state_dict()
    assert saved.keys() == loaded.keys()
    assert all(torch.equal(saved[name], loaded[name]) for name in saved)
