"""An arm and baselines become one run: folds, artefact, second process, taking up again."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from graft.audits.contract import run_checks
from graft.audits.fusion import CHECKS, read_fusion_evidence
from graft.core.errors import ModelError, RecipeError, RunFolderError
from graft.core.files import read_json, write_manifest
from graft.core.findings import Status
from graft.core.fusion import FusionRecord
from graft.core.layout import ExperimentPaths
from graft.core.roles import Split
from graft.evaluate.fusion_folder import predict_fusion
from graft.evaluate.predictions import rows_to_predict
from graft.evaluate.scoring import prediction_columns
from graft.runs.arms import train_arm
from graft.runs.baselines import run_baselines
from graft.runs.experiment import Experiment, bound, open_experiment
from graft.runs.fusion import fuse
from graft.runs.pipeline import prepare_data
from graft.runs.stages import leaked_rows, predict_artefacts
from tiny_models import colour_rows

pytestmark = pytest.mark.slow


def recipe(encoder: Path, data: Path) -> dict[str, Any]:
    fusion = {"arm": "tuned", "members": ["tfidf_table", "table"]}
    return {
        "name": "tiny",
        "task": "classification",
        "base": {"model": str(encoder)},
        "data": {
            "train": str(data),
            "texts": ["title", "note"],
            "table": ["size", "shop"],
            "columns": {"label": "label", "group": "person"},
            "split": {"method": "grouped", "validation": 0.15, "test": 0.25},
        },
        "evaluation": {"clusters": False, "bootstrap_resamples": 200},
        "training": {"learning_rate": 3e-3, "num_train_epochs": 2, "precision": "fp32"},
        "arms": {"tuned": {"method": "full"}},
        "fusion": {
            "stacked": {**fusion, "folds": 2},
            "mean": {"arm": "tuned", "members": ["table"], "method": "average"},
        },
    }


def prepared(given: dict[str, Any], root: Path) -> tuple[Experiment, pd.DataFrame]:
    experiment = open_experiment(given, root=root)
    rows = prepare_data(experiment)
    return bound(experiment), rows


@pytest.fixture(scope="module")
def fused(colour_encoder, tmp_path_factory) -> tuple[Experiment, pd.DataFrame]:
    """An experiment of three classes with a trained arm and two fusions of it."""
    folder = tmp_path_factory.mktemp("fused")
    rows = colour_rows(240, 1, classes=3).drop(columns="row")
    rows["label"] = np.array(["red", "blue", "green"])[rows["label"].astype(int)]
    rows["person"] = [f"p{index // 4}" for index in range(len(rows))]
    rows.to_csv(folder / "rows.csv", index=False)
    experiment, rows = prepared(recipe(colour_encoder, folder / "rows.csv"), folder / "runs")
    leaked = leaked_rows(experiment)
    run_baselines(experiment, rows, leaked, experiment.recipe.baselines)
    train_arm(experiment, "tuned", rows, leaked)
    with pytest.raises(RunFolderError, match="graft evaluate"):
        fuse(experiment, "stacked", rows, leaked)
    predict_artefacts(experiment, ("tuned",))
    for name in ("stacked", "mean"):
        fuse(experiment, name, rows, leaked)
    return experiment, rows


def evidence(experiment: Experiment, name: str):
    primary = next(
        item for item in experiment.task.measures if item.metric.name == "balanced_accuracy"
    )
    return read_fusion_evidence(
        experiment.paths, name, lambda frame: primary.compute(prediction_columns(frame))
    )


@pytest.mark.parametrize("name", ["stacked", "mean"])
def test_every_check_passes_or_does_not_apply(fused, name):
    found = run_checks(CHECKS, evidence(fused[0], name), {})
    wrong = [f for f in found if f.status not in (Status.passed, Status.not_applicable)]
    assert not wrong
    assert {f.name for f in found} >= {"stacking_folds", "fusion_reloads", "fusion_differs"}


def test_the_record_says_how_the_parts_were_weighed(fused):
    experiment, rows = fused
    train = (rows["split"] == Split.train).sum()
    record = read_json(experiment.paths.run("stacked").fusion, FusionRecord)
    assert (record.rows, record.folds, record.method) == (train, 2, "stacked")
    assert set(record.losses) == set(record.parts) == {"tuned", "tfidf_table", "table"}
    assert record.fused_loss < max(record.losses.values())
    mean = read_json(experiment.paths.run("mean").fusion, FusionRecord)
    assert sum(mean.weights.values()) == pytest.approx(1)
    assert mean.fused_loss <= min(mean.losses.values()) + 1e-9


def test_predictions_have_the_columns_of_every_run(fused):
    experiment, _ = fused
    ours = pd.read_parquet(experiment.paths.run("stacked").predictions(Split.test))
    theirs = pd.read_parquet(experiment.paths.run("tuned").predictions(Split.test))
    assert list(ours.columns) == list(theirs.columns)
    assert (ours["row"] == theirs["row"]).all()


def test_a_fusion_takes_up_again_with_the_folds_that_are_there(fused, tmp_path):
    before, rows = fused
    experiment = copied(before, tmp_path)
    run = experiment.paths.run("stacked")
    kept = (run.folds / "fold-0.parquet").stat().st_mtime_ns
    for gone in (run.fusion, run.folds / "fold-1.parquet", run.predictions(Split.test)):
        gone.unlink()
    fuse(experiment, "stacked", rows, leaked_rows(experiment))
    assert (run.folds / "fold-0.parquet").stat().st_mtime_ns == kept
    for file in ("fold-0.parquet", "fold-1.parquet"):
        old = pd.read_parquet(before.paths.run("stacked").folds / file)
        pd.testing.assert_frame_equal(pd.read_parquet(run.folds / file), old)
    old = pd.read_parquet(before.paths.run("stacked").predictions(Split.test))
    pd.testing.assert_frame_equal(pd.read_parquet(run.predictions(Split.test)), old)


def test_another_text_model_is_refused(fused, tmp_path):
    before, rows = fused
    experiment = copied(before, tmp_path)
    manifest = experiment.paths.run("tuned").model / "MANIFEST.sha256"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(reversed(lines)))
    with pytest.raises(ModelError, match="is another model than the one that was fused"):
        predict_fusion(
            experiment.paths.run("stacked").model, rows_to_predict(rows), experiment.task
        )


def test_a_member_that_was_changed_is_refused(fused, tmp_path):
    before, rows = fused
    experiment = copied(before, tmp_path)
    model = experiment.paths.run("stacked").model
    (model / "members" / "table.skops").write_bytes(b"")
    with pytest.raises(ModelError, match="differs from its hash"):
        predict_fusion(model, rows_to_predict(rows), experiment.task)


def test_a_member_that_would_run_code_is_refused(fused, tmp_path):
    before, rows = fused
    experiment = copied(before, tmp_path)
    model = experiment.paths.run("stacked").model
    foreign = FunctionTransformer(partial(os.getcwd))
    skops.io.dump(foreign, model / "members" / "table.skops")
    write_manifest(model)
    with pytest.raises(ModelError, match=r"not trusted.*getcwd"):
        predict_fusion(model, rows_to_predict(rows), experiment.task)


def test_what_cannot_be_fused_is_refused_before_anything_is_trained(fused, tmp_path):
    experiment, rows = fused
    experiment = copied(experiment, tmp_path)
    shutil.rmtree(experiment.paths.run("mean").model)
    without = rows[rows["split"] != Split.validation]
    with pytest.raises(RecipeError, match="no validation rows"):
        fuse(experiment, "mean", without, frozenset())


def copied(experiment: Experiment, root: Path) -> Experiment:
    shutil.copytree(experiment.paths.root, root / "tiny")
    return replace(experiment, paths=ExperimentPaths(root / "tiny"))
