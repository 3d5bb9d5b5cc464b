"""Whole classifications: no alarm on healthy ones, and the planted faults of a head are named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from faults.graft_runs import graft_run
from faults.healthy import ALARMS
from faults.zoo import Planted, plant, sabotage, told
from graft.core.findings import Finding, Status
from graft.models.heads import CLASSES_FILE, HEAD, TABLE_FILE
from graft.tasks import classification
from graft.tasks.class_losses import balanced_weights
from graft.tasks.classification import ClassificationTask
from tiny_models import colour_facts, colour_rows

pytestmark = pytest.mark.slow

DATA = {"texts": ["title", "note"], "table": ["size", "shop"], "slices": ["shop"]}
LORA = {"method": "lora", "lora": {"lora_alpha": 32}, "training": {"learning_rate": 2e-2}}
WIDE = {"classifier": {"texts": "towers", "table": True, "class_weight": "balanced"}}
PARTS = {"training": {"per_device_train_batch_size": 5, "gradient_accumulation_steps": 3}}
LONGER = {"training": {"num_train_epochs": 8, "head_learning_rate": 2e-2}}
STEPS = {
    "freeze": [
        {"name": "head", "patterns": ["head"]},
        {"name": "top", "patterns": ["encoder.layer.1"], "unfreeze_after": 1},
        {"name": "rest", "patterns": ["encoder.layer.0", "embeddings"], "unfreeze_after": 2},
    ],
    "training": {
        "num_train_epochs": 4,
        "head_learning_rate": 2e-2,
        "lr_decay": 0.8,
        "load_best_model_at_end": False,
    },
}


def frames(classes: int) -> dict[str, pd.DataFrame]:
    names = colour_facts(classes).classes
    rows = {"train": colour_rows(120, 1, classes), "test": colour_rows(60, 2, classes)}
    return {
        split: frame.drop(columns="row").assign(label=[names[int(k)] for k in frame["label"]])
        for split, frame in rows.items()
    }


def class_run(folder: Path, *arms: Mapping[str, Any], classes: int = 3, **more: Any) -> Planted:
    """Run a classification from data to audits."""
    options = {"baselines": ["base", "majority"], "data": DATA, "task": "classification"}
    return graft_run(folder, *arms, **{"rows": frames(classes), **options, **more})


@pytest.mark.parametrize(
    ("arm", "classes"),
    [
        ({}, 2),
        ({}, 3),
        ({"method": "head"}, 3),
        (LORA, 2),
        ({**LORA, **WIDE}, 3),
        (WIDE, 2),
        ({**WIDE, **PARTS}, 3),
        (STEPS, 2),
        ({"loss": "focal", "rows_per_class": 12}, 3),
        ({"classifier": {"pooling": "cls", "label_smoothing": 0.1}, **LONGER}, 3),
        ({"control": "random_init"}, 2),
        ({"control": "shuffled_labels"}, 3),
    ],
    ids=[
        "full, two classes",
        "full",
        "head",
        "LoRA, two classes",
        "LoRA with towers and table",
        "towers and table, two classes",
        "uneven micro-batches",
        "three steps",
        "few rows a class, focal",
        "another pooling",
        "random init",
        "shuffled labels",
    ],
)
def test_a_healthy_run_raises_no_alarm(tmp_path: Path, arm: dict[str, Any], classes: int) -> None:
    planted = plant(lambda folder: class_run(folder, arm, classes=classes), tmp_path / "run")
    alarms = [finding for finding in planted.findings() if finding.status in ALARMS]
    assert not alarms, told(alarms)


def _after(name: str, spoil: Callable[..., Any]) -> Any:
    """Sabotage a method of the task: what it returned or wrote is spoiled afterwards."""

    def broken(method: Any) -> Any:
        def call(self: Any, *given: Any) -> Any:
            result = method(self, *given)
            spoil(result, *given)
            return result

        return call

    return sabotage(ClassificationTask, name, broken)


def _saved(file: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Change a JSON file of every folder that is saved."""

    def broken(save: Any) -> Any:
        def write(model: Any, folder: Path) -> None:
            save(model, folder)
            path = folder / file
            path.write_text(json.dumps(change(json.loads(path.read_text()))))

        return write

    return sabotage(classification, "save_classifier", broken)


