"""Tables trained by rows end with the numbers of dense AdamW, and leave the model as it was."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from graft.audits.probing import probe_start
from graft.config.sections import ArmSection, BaseSection, TrainingSection
from graft.core.files import read_json
from graft.core.findings import Findings
from graft.core.layout import RunPaths
from graft.core.plan import PlannedGroup, PlannedTensor, ResolvedPlan
from graft.models.encoder import load_encoder
from graft.models.locate import locate_base
from graft.runs.pipeline import run
from graft.tasks.pairs import PairsTask
from graft.train import checkpoint as checkpoints
from graft.train.modes import named_parameters, tied_names
from graft.train.optimizer import build_optimizer
from graft.train.rowwise import RowwiseAdamW, rowwise_gradients
from tiny_models import colour_pairs, write_jsonl

TASK = PairsTask()
ROWS, WIDTH = 60, 8


class Tabled(nn.Module):
    """Two tables and a head; `tied` makes the head share the first table."""

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(ROWS, WIDTH, padding_idx=0)
        self.places = nn.Embedding(ROWS, WIDTH)
        self.head = nn.Linear(WIDTH, ROWS if tied else 3)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        places = torch.arange(words.shape[1]).expand_as(words)
        return self.head(torch.tanh(self.words(words) + self.places(places)))


def plan_of(model: nn.Module, joins: int | None = 0) -> ResolvedPlan:
    tensors = tuple(
        PlannedTensor(name, tuple(p.shape), p.numel(), "base", joins)
        for name, p in named_parameters(model).items()
    )
    groups = (PlannedGroup("base", 1e-2, 0.1, -1),)
    tied = tied_names(model)
    return ResolvedPlan("full", tensors, groups, (), tied, 0, 0, 1, 1, 0, "constant", {})


def pair_of_models(seed: int) -> tuple[Tabled, Tabled]:
    torch.manual_seed(seed)
    model, other = Tabled(), Tabled()
    other.load_state_dict(model.state_dict())
    return model, other


def optimizers(
    models: tuple[nn.Module, nn.Module], decay: float
) -> tuple[RowwiseAdamW, torch.optim.AdamW]:
    options = {"lr": 1e-2, "weight_decay": decay, "fused": True}
    first = [p for n, p in models[0].named_parameters() if not n.startswith("places")]
    second = [p for n, p in models[1].named_parameters() if not n.startswith("places")]
    return RowwiseAdamW(first, **options), torch.optim.AdamW(second, **options)


def take_step(model: Tabled, optimizer: torch.optim.Optimizer, step: int, rate: float) -> None:
    draw = torch.Generator().manual_seed(step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    for _ in range(1 + step % 2):  # two micro-batches in every second step
        words = torch.randint(0, ROWS, (2, int(torch.randint(1, 6, (), generator=draw))))
        words = torch.randint(0, ROWS, words.shape, generator=draw)
        model(words).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_step_gives_the_weights_of_dense_adamw(decay: float, seed: int) -> None:
    model, other = pair_of_models(seed)
    ours, dense = optimizers((model, other), decay)
    with rowwise_gradients(model, plan_of(model), large=1) as tables:
        assert sorted(tables) == ["places.weight", "words.weight"]
        for step in range(40):
            if step == 15:  # a group that joins later
                ours.add_param_group({"params": [model.places.weight], "weight_decay": decay})
                dense.add_param_group({"params": [other.places.weight], "weight_decay": decay})
            rate = 1e-2 * (1 + step % 7) / 7
            take_step(model, ours, step, rate)
            take_step(other, dense, step, rate)
            for mine, its in zip(model.parameters(), other.parameters(), strict=True):
                torch.testing.assert_close(mine, its, rtol=1e-6, atol=1e-7)
    held = ours.state[model.places.weight]
    assert held["rows"].tolist() == list(range(5))  # no text has more words
    assert held["exp_avg"].shape == (5, WIDTH)


def test_a_table_may_change_between_dense_and_sparse_gradients() -> None:
    model, other = pair_of_models(0)
    ours, dense = optimizers((model, other), 0.0)
    for step in range(12):
        model.words.sparse = step % 6 > 2
        take_step(model, ours, step, 1e-2)
        take_step(other, dense, step, 1e-2)
    torch.testing.assert_close(model.words.weight, other.words.weight, rtol=1e-6, atol=1e-7)


def test_rows_from_sparse_to_dense_keep_what_they_had() -> None:
    model, other = pair_of_models(0)
    ours, dense = optimizers((model, other), 0.0)
    for step in range(12):
        model.words.sparse = step < 6
        take_step(model, ours, step, 1e-2)
        take_step(other, dense, step, 1e-2)
    torch.testing.assert_close(model.words.weight, other.words.weight, rtol=1e-6, atol=1e-7)


def test_a_step_without_a_row_is_counted(tmp_path: Path) -> None:
    table = nn.Embedding(9, 2, padding_idx=0, sparse=True)
    before = table.weight.detach().clone()
    optimizer = RowwiseAdamW(table.parameters(), fused=True, weight_decay=0.0)
    table(torch.tensor([0, 0])).sum().backward()
    optimizer.step()
    assert int(optimizer.state[table.weight]["step"]) == 1
    assert torch.equal(table.weight, before)


def test_a_checkpoint_goes_on_bit_for_bit(tmp_path: Path) -> None:
    model, other = pair_of_models(3)
    optimizer, _ = optimizers((model, other), 0.1)
    again, _ = optimizers((other, model), 0.1)
    plan = plan_of(model)
    with rowwise_gradients(model, plan, large=1), rowwise_gradients(other, plan, large=1):
        for step in range(6):
            take_step(model, optimizer, step, 1e-2)
        tensors = named_parameters(model)
        folder = tmp_path / "step-6"
        checkpoints.save_checkpoint(folder, tensors, optimizer, tensors, {})
        found = checkpoints.read_checkpoint(folder)
        checkpoints.restore_weights(found, named_parameters(other))
        checkpoints.restore_optimizer(found, again, named_parameters(other))
        for step in range(6, 12):
            take_step(model, optimizer, step, 1e-2)
            take_step(other, again, step, 1e-2)
    for mine, its in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_only_free_tables_that_are_trained_and_large_are_taken() -> None:
    for model, large, joins, expected in (
        (Tabled(), 1, 0, 2),
        (Tabled(), ROWS * WIDTH + 1, 0, 0),
        (Tabled(), 1, None, 0),
        (Tabled(tied=True), 1, 1, 1),
    ):
        with rowwise_gradients(model, plan_of(model, joins), large) as tables:
            assert len(tables) == expected
    limited = Tabled()
    limited.words.max_norm, limited.places.scale_grad_by_freq = 1.0, True
    with rowwise_gradients(limited, plan_of(limited), 1) as tables:
        assert tables == ()


def test_the_modules_are_as_they_were_even_after_an_error() -> None:
    model = Tabled()
    with pytest.raises(ValueError, match="stop"), rowwise_gradients(model, plan_of(model), 1):
        assert model.words.sparse
        raise ValueError("stop")
    assert not model.words.sparse
    assert not model.places.sparse


def test_the_optimizer_of_the_loop_takes_sparse_gradients() -> None:
    model = Tabled()
    built = build_optimizer(TrainingSection(), plan_of(model), named_parameters(model))
    assert isinstance(built, RowwiseAdamW)


def prepared_colours(folder: Path) -> tuple[Any, ArmSection, ResolvedPlan, list[Any]]:
    model = load_encoder(locate_base(str(folder)), BaseSection()).model
    frame = colour_pairs(12, 3).assign(row=lambda f: f.index.astype(str))
    arm = ArmSection.model_validate(
        {"training": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3}}
    )
    return model, arm, plan_of(model), TASK.prepare(frame, model)


def test_probes_measure_the_same_and_leave_every_weight(
    colour_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for large in (1, 10**9):
        by_rows = partial(rowwise_gradients, large=large)
        monkeypatch.setattr("graft.audits.probing.rowwise_gradients", by_rows)
        model, arm, plan, examples = prepared_colours(colour_encoder)
        before = {name: p.detach().clone() for name, p in named_parameters(model).items()}
        found.append(probe_start(TASK, model, arm, plan, examples))
        assert all(torch.equal(before[name], p) for name, p in named_parameters(model).items())
    rows, dense = found
    assert rows.gradient is not None
    assert dense.gradient is not None
    assert rows.gradient.norm == pytest.approx(dense.gradient.norm, rel=1e-5)
    assert rows.gradient.measured == pytest.approx(dense.gradient.measured, rel=1e-2)
    assert rows.accumulation is not None
    assert rows.accumulation.gradient_gap < 1e-4


@pytest.mark.slow
def test_a_run_by_rows_passes_its_audits_and_ends_like_a_dense_one(
    colour_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_jsonl(colour_pairs(80, 1), tmp_path / "rows.jsonl")
    recipe = {
        "name": "t",
        "base": {"model": str(colour_encoder)},
        "data": {"train": str(file)},
        "training": {"precision": "fp32", "num_train_epochs": 3, "weight_decay": 0.01},
        "arms": {"standard": {}},
        "baselines": ["base"],
        "evaluation": {"clusters": False, "bootstrap_resamples": 200},
    }
    weights, failed = [], []
    for large in (1, 10**9):
        by_rows = partial(rowwise_gradients, large=large)
        monkeypatch.setattr("graft.train.loop.rowwise_gradients", by_rows)
        root = tmp_path / str(large)
        run(recipe, root=root)
        paths = RunPaths(root / "t" / "standard")
        weights.append(load_file(paths.model / "model.safetensors"))
        items = read_json(paths.audits, Findings).items
        failed.append([item.check for item in items if item.status in ("failed", "error")])
    assert failed[0] == failed[1] == []
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-4, atol=1e-5)
