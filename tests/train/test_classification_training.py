"""A classification through the one loop: phases, stored outputs, and what it learns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from graft.config.sections import ArmSection
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger
from graft.evaluate.predictions import predict
from graft.models.freeze import assign_groups
from graft.models.locate import locate_base
from graft.tasks.classification import ClassificationTask
from graft.train.loop import TrainingJob, train
from graft.train.modes import named_parameters, tied_names, unused_names
from graft.train.planning import resolve_plan
from graft.train.selection import Selection
from tiny_models import build_tiny_encoder, colour_facts, colour_rows

TRAINING = {
    "num_train_epochs": 6,
    "per_device_train_batch_size": 16,
    "learning_rate": 2e-3,
    "head_learning_rate": 2e-2,
    "precision": "fp32",
    "eval_strategy": "no",
    "load_best_model_at_end": False,
    "save_strategy": "no",
}
THREE_STEPS = {
    "freeze": [
        {"name": "head", "patterns": ["head"], "unfreeze_after": -1},
        {"name": "top", "patterns": ["encoder.layer.2"], "unfreeze_after": 2},
        {"name": "rest", "patterns": ["encoder.layer.[0-1]", "embeddings"], "unfreeze_after": 4},
    ]
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("three"), layers=3)


def trained(
    base: Path, folder: Path, rows: pd.DataFrame, recipe: Mapping[str, Any], **training: Any
) -> tuple[ClassificationTask, Any, Ledger]:
    task = ClassificationTask(colour_facts(int(rows["label"].max()) + 1))
    values = {"loss": "cross_entropy", **recipe, "training": {**TRAINING, **training}}
    arm = ArmSection.model_validate(values)
    model, _ = task.build(arm, locate_base(str(base)), 0, rows)
    examples = task.prepare(rows, model)
    head = task.new_head(model, arm)
    unused = unused_names(task, model, arm, task.collate(examples[:2]))
    groups = assign_groups(arm, named_parameters(model), tied_names(model), head, unused)
    plan = resolve_plan(arm, groups, len(examples))
    job = TrainingJob(
        task=task,
        model=model,
        arm=arm,
        plan=plan,
        examples=examples,
        validate=None,
        selection=Selection("validation_accuracy", higher_is_better=True, patience=None),
        paths=RunPaths(folder),
        seed=0,
    )
    return task, model, train(job)


def right(task: ClassificationTask, model: Any, rows: pd.DataFrame) -> float:
    """Return the share of rows whose class is predicted."""
    columns = predict(task, model, task.prepare(rows, model), 64)
    chosen = columns["predicted"] if "predicted" in columns else columns["score"] >= 0.5
    return float(np.mean(chosen == rows["label"].to_numpy()))


@pytest.mark.parametrize(
    "recipe",
    [
        {"method": "head"},
        {"method": "full"},
        {"method": "lora", "lora": {"lora_alpha": 32}},
        {"classifier": {"texts": "towers", "table": True}},
        {"loss": "focal", "classifier": {"class_weight": "balanced"}},
        THREE_STEPS,
    ],
    ids=["head", "full", "lora", "towers and table", "focal", "three steps"],
)
def test_it_beats_a_dummy_on_new_rows(base: Path, tmp_path: Path, recipe: dict[str, Any]) -> None:
    task, model, _ = trained(base, tmp_path, colour_rows(180, 1, 3), recipe)
    assert right(task, model, colour_rows(90, 2, 3)) > 0.6


def test_it_does_not_beat_a_dummy_on_shuffled_labels(base: Path, tmp_path: Path) -> None:
    rows = colour_rows(180, 1, 3)
    labels = np.random.default_rng(0).permutation(rows["label"])
    task, model, _ = trained(base, tmp_path, rows.assign(label=labels), {})
    assert right(task, model, colour_rows(90, 2, 3)) < 0.5


def test_three_steps_compute_what_is_frozen_once_and_learn_the_same(
    base: Path, tmp_path: Path
) -> None:
    rows = colour_rows(48, 1)
    _, stored, ledger = trained(base, tmp_path / "stored", rows, THREE_STEPS)
    _, anew, plain = trained(base, tmp_path / "anew", rows, THREE_STEPS, feature_cache_gb=0)
    kept = [phase.features.prefix if phase.features else "" for phase in ledger.phases]
    assert kept == ["the whole backbone", "the embedding and 2 of 3 layers", ""]
    assert not any(phase.features for phase in plain.phases)
    for one, other in zip(stored.parameters(), anew.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_each_layer_is_stepped_at_its_own_rate(base: Path, tmp_path: Path) -> None:
    rows = colour_rows(32, 1)
    _, _, ledger = trained(base, tmp_path, rows, {}, lr_decay=0.5, num_train_epochs=2)
    applied = ledger.phases[0].applied_rates
    assert set(applied) == {"head", "layer.2", "layer.1", "layer.0", "embeddings"}
    np.testing.assert_allclose(applied["layer.0"], np.array(applied["layer.2"]) / 4)
    np.testing.assert_allclose(applied["head"], np.array(applied["layer.2"]) * 10)


@pytest.mark.parametrize("tokens", [None, 40])
def test_the_weights_do_not_depend_on_how_a_step_is_divided(
    base: Path, tmp_path: Path, tokens: int | None
) -> None:
    rows = colour_rows(32, 1, 3)
    recipe = {"classifier": {"table": True, "class_weight": "balanced", "texts": "towers"}}
    quiet = {"num_train_epochs": 1, "max_steps": 2, "warmup_steps": 0}
    _, whole, _ = trained(base, tmp_path / "whole", rows, {**recipe, "method": "head"}, **quiet)
    divided = {
        "per_device_train_batch_size": 4 if tokens is None else 16,
        "gradient_accumulation_steps": 4 if tokens is None else 1,
        "max_tokens_per_micro_batch": tokens,
    }
    _, parts, ledger = trained(
        base, tmp_path / "parts", rows, {**recipe, "method": "head"}, **quiet, **divided
    )
    assert ledger.units == 32
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
