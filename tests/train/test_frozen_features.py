"""A training with stored outputs of what is frozen ends where the training without them ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.files import read_json, read_jsonl
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger
from graft.evaluate.predictions import predict
from graft.models.feature_files import FeatureIndex
from graft.models.features import TOLERANCE
from graft.models.freeze import assign_groups
from graft.models.locate import locate_base
from graft.tasks.pairs import PairsTask
from graft.train.loop import TrainingJob, train
from graft.train.modes import named_parameters, tied_names, unused_names
from graft.train.planning import resolve_plan
from graft.train.selection import Selection
from tiny_models import build_tiny_encoder, colour_pairs

TASK = PairsTask()
LOW = ["embeddings", "encoder.layer.0"]
MIDDLE = ["encoder.layer.1"]
FROZEN = {"freeze": [{"name": "low", "patterns": LOW, "unfreeze_after": 0}]}
THAW = {"freeze": [{"name": "low", "patterns": LOW, "unfreeze_after": 2}]}
TWICE = {
    "freeze": [
        {"name": "middle", "patterns": MIDDLE, "unfreeze_after": 2},
        {"name": "low", "patterns": LOW, "unfreeze_after": 4},
    ]
}
HEAD = {"method": "head"}
LORA = {"method": "lora"}
TRAINING = {
    "num_train_epochs": 4,
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-3,
    "precision": "fp32",
    "load_best_model_at_end": False,
    "save_strategy": "no",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("three"), layers=3)


def job_of(base: Path, folder: Path, recipe: Mapping[str, Any], **training: Any) -> TrainingJob:
    """Return an arm ready to train on 24 pairs, validated on 8 others."""
    arm = ArmSection.model_validate({**recipe, "training": {**TRAINING, **training}})
    frame = colour_pairs(32, 3).assign(row=lambda f: f.index.astype(str))
    model, _ = TASK.build(arm, locate_base(str(base)), 0, frame[:24])
    examples, held_out = (TASK.prepare(part, model) for part in (frame[:24], frame[24:]))
    assigned = assign_groups(
        arm,
        named_parameters(model),
        tied_names(model),
        TASK.new_head(model, arm),
        unused_names(TASK, model, arm, TASK.collate(examples[:2])),
    )

    def validate(model: nn.Module) -> dict[str, float | None]:
        return {"mean": float(predict(TASK, model, held_out, 4)["score"].mean())}

    return TrainingJob(
        task=TASK,
        model=model,
        arm=arm,
        plan=resolve_plan(arm, assigned, len(examples)),
        examples=examples,
        validate=validate,
        selection=Selection("mean", higher_is_better=True, patience=None),
        paths=RunPaths(folder),
        seed=0,
        held_out=held_out,
    )


def trained(job: TrainingJob) -> tuple[Ledger, dict[str, Tensor]]:
    torch.manual_seed(3)  # the loop sets its own
    ledger = train(job)
    return ledger, {n: p.detach().clone() for n, p in job.model.named_parameters()}


def evaluations(job: TrainingJob) -> list[float]:
    records = read_jsonl(job.paths.history)
    return [r["metrics"]["mean"] for r in records if r["kind"] == "evaluation"]


@pytest.mark.parametrize(
    ("recipe", "epochs", "stored"),
    [
        (FROZEN, 3, ["the embedding and 1 of 3 layers"]),
        (THAW, 4, ["the embedding and 1 of 3 layers", ""]),
        (TWICE, 6, ["the embedding and 2 of 3 layers", "the embedding and 1 of 3 layers", ""]),
        (HEAD, 3, ["the whole backbone"]),
    ],
    ids=["frozen", "thaw", "two thaws", "head"],
)
def test_the_weights_are_those_without_a_store(
    base: Path, tmp_path: Path, recipe: dict[str, Any], epochs: int, stored: list[str]
) -> None:
    jobs = [
        job_of(base, tmp_path / f"{size}", recipe, num_train_epochs=epochs, feature_cache_gb=size)
        for size in (8, 0)
    ]
    (ledger, weights), (plain, expected) = (trained(job) for job in jobs)
    assert [p.features.prefix if p.features else "" for p in ledger.phases] == stored
    assert all(p.features is None for p in plain.phases)
    assert {p.features_problem for p in plain.phases} == {
        "the recipe allows no disk for it (feature_cache_gb: 0)"
    }
    for name, value in expected.items():
        torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=2e-6)
    assert evaluations(jobs[0]) == pytest.approx(evaluations(jobs[1]), abs=1e-5)
    assert (ledger.tokens, ledger.padding) == (plain.tokens, plain.padding)
    for phase in ledger.phases:
        assert phase.features is None or phase.features.gap < TOLERANCE["fp32"] / 10
    assert not (jobs[0].paths.checkpoints / "frozen").exists()


def test_bfloat16_is_stored_as_bfloat16_and_validated_in_float32(
    base: Path, tmp_path: Path
) -> None:
    job = job_of(base, tmp_path, FROZEN, precision="bf16")
    seen: list[str] = []
    folder = job.paths.checkpoints / "frozen"

    def looking(model: nn.Module) -> Mapping[str, float | None]:
        for place in sorted(folder.iterdir()):
            index = read_json(place / "index.json", FeatureIndex)
            seen.append(f"{place.name} {index.record.number_format}")
        return job.validate(model)

    ledger, _ = trained(replace(job, validate=looking))
    assert set(seen) == {"train bf16", "validation fp32"}
    assert ledger.phases[0].features.gap < TOLERANCE["bf16"]


@pytest.mark.parametrize(
    ("recipe", "options", "reason"),
    [
        (LORA, {}, "no layer of its backbone is frozen"),
        ({}, {}, "no layer of its backbone is frozen"),
        (FROZEN, {"num_train_epochs": 1}, "ends before it sees a row twice"),
        (FROZEN, {"feature_cache_gb": 1e-6}, "MB are allowed"),
    ],
    ids=["LoRA", "full", "one epoch", "no room"],
)
def test_the_ledger_says_why_nothing_is_stored(
    base: Path, tmp_path: Path, recipe: dict[str, Any], options: dict[str, Any], reason: str
) -> None:
    ledger, _ = trained(job_of(base, tmp_path, recipe, **options))
    assert ledger.phases[0].features is None
    assert reason in ledger.phases[0].features_problem


class KilledError(Exception):
    """The process is gone."""


def killed(job: TrainingJob, evaluation: int) -> Callable[[nn.Module], Mapping[str, float | None]]:
    """Return a validation that never comes back from its n-th call."""
    calls: list[int] = []

    def validate(model: nn.Module) -> Mapping[str, float | None]:
        calls.append(1)
        if len(calls) == evaluation:
            raise KilledError
        return job.validate(model)

    return validate


@pytest.mark.parametrize("damage", [False, True], ids=["whole", "damaged"])
def test_a_killed_training_takes_the_stored_outputs_up(
    base: Path, tmp_path: Path, damage: bool
) -> None:
    options = {"num_train_epochs": 3, "save_strategy": "epoch"}
    _, expected = trained(job_of(base, tmp_path / "whole", FROZEN, **options))
    job = job_of(base, tmp_path / "killed", FROZEN, **options)
    with pytest.raises(KilledError):
        train(replace(job, validate=killed(job, 2)))
    file = job.paths.checkpoints / "frozen" / "train" / "features.bin"
    values, written = file.read_bytes(), file.stat().st_mtime_ns
    if damage:
        file.write_bytes(bytes([values[0] ^ 255]) + values[1:])
    again = job_of(base, tmp_path / "killed", FROZEN, **options)
    times: list[int] = []

    def looking(model: nn.Module) -> Mapping[str, float | None]:
        assert file.read_bytes() == values
        times.append(file.stat().st_mtime_ns)
        return again.validate(model)

    ledger, weights = trained(replace(again, validate=looking))
    assert ledger.resumed_at == (3,)
    assert {time == written for time in times} == {not damage}
    for name, value in expected.items():
        assert torch.equal(weights[name], value), name


def test_a_frozen_tensor_that_moves_on_the_way_is_recorded(base: Path, tmp_path: Path) -> None:
    """The store hides it from the loss; the hashes and the comparison at the end do not."""
    job = job_of(base, tmp_path, FROZEN)
    weight = dict(job.model.named_parameters())["0.model.encoder.layer.0.output.dense.weight"]

    def meddling(model: nn.Module) -> Mapping[str, float | None]:
        with torch.no_grad():
            weight.mul_(1.05)
        return job.validate(model)

    ledger, _ = trained(replace(job, validate=meddling))
    (phase,) = ledger.phases
    moved = [t.name for t in phase.tensors if not t.requires_grad and t.relative_change]
    assert moved == ["encoder.layer.0.output.dense.weight"]
    assert phase.features.gap > TOLERANCE["fp32"]