def _another_head(model: Any, *_: Any) -> None:
    with torch.no_grad():
        model.head.linear.weight.neg_()


def _head_file_lost(_: Any, model: Any, folder: Path, *__: Any) -> None:
    fresh = type(model.head)(model.head.in_features, model.head.out_features)
    fresh.save(str(folder / f"2_{type(fresh).__name__}"))


def _no_head(_: Any) -> Any:
    return lambda self, model, arm: frozenset()


def _own_weights(loss: Any) -> Any:
    """Divide by the weights of the classes that happen to be in the micro-batch."""

    def mean(self: Any, model: Any, batch: Any, arm: Any) -> Any:
        value, rows = loss(self, model, batch, arm)
        weights = torch.tensor(balanced_weights(model.layout.class_rows))[batch.labels]
        return value / weights.sum() * rows, rows

    return mean


def _shifted(table: dict[str, Any]) -> dict[str, Any]:
    numbers = [{**column, "mean": column["mean"] + 1} for column in table["numbers"]]
    return {**table, "numbers": numbers}


def _turned(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda layout: {**layout, key: layout[key][::-1]}


FAULTS = {
    "the head is never trained": (
        LORA,
        sabotage(ClassificationTask, "new_head", _no_head),
        {"load_ledger"},
    ),
    "the adapter is saved with a fresh head": (
        LORA,
        _after("save_adapter", _head_file_lost),
        {"adapter_equivalence", "artefact_equivalence"},
    ),
    "the merged model has another head": (
        LORA,
        _after("merge", _another_head),
        {"merge_algebra", "artefact_equivalence"},
    ),
    "the classes are saved in another order": (
        {},
        _saved(CLASSES_FILE, _turned("classes")),
        {"served_reading"},
    ),
    "the towers are served in another order": (
        WIDE,
        _saved(CLASSES_FILE, _turned("texts")),
        {"served_reading", "artefact_equivalence"},
    ),
    "texts are joined by another sign": (
        {},
        _saved(CLASSES_FILE, lambda layout: {**layout, "separator": " "}),
        {"served_reading", "artefact_equivalence"},
    ),
    "numbers are scaled by other rows": (
        WIDE,
        _saved(TABLE_FILE, _shifted),
        {"artefact_equivalence"},
    ),
    "class weights are evened out in each micro-batch": (
        {**WIDE, **PARTS},
        sabotage(ClassificationTask, "loss", _own_weights),
        {"accumulation"},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_head_is_named(tmp_path: Path, name: str) -> None:
    arm, during, caught_by = FAULTS[name]
    rows = frames(3)
    rows["train"] = rows["train"].drop(rows["train"].index[1::6])  # half of one class
    planted = plant(
        lambda folder: class_run(folder, arm, rows=rows, during=during, serving=during),
        tmp_path / "run",
    )
    failed = {f.name for f in planted.findings() if f.status == Status.failed}
    assert caught_by <= failed, told(_of(planted.findings(), caught_by))
    assert HEAD not in failed


def _of(findings: tuple[Finding, ...], names: set[str]) -> list[Finding]:
    return [finding for finding in findings if finding.name in names]


def test_the_real_second_process_serves_a_classifier(tmp_path: Path) -> None:
    from contextlib import nullcontext

    planted = plant(
        lambda folder: class_run(folder, {**LORA, **WIDE}, process=nullcontext), tmp_path / "run"
    )
    found = {finding.name: finding.status for finding in planted.findings()}
    assert found["artefact_equivalence"] == found["adapter_equivalence"] == Status.passed


def test_a_reference_and_a_training_without_validation_count_as_read(tmp_path):
    arm = {"rows_per_class": 8, "reference": "base@8", "training": {"eval_strategy": "no"}}
    planted = class_run(
        tmp_path,
        arm,
        baselines=["base", "base@8", "majority"],
        data={**DATA, "split": {"validation": 0.0}},
    )
    (found,) = [f for f in planted.findings() if f.name == "options_read" and f.where == "tuned"]
    assert found.status is Status.passed, found.summary
