"""The estimate: from real stages, by tokens, and without a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from graft.core.files import read_json, read_jsonl
from graft.core.ledger import Ledger
from graft.core.options import OptionUse
from graft.runs import token_budget
from graft.runs.arms import PreparedArm, prepare_arm, train_arm
from graft.runs.estimate import Estimate, estimated_arm
from graft.runs.experiment import Experiment, open_experiment
from graft.runs.pipeline import prepare_data
from graft.runs.token_budget import MemoryNeed, free_memory, memory_need
from graft.runs.trial import run_trial
from graft.train.micro_batches import MicroBatchLimit


def prepared(
    recipe: dict[str, Any], folder: Path, arm: str = "standard", **training: Any
) -> tuple[Experiment, Any, PreparedArm]:
    recipe = {**recipe, "arms": {arm: {**recipe["arms"][arm]}}}
    recipe["training"] = {**recipe["training"], "num_train_epochs": 4, **training}
    recipe["arms"][arm].pop("training", None)
    experiment = open_experiment(recipe, root=folder)
    rows = prepare_data(experiment)
    return experiment, rows, prepare_arm(experiment, arm, rows)


@pytest.mark.parametrize("arm", ["standard", "lora"])
def test_the_trial_changes_no_weight_and_leaves_nothing(
    tiny_recipe: dict[str, Any], tmp_path: Path, arm: str
) -> None:
    experiment, rows, ready = prepared(tiny_recipe, tmp_path, arm)
    files = sorted(tmp_path.rglob("*"))
    before = {name: value.clone() for name, value in ready.model.state_dict().items()}
    state = torch.get_rng_state()
    trial = run_trial(experiment, ready, rows)
    assert sorted(tmp_path.rglob("*")) == files
    assert torch.equal(torch.get_rng_state(), state)
    after = ready.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert len(trial.of("step")) == trial.plan.total_steps == 6
    assert len(trial.of("evaluation")) == len(trial.of("checkpoint")) == 2
    assert 0 < sum(trial.seconds_of("step")) < trial.seconds


def test_the_heaviest_step_is_in_the_trial(tiny_recipe: dict[str, Any], tmp_path: Path) -> None:
    experiment, rows, ready = prepared(tiny_recipe, tmp_path, per_device_train_batch_size=4)
    trial = run_trial(experiment, ready, rows)
    steps = [record for record in trial.of("step") if record["step"] <= trial.plan.steps_per_epoch]
    paths = train_arm(experiment, "standard", rows, frozenset())
    real = [record for record in read_jsonl(paths.history) if record["kind"] == "step"]
    first = [r["tokens"] for r in real[: ready.plan.steps_per_epoch] if r["rows"] == 4]
    assert max(record["tokens"] for record in steps) == max(first)


def test_every_phase_is_tried(tiny_recipe: dict[str, Any], tmp_path: Path) -> None:
    groups = [{"name": "low", "patterns": ["encoder.layer.0"], "unfreeze_after": 2}]
    recipe = {**tiny_recipe, "arms": {"standard": {"freeze": groups}}}
    experiment, rows, ready = prepared(recipe, tmp_path)
    trial = run_trial(experiment, ready, rows)
    assert [phase.steps for phase in trial.plan.phases] == [6, 6]
    assert [phase.executed_steps for phase in trial.ledger.phases] == [6, 6]


def test_the_parts_of_the_estimate(tiny_recipe: dict[str, Any], tmp_path: Path) -> None:
    experiment, rows, ready = prepared(tiny_recipe, tmp_path)
    _, few = estimated_arm(experiment, "standard", rows)
    more = {**tiny_recipe, "arms": {"standard": {}}}
    more["training"] = {**tiny_recipe["training"], "num_train_epochs": 400}
    _, many = estimated_arm(open_experiment(more, root=tmp_path / "more"), "standard", rows)
    for cost, epochs in ((few, 4), (many, 400)):
        assert isinstance(cost, Estimate)
        assert cost.seconds > cost.step_seconds + cost.evaluation_seconds + cost.frozen_seconds
        assert cost.measured_steps == 6
        assert cost.fits
        assert cost.memory_bytes > cost.weight_bytes
        assert epochs * ready.plan.steps_per_epoch > 6
    # A hundred times the epochs; the machine may be ten times slower in one of the two.
    assert many.step_seconds > 10 * few.step_seconds
    assert few.gradient_bytes == 4 * ready.plan.trainable_parameters
    assert few.optimizer_bytes == 2 * few.gradient_bytes


def test_patience_does_not_end_a_trial(tiny_recipe: dict[str, Any], tmp_path: Path) -> None:
    experiment, rows, ready = prepared(tiny_recipe, tmp_path, early_stopping_patience=1)
    assert len(run_trial(experiment, ready, rows).of("step")) == 6


def test_what_a_micro_batch_takes_grows_with_its_tokens(
    tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    experiment, _, ready = prepared(tiny_recipe, tmp_path)
    flags = [parameter.requires_grad for parameter in ready.model.parameters()]
    state = torch.get_rng_state()
    found = [
        memory_need(experiment.task, ready.model, ready.arm, ready.plan, ready.examples)
        for _ in range(2)
    ]
    assert found[0].bytes_per_token == found[1].bytes_per_token > 32 * 4
    assert found[0].fixed_bytes >= 3 * 4 * ready.plan.trainable_parameters
    assert found[0].fits
    assert torch.equal(torch.get_rng_state(), state)
    assert [parameter.requires_grad for parameter in ready.model.parameters()] == flags


def test_the_budget_keeps_a_share_free() -> None:
    need = MemoryNeed(fixed_bytes=200, bytes_per_token=10.0, free_bytes=1000, largest_tokens=60)
    assert need.max_tokens == 60
    assert need.fits
    assert not MemoryNeed(200, 10.0, 1000, 61).fits
    assert MemoryNeed(2000, 10.0, 1000, 61).max_tokens == 1


def test_free_memory_is_no_more_than_the_machine_has() -> None:
    assert 0 < free_memory(torch.device("cpu")) <= psutil.virtual_memory().total


def test_auto_divides_by_tokens_only_if_the_rows_do_not_fit(
    tiny_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, rows, ready = prepared(tiny_recipe, tmp_path, max_tokens_per_micro_batch="auto")
    assert ready.limit == MicroBatchLimit(16)
    need = memory_need(experiment.task, ready.model, ready.arm, ready.plan, ready.examples)
    room = (need.fixed_bytes + 60.5 * need.bytes_per_token) / token_budget.SHARE
    monkeypatch.setattr(token_budget, "free_memory", lambda device: int(room))
    assert prepare_arm(experiment, "standard", rows).limit == MicroBatchLimit(16, 60)
    paths = train_arm(experiment, "standard", rows, frozenset())
    steps = [record for record in read_jsonl(paths.history) if record["kind"] == "step"]
    assert max(record["largest_micro_batch"] for record in steps) <= 60
    assert max(record["micro_batches"] for record in steps) > 1
    assert read_json(paths.ledger, Ledger).changes == ()


def test_a_budget_in_tokens_is_in_force(tiny_recipe: dict[str, Any], tmp_path: Path) -> None:
    experiment, rows, _ = prepared(tiny_recipe, tmp_path, max_tokens_per_micro_batch=50)
    paths = train_arm(experiment, "standard", rows, frozenset())
    use = read_json(paths.options, OptionUse)
    option = next(o for o in use.in_force if o.option == "training.max_tokens_per_micro_batch")
    assert (option.requested, option.same) == (50, True)
    assert isinstance(option.in_force, int)
    assert 0 < option.in_force <= 50
    assert use.unread == ()
