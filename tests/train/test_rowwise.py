"""Tables trained by rows end with the numbers of dense AdamW, and leave the model as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from graft.config.sections import TrainingSection
from graft.core.plan import PlannedGroup, PlannedTensor, ResolvedPlan
from graft.train import checkpoint as checkpoints
from graft.train.modes import named_parameters, tied_names
from graft.train.rowwise import RowwiseAdamW, rowwise_gradients

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
    from graft.train.optimizer import build_optimizer

    model = Tabled()
    built = build_optimizer(TrainingSection(), plan_of(model), named_parameters(model))
    assert isinstance(built, RowwiseAdamW)
