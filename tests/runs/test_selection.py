"""Which weights are kept: the best by validation, also across a thaw and an early stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graft.core.files import read_json, read_jsonl
from graft.core.findings import Status
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger
from graft.runs.pipeline import run

pytestmark = pytest.mark.slow


def one_arm(tiny_recipe: dict[str, Any], **arm: Any) -> dict[str, Any]:
    return {**tiny_recipe, "arms": {"arm": arm}, "baselines": ["base"]}


def test_the_best_weights_before_a_ruinous_thaw_come_back_whole(
    tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    ruin = {"name": "low", "patterns": ["embeddings"], "unfreeze_after": 12, "learning_rate": 1e4}
    training = {"num_train_epochs": 14, "learning_rate": 3e-3, "precision": "fp32"}
    result = run(one_arm(tiny_recipe, freeze=[ruin], training=training), root=tmp_path)
    paths = RunPaths(result.folder / "arm")
    ledger = read_json(paths.ledger, Ledger)
    assert ledger.best_step is not None
    assert ledger.best_step <= ledger.phases[1].first_step
    base = load_file(Path(tiny_recipe["base"]["model"]) / "model.safetensors")
    kept = load_file(paths.model / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    assert torch.equal(kept[name], base[name])
    found = {finding.name: finding.status for finding in result.findings.items}
    assert found["kept_checkpoint"] is Status.passed
    assert found["artefact_equivalence"] is Status.passed


def test_training_stops_when_the_validation_metric_stops_rising(
    tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    training = {
        "num_train_epochs": 40,
        "learning_rate": 3e-3,
        "precision": "fp32",
        "early_stopping_patience": 2,
    }
    result = run(one_arm(tiny_recipe, training=training), root=tmp_path)
    paths = RunPaths(result.folder / "arm")
    ledger = read_json(paths.ledger, Ledger)
    steps = [r["step"] for r in read_jsonl(paths.history) if r["kind"] == "step"]
    assert "no better validation_spearman in 2 evaluations" in ledger.stopped_early
    assert len(steps) == ledger.phases[0].executed_steps < 40 * 9
    assert result.exit_code == 0


def test_the_last_weights_are_kept_if_the_recipe_says_so(
    tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    training = {"load_best_model_at_end": False, "learning_rate": 3e-3, "precision": "fp32"}
    result = run(one_arm(tiny_recipe, training=training), root=tmp_path)
    ledger = read_json(RunPaths(result.folder / "arm").ledger, Ledger)
    assert (ledger.best_step, ledger.best_metric) == (None, None)
    assert result.exit_code == 0


def test_a_new_head_alone_trains_and_everything_else_stays_bit_identical(
    tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    training = {"learning_rate": 3e-2, "num_train_epochs": 12, "precision": "fp32"}
    result = run(one_arm(tiny_recipe, method="head", training=training), root=tmp_path)
    paths = RunPaths(result.folder / "arm")
    base = load_file(Path(tiny_recipe["base"]["model"]) / "model.safetensors")
    kept = load_file(paths.model / "model.safetensors")
    assert all(torch.equal(kept[name], base[name]) for name in base)
    found = {finding.name: finding.status for finding in result.findings.items}
    assert found["movement"] is Status.passed
    assert found["load_ledger"] is Status.passed
