"""`graft pretrain` as a stage: its artefact, taken up or left alone, and what begins with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from faults.pretraining_faults import RECIPE, TRAINING, labelled, write_rows
from graft.core.errors import DataError, ModelError, RunFolderError
from graft.core.files import manifest_problems, read_json, read_jsonl, sha256_file
from graft.core.findings import Findings, Status
from graft.core.layout import ExperimentPaths, PretrainingPaths
from graft.core.ledger import Ledger
from graft.core.origins import LoadReport, Origin
from graft.core.pretraining import RECORD, Pretraining
from graft.core.verdicts import Comparison, Verdict
from graft.models.locate import LocatedBase
from graft.models.series.folders import load_series_encoder
from graft.report.pretraining_page import headline, write_pretraining_report
from graft.runs.arms import train_arm
from graft.runs.experiment import Experiment, bound, open_experiment
from graft.runs.pipeline import prepare_data
from graft.runs.pretraining import pretrain
from graft.runs.preview import preview_arm, preview_data, preview_pretraining
from series_models import sine_rows

pytestmark = pytest.mark.slow

ALL = {"reconstruction": 1.0, "forecast": 0.5, "contrastive": 0.1}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("rows")
    train = write_rows(labelled(), folder / "train.parquet")
    windows = write_rows(sine_rows(120, 2), folder / "windows.parquet")
    return {
        **RECIPE,
        "data": {"train": str(train)},
        "pretrain": {"unlabelled": str(windows), "objectives": ALL, "training": TRAINING},
        "training": {"num_train_epochs": 1},
    }


def pretrained(plain: dict[str, Any], root: Path) -> tuple[Experiment, PretrainingPaths]:
    experiment = open_experiment(plain, root=root)
    rows = prepare_data(experiment)
    experiment = bound(experiment)
    assert experiment.recipe.pretrain is not None
    return experiment, pretrain(experiment, experiment.recipe.pretrain, rows)


@pytest.fixture(scope="module")
def done(
    recipe: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Experiment, PretrainingPaths]:
    return pretrained(recipe, tmp_path_factory.mktemp("runs"))


def test_the_artefact_is_the_encoder_and_says_where_it_is_from(done):
    experiment, paths = done
    encoder, report = load_series_encoder(
        LocatedBase("x", paths.model, "folder"), experiment.recipe.base
    )
    untrained, _ = load_series_encoder(
        LocatedBase("x", experiment.paths.untrained, "folder"), experiment.recipe.base
    )
    assert all(tensor.origin == Origin.file for tensor in report.tensors)
    before, after = untrained.state_dict(), encoder.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if not name.startswith("scaler.")}
    record = read_json(paths.model / RECORD, Pretraining)
    assert record == read_json(paths.record, Pretraining)
    assert record.recipe_sha256 == experiment.loaded.sha256
    assert (record.rows, record.held_out, record.objectives) == (108, 12, ALL)
    assert set(record.base.values()) == {
        sha256_file(experiment.paths.untrained / next(iter(record.base)))
    }
    assert not manifest_problems(paths.model)
    assert not manifest_problems(paths.root)


def test_it_learned_and_no_check_fails(done):
    _, paths = done
    findings = read_json(paths.audits, Findings)
    assert findings.blocking == ()
    asked = {finding.name: finding for finding in findings.items}
    for name in ("supervision", "rates", "movement", "load_ledger", "row_alone", "hidden_values"):
        assert asked[name].status == Status.passed, asked[name].summary
    for name in ("artefact_equivalence", "served_reading", "label_order"):
        assert asked[name].status == Status.not_applicable
        assert "no labels" in asked[name].summary
    assert {finding.where for finding in findings.items} == {"pretraining"}
    comparison = read_json(paths.comparison, Comparison)
    against = {(p.metric, p.reference): p.verdict for p in comparison.pairs}
    assert against["reconstruction_error", "mean"] == Verdict.better
    assert {metric for metric, _ in against} == {
        "reconstruction_error", "forecast_error", "contrastive_loss",
    }  # fmt: skip


def test_every_objective_is_measured_in_every_epoch(done):
    _, paths = done
    evaluations = [r for r in read_jsonl(paths.history) if r["kind"] == "evaluation"]
    assert len(evaluations) == TRAINING["num_train_epochs"]
    for record in evaluations:
        parts = record["metrics"]
        whole = sum(
            weight * parts[f"validation_{name}"]
            for name, weight in zip(
                ("reconstruction_error", "forecast_error", "contrastive_loss"),
                ALL.values(),
                strict=True,
            )
        )
        assert parts["validation_pretraining_loss"] == pytest.approx(whole)
    held_out = pd.read_parquet(paths.predictions("validation"))
    best = read_json(paths.ledger, Ledger).best_metric
    assert held_out["loss"].mean() == pytest.approx(best, rel=1e-5)


def test_what_is_done_stays_and_what_is_damaged_is_done_again(done, recipe):
    experiment, paths = done
    root = experiment.paths.root.parent
    cost, weights = paths.cost.stat().st_mtime_ns, sha256_file(paths.model / "model.safetensors")
    pretrained(recipe, root)
    assert paths.cost.stat().st_mtime_ns == cost
    (paths.model / "config.json").write_text("{}")
    pretrained(recipe, root)
    assert paths.cost.stat().st_mtime_ns > cost
    assert sha256_file(paths.model / "model.safetensors") == weights


def test_the_arm_begins_with_what_was_pretrained(done):
    experiment, paths = done
    train_arm(experiment, "at_once", prepare_data(experiment), frozenset())
    load = read_json(experiment.paths.run("at_once").load, LoadReport)
    assert load.files == {"model.safetensors": sha256_file(paths.model / "model.safetensors")}
    encoder = [t for t in load.tensors if t.name.startswith("encoder.")]
    assert encoder
    assert all(tensor.identical for tensor in encoder)


def test_the_page_says_what_was_learned_and_shows_it(done):
    _, paths = done
    page = write_pretraining_report(paths.root).read_text(encoding="utf-8")
    assert paths.report.read_text(encoding="utf-8") == page
    comparison = read_json(paths.comparison, Comparison)
    assert headline(comparison) in page
    for said in (
        "Held-out series, filled in",
        "Held-out series, forecast",
        "No label was read",
        "windows.parquet",
        "straight line between values seen",
        "Contrastive loss",
    ):
        assert said in page
    figures = json.loads(page.split('id="figures">')[1].split("</script>")[0])
    first = figures["reconstruction-0"]
    assert {trace["legendgroup"] for trace in first["data"]} == {"truth", "model"}
    assert first["layout"]["shapes"]
    shown = pd.read_parquet(paths.shown)
    assert shown["row"].nunique() == 6


def test_other_rows_are_refused(done, recipe, tmp_path):
    experiment, _ = done
    place = Path(recipe["pretrain"]["unlabelled"])
    kept = place.read_bytes()
    try:
        write_rows(sine_rows(100, 9), place)
        with pytest.raises(RunFolderError, match="other rows"):
            pretrained(recipe, experiment.paths.root.parent)
    finally:
        place.write_bytes(kept)


def test_other_channels_are_refused(recipe, tmp_path):
    rows = sine_rows(20, 3)
    rows["series"] = [series[:, :1] for series in rows["series"]]
    file = write_rows(rows, tmp_path / "one.parquet")
    plain = {**recipe, "pretrain": {"unlabelled": str(file), "training": TRAINING}}
    with pytest.raises(DataError, match="channel"):
        pretrained(plain, tmp_path)


def test_an_arm_without_its_base_says_what_is_missing(recipe, tmp_path):
    experiment = open_experiment(recipe, root=tmp_path)
    rows = prepare_data(experiment)
    with pytest.raises(ModelError, match="graft pretrain"):
        train_arm(bound(experiment), "at_once", rows, frozenset())


def test_the_plan_tells_the_steps_and_writes_nothing(recipe, tmp_path):
    experiment = open_experiment(recipe, root=tmp_path)
    data = preview_data(experiment)
    found = preview_pretraining(experiment, experiment.recipe.pretrain, data)
    assert (found.rows, found.held_out) == (108, 12)
    assert found.plan.total_steps == 7 * TRAINING["num_train_epochs"]
    assert preview_arm(experiment, "at_once", data).plan.total_steps == 2
    assert list(tmp_path.iterdir()) == []


START = """
import json, sys
from graft.runs.experiment import bound, open_experiment
from graft.runs.pipeline import prepare_data
from graft.runs.pretraining import pretrain
experiment = open_experiment(json.loads(sys.argv[1]), root=sys.argv[2])
rows = prepare_data(experiment)
pretrain(bound(experiment), experiment.recipe.pretrain, rows)
"""


def start(plain: dict[str, Any], root: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", START, json.dumps(plain), str(root)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_pretraining_that_was_killed_ends_with_the_same_weights(recipe, tmp_path):
    training = {**TRAINING, "num_train_epochs": 30, "save_strategy": "steps", "save_steps": 5}
    plain = {**recipe, "pretrain": {**recipe["pretrain"], "training": training}}
    whole, broken = (
        ExperimentPaths(tmp_path / name / RECIPE["name"]).pretraining for name in ("a", "b")
    )
    assert start(plain, tmp_path / "a").wait() == 0
    process, deadline = start(plain, tmp_path / "b"), time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        history = read_jsonl(broken.history)
        if history and history[-1]["step"] >= 60:
            process.send_signal(signal.SIGKILL)
            process.wait()
            break
        time.sleep(0.005)
    else:
        pytest.fail("the process ended before it was killed")
    assert start(plain, tmp_path / "b").wait() == 0
    assert read_json(broken.ledger, Ledger).resumed_at
    weights = "model.safetensors"
    assert sha256_file(broken.model / weights) == sha256_file(whole.model / weights)
    losses = [
        [r["loss"] for r in read_jsonl(p.history) if r["kind"] == "step"] for p in (whole, broken)
    ]
    assert losses[0] == losses[1]
