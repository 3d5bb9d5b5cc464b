"""Whole runs on series: no alarm on healthy ones, and planted faults are named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from faults.graft_runs import ARM, graft_run
from faults.healthy import ALARMS
from faults.zoo import Planted, plant, sabotage, told
from graft.core.findings import Status
from graft.models.series import folders, modeling_series
from graft.models.series.modeling_series import Pooling
from graft.tasks import series
from graft.tasks.series import SeriesTask
from series_models import build_series_encoder, wave_frames

pytestmark = pytest.mark.slow

TRAINING = {"num_train_epochs": 4, "learning_rate": 1e-2, "load_best_model_at_end": False}
FROZEN = {"freeze": [{"name": "encoder", "patterns": ["encoder"], "unfreeze_after": 0}]}
STEPS = {
    "freeze": [
        {"name": "top", "patterns": ["encoder.layers.1", "encoder.norm"], "unfreeze_after": 1},
        {
            "name": "rest",
            "patterns": ["encoder.embedding", "encoder.layers.0"],
            "unfreeze_after": 2,
            "learning_rate": 5e-3,
        },
    ],
    "training": {"lr_decay": 0.7},
}
PARTS = {"training": {"per_device_train_batch_size": 5, "gradient_accumulation_steps": 3}}


def series_run(
    folder: Path, *arms: Mapping[str, Any], kind: str = "tcn", classes: int = 3, **more: Any
) -> Planted:
    """Run a series task on a tiny encoder from data to audits."""
    base = build_series_encoder(folder / "base", kind)
    options: dict[str, Any] = {
        "task": "series",
        "base": {"model": str(base)},
        "data": {"slices": []},
        "training": TRAINING,
    }
    return graft_run(folder, *arms, **{"rows": wave_frames(classes), **options, **more})


@pytest.mark.parametrize(
    ("arm", "kind", "classes"),
    [
        ({}, "lstm", 3),
        ({"classifier": {"pooling": "attention"}}, "gru", 2),
        ({"method": "head", "training": {"num_train_epochs": 12}}, "tcn", 3),
        ({"loss": "focal", "rows_per_class": 20, "training": {"num_train_epochs": 8}}, "tcn", 2),
        (STEPS, "transformer", 3),
        ({**PARTS, "classifier": {"class_weight": "balanced", "pooling": "last"}}, "gru", 3),
        ({"control": "random_init"}, "transformer", 3),
        ({"control": "shuffled_labels"}, "tcn", 3),
    ],
    ids=[
        "recurrent",
        "attention pooling, two classes",
        "head",
        "few rows a class, focal",
        "three steps, rates by layer",
        "uneven micro-batches, last state",
        "random init",
        "shuffled labels",
    ],
)
def test_a_healthy_run_raises_no_alarm(
    tmp_path: Path, arm: dict[str, Any], kind: str, classes: int
) -> None:
    planted = plant(
        lambda folder: series_run(folder, arm, kind=kind, classes=classes), tmp_path / "run"
    )
    alarms = [finding for finding in planted.findings() if finding.status in ALARMS]
    assert not alarms, told(alarms)


def _spoiled(change: Callable[[Path], None]) -> Any:
    """Change every classifier that is saved."""

    def broken(save: Any) -> Any:
        def write(model: Any, folder: Path) -> None:
            save(model, folder)
            change(folder)

        return write

    return sabotage(series, "save_series", broken)


def _tensor(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors[name] = change(tensors[name])
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return edit


def _classes_turned(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    names = list(config["id2label"].values())[::-1]
    config["id2label"] = {str(place): name for place, name in enumerate(names)}
    (folder / "config.json").write_text(json.dumps(config))


def _other_code(folder: Path) -> None:
    code = folder / Path(modeling_series.__file__).name
    code.write_text(code.read_text().replace("keepdim=True", "keepdim=bool(1)", 1))


def _over_padding(forward: Any) -> Any:
    """Pool padding too, as `states.mean(dim=1)` does."""
    return lambda self, states, mask: forward(self, states, torch.ones_like(mask))


def _cut_off(embed: Any) -> Any:
    """Cut the encoder off from the loss in training: the plan trains it, and no gradient comes."""

    def cut(self: Any, *inputs: Any) -> Any:
        found = embed(self, *inputs)
        return found.detach() if self.training else found

    return cut


def _padded_mean(loss: Any) -> Any:
    """Divide by the time steps of the micro-batch and not by its rows."""

    def mean(self: Any, model: Any, batch: Any, arm: Any) -> Any:
        value, rows = loss(self, model, batch, arm)
        return value * rows / batch.values.shape[1], rows

    return mean


FAULTS = {
    "the normalisation is lost on the way to the file": (
        {},
        _spoiled(_tensor("encoder.scaler.center", torch.zeros_like)),
        {"served_reading", "artefact_equivalence"},
    ),
    "the head is saved before it was trained": (
        {},
        _spoiled(_tensor("head.weight", torch.zeros_like)),
        {"artefact_equivalence"},
    ),
    "the classes are saved in another order": (
        {},
        _spoiled(_classes_turned),
        {"served_reading"},
    ),
    "the folder holds other code than that which trained": (
        {},
        _spoiled(_other_code),
        {"served_reading"},
    ),
    "padding is pooled too": (
        {},
        sabotage(Pooling, "forward", _over_padding),
        {"row_alone"},
    ),
    "a detached embedding keeps the encoder as it was": (
        {},
        sabotage(modeling_series.SeriesClassifier, "embed", _cut_off),
        {"first_gradient", "movement"},
    ),
    "the loss is divided by the padded length": (
        PARTS,
        sabotage(SeriesTask, "loss", _padded_mean),
        {"accumulation"},
    ),
    "weights of the base are never loaded": (
        {},
        sabotage(
            folders.SeriesEncoder,
            "from_pretrained",
            lambda load: lambda folder, config, **_: folders.SeriesEncoder(config),
        ),
        {"load_ledger"},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named(tmp_path: Path, name: str) -> None:
    arm, during, expected = FAULTS[name]
    planted = plant(lambda folder: series_run(folder, arm, during=during), tmp_path / "run")
    failed = {
        finding.name
        for finding in planted.findings()
        if finding.status is Status.failed and finding.where == ARM
    }
    assert expected <= failed, told(planted.findings())
