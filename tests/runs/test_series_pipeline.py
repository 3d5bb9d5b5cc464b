"""Whole experiments on series: scratch, frozen, thawed at once and in two phases."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import graft
from graft.core.errors import InputError, RunFolderError
from graft.core.files import read_json, sha256_file
from graft.core.findings import Status
from graft.core.layout import ExperimentPaths
from graft.core.ledger import Ledger
from graft.core.plan import ResolvedPlan
from graft.core.roles import Split
from graft.data.storage import load_splits
from graft.models.series.modeling_series import SeriesClassifier
from graft.runs.experiment import open_experiment
from graft.runs.prediction import predict_file
from graft.runs.preview import preview_arm, preview_data
from graft.tasks.series_examples import padded
from series_models import build_series_encoder, wave_frames

pytestmark = pytest.mark.slow


def freeze(unfreeze_after: int) -> dict[str, Any]:
    group = {"name": "encoder", "patterns": ["encoder"], "unfreeze_after": unfreeze_after}
    return {"freeze": [group]}


FOUR: dict[str, Any] = {
    "scratch": {"control": "random_init"},
    "frozen": freeze(0),
    "at_once": {},
    "two_phase": freeze(2),
}
RECIPE: dict[str, Any] = {
    "name": "waves",
    "task": "series",
    "data": {"train": "rows", "split": {"validation": 0.2}},
    "evaluation": {"clusters": False, "bootstrap_resamples": 200},
    "training": {
        "num_train_epochs": 5,
        "learning_rate": 1e-2,
        "precision": "fp32",
        "load_best_model_at_end": False,
    },
}


OWN: dict[str, Any] = {
    "encoder": {"kind": "transformer", "width": 16, "patch": 2, "normalisation": "robust"},
    "arms": {"trained": {"classifier": {"pooling": "attention"}}, "head": {"method": "head"}},
}


def experiment(folder: Path, **more: Any) -> graft.Result:
    return graft.run({**RECIPE, **more}, root=folder, frames=wave_frames())


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> graft.Result:
    folder = tmp_path_factory.mktemp("four")
    base = build_series_encoder(folder / "base", "tcn")
    return experiment(folder, base={"model": str(base)}, arms=FOUR)


def test_every_check_passes_or_says_why_it_does_not_apply(four: graft.Result) -> None:
    odd = [
        (item.where, item.name, item.status, item.summary)
        for item in four.findings.items
        if item.status not in (Status.passed, Status.not_applicable)
    ]
    # That the frozen arm trains its head alone is said, whatever it scores.
    assert [(where, name, status) for where, name, status, _ in odd] == [
        ("frozen", "movement", Status.warned)
    ]
    assert four.exit_code == 0
    found = {(item.where, item.name): item for item in four.findings.items}
    for name in ("movement", "load_ledger", "artefact_equivalence", "served_reading", "row_alone"):
        assert found["two_phase", name].status is Status.passed
    assert "series are padded" in found["two_phase", "packed_rows"].summary
    assert "not of series" in found["frozen", "stored_outputs"].summary


def test_the_four_arms_are_what_they_say(four: graft.Result) -> None:
    paths = ExperimentPaths(four.folder)
    plans = {name: read_json(paths.run(name).plan, ResolvedPlan) for name in FOUR}
    trained = {name: plan.trainable_parameters for name, plan in plans.items()}
    assert trained["scratch"] == trained["at_once"] == trained["two_phase"] > trained["frozen"]
    assert [len(plan.phases) for plan in plans.values()] == [1, 1, 1, 2]
    accuracies = {name: _accuracy(paths, name) for name in FOUR}
    assert min(accuracies["scratch"], accuracies["at_once"], accuracies["two_phase"]) > 0.8


def _accuracy(paths: ExperimentPaths, name: str) -> float:
    frame = pd.read_parquet(paths.run(name).predictions(Split.test))
    return float((frame["predicted"] == frame["label"]).mean())


def test_every_change_of_state_is_stored(four: graft.Result) -> None:
    paths = ExperimentPaths(four.folder)
    said = {
        name: [change.message for change in read_json(paths.run(name).ledger, Ledger).changes]
        for name in FOUR
    }
    assert said["at_once"] == said["scratch"] == []
    assert [message.split(":")[0] for message in said["two_phase"]] == [
        "phase 0 from epoch 0",
        "phase 1 from epoch 2",
    ]
    assert said["two_phase"][1].endswith("running rates × 0.3")
    assert len(said["frozen"]) == 1
    assert said["frozen"][0].endswith("encoder frozen for the whole run")


def test_the_artefact_predicts_without_graft_what_was_reported(
    four: graft.Result, tmp_path: Path
) -> None:
    paths = ExperimentPaths(four.folder)
    reported = pd.read_parquet(paths.run("two_phase").predictions(Split.test))
    rows = load_splits(paths.splits).frame.set_index("row").loc[reported["row"]]
    values, lengths = padded(list(rows["series"]))
    torch.save([values, lengths], tmp_path / "rows.pt")
    script = (
        "import json, sys, torch\n"
        "sys.modules['graft'] = None\n"
        "from transformers import AutoModel\n"
        f"model = AutoModel.from_pretrained({str(paths.run('two_phase').model)!r},"
        " trust_remote_code=True)\n"
        f"values, lengths = torch.load({str(tmp_path / 'rows.pt')!r})\n"
        "with torch.no_grad():\n"
        "    shares = model(values, lengths).logits.softmax(1)\n"
        "print(json.dumps([shares.tolist(), list(model.config.id2label.values())]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=os.environ | {"HF_MODULES_CACHE": str(tmp_path / "cache")},
    )
    shares, classes = json.loads(done.stdout.splitlines()[-1])
    assert classes == ["fast", "middle", "slow"]
    expected = reported[["p_0", "p_1", "p_2"]].to_numpy()
    np.testing.assert_allclose(np.array(shares), expected, atol=1e-5)


def test_graft_loads_it_and_predict_refuses_series(four: graft.Result, tmp_path: Path) -> None:
    assert isinstance(graft.load(four.folder / "at_once"), SeriesClassifier)
    (tmp_path / "rows.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="this model series"):
        predict_file(four.folder / "at_once", tmp_path / "rows.csv", tmp_path / "out.csv", {})


def test_the_report_and_the_card_are_about_series(four: graft.Result) -> None:
    page = four.report.read_text(encoding="utf-8")
    assert "Dotted lines are thaws" in page
    card = (four.folder / "two_phase" / "README.md").read_text(encoding="utf-8")
    assert "trust_remote_code=True" in card
    assert "library_name: transformers" in card
    assert not re.search(r"sentence_transformers|texts? embedding", card)


def test_every_thaw_is_logged_with_its_tag(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="graft"):
        experiment(
            tmp_path,
            encoder={"kind": "gru", "width": 8, "layers": 1},
            arms={"two_phase": freeze(1)},
            baselines=["base"],
            training={**RECIPE["training"], "num_train_epochs": 2},
        )
    tagged = [record.message for record in caplog.records if "[TWO-PHASE]" in record.message]
    assert len(tagged) == 2
    assert "phase 1 from epoch 1: encoder trainable" in tagged[1]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> graft.Result:
    return experiment(tmp_path_factory.mktemp("own"), **OWN)


def test_without_a_base_the_untrained_encoder_is_the_base(own: graft.Result) -> None:
    bad = [item for item in own.findings.items if item.status is Status.failed]
    assert bad == []
    paths = ExperimentPaths(own.folder)
    load = json.loads(paths.run("trained").load.read_text())
    assert (load["base"], load["found"]) == ("encoder", "made")
    config = json.loads((paths.untrained / "config.json").read_text())
    assert (config["kind"], config["patch"], config["channels"]) == ("transformer", 2, 2)
    assert _accuracy(paths, "trained") > 0.8
    assert own.verdicts.keys() == {"trained", "head"}
    for name in ("euclidean", "dtw", "features", "rocket"):
        assert paths.run(name).scores.is_file()


def test_a_finished_run_is_taken_up_and_its_base_is_not_made_anew(own: graft.Result) -> None:
    paths = ExperimentPaths(own.folder)
    weights = paths.untrained / "model.safetensors"
    before = weights.stat().st_mtime_ns, sha256_file(weights)
    again = experiment(own.folder.parent, **OWN)
    assert again.verdicts == own.verdicts
    assert (weights.stat().st_mtime_ns, sha256_file(weights)) == before
    with pytest.raises(RunFolderError):
        experiment(own.folder.parent, **{**OWN, "encoder": {"width": 8}})


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    rows = pd.concat(wave_frames().values(), ignore_index=True)
    lists = [series.tolist() for series in rows["series"]]
    rows.assign(series=lists).to_parquet(tmp_path / "rows.parquet")
    recipe = {
        **RECIPE,
        "data": {"train": str(tmp_path / "rows.parquet")},
        "encoder": {"kind": "tcn", "width": 8},
        "arms": {"two_phase": freeze(2)},
    }
    opened = open_experiment(recipe, root=tmp_path / "runs")
    preview = preview_arm(opened, "two_phase", preview_data(opened))
    assert preview.found == "made"
    assert len(preview.plan.phases) == 2
    assert not (tmp_path / "runs").exists()
