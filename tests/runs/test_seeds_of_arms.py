"""Arms that are trained with several seeds: every stage sees each of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

import graft
from graft.core.experiment import ExperimentIndex
from graft.core.files import read_json, sha256_file, write_manifest
from graft.core.findings import Status
from graft.core.layout import ExperimentPaths
from graft.core.ledger import Ledger
from graft.core.roles import Split
from graft.core.scores import ScoreBook
from graft.runs.arms import arm_is_trained, train_arm
from graft.runs.experiment import open_experiment
from graft.runs.pipeline import finish, prepare_data
from graft.runs.tracked import seed_metrics
from graft.train import loop

pytestmark = pytest.mark.slow

NAMES = ("standard", "standard/seed-43", "standard/seed-44")


@pytest.fixture(scope="module")
def seeded(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    arms = {"standard": {}, "noise": {"control": "shuffled_labels"}}
    training = {**tiny_recipe["training"], "num_train_epochs": 2}
    return {**tiny_recipe, "arms": arms, "training": training, "seeds": 3}


@pytest.fixture(scope="module")
def finished(seeded: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> graft.Result:
    return graft.run(seeded, root=tmp_path_factory.mktemp("seeds"))


@pytest.fixture(scope="module")
def paths(finished: graft.Result) -> ExperimentPaths:
    return ExperimentPaths(finished.folder)


def test_every_seed_is_trained_on_its_own_order_from_the_same_rows(paths: ExperimentPaths) -> None:
    ledgers = [read_json(paths.run(name).ledger, Ledger) for name in NAMES]
    assert len({ledger.phases[0].rows_sha256 for ledger in ledgers}) == 3
    assert {ledger.phases[0].distinct_rows for ledger in ledgers} == {144}
    models = {sha256_file(paths.run(name).model / "model.safetensors") for name in NAMES}
    assert len(models) == 3


def test_shuffled_labels_are_dealt_anew_for_each_seed(paths: ExperimentPaths) -> None:
    names = [name.replace("standard", "noise") for name in NAMES]
    models = {sha256_file(paths.run(name).model / "model.safetensors") for name in names}
    assert len(models) == 3


def test_the_first_seed_is_what_one_seed_gives(
    seeded: dict[str, Any], paths: ExperimentPaths, tmp_path: Path
) -> None:
    once = ExperimentPaths(graft.run({**seeded, "seeds": 1}, root=tmp_path).folder)
    for file in ("model/model.safetensors", "predictions/test.parquet", "plan.json"):
        one, three = (where.run("standard").root / file for where in (once, paths))
        assert sha256_file(one) == sha256_file(three), file
    one, three = (
        read_json(where.run("standard").scores, ScoreBook).on(Split.test) for where in (once, paths)
    )
    for score in one.items:
        assert score.by_seed == ()
        assert three[score.metric].by_seed[0] == score.value


def test_an_arm_scores_the_mean_of_its_seeds(
    finished: graft.Result, paths: ExperimentPaths
) -> None:
    score = read_json(paths.run("standard").scores, ScoreBook).on(Split.test)["spearman"]
    frames = [pd.read_parquet(paths.run(name).predictions(Split.test)) for name in NAMES]
    values = [frame["score"].corr(frame["label"], method="spearman") for frame in frames]
    assert score.by_seed == pytest.approx(values)
    assert score.value == pytest.approx(np.mean(values))
    assert score.low is not None and score.low < score.value < score.high
    headline = finished.comparison.headline[0]
    assert (headline.seeds, headline.candidate_value) == (3, score.value)
    assert headline.p_mcnemar is None
    assert "in the mean of 3 seeds" in headline.reason


def test_every_seed_is_audited_and_the_report_shows_it(finished: graft.Result) -> None:
    assert finished.exit_code == 0
    for name in NAMES:
        found = {f.name: f.status for f in finished.findings.items if f.where == name}
        assert found["movement"] is Status.passed
        assert found["artefact_equivalence"] is Status.passed
        assert found["differs_from_other_arms"] is Status.passed
    page = finished.report.read_text(encoding="utf-8")
    for said in ("in the mean of 3 seeds", "Every seed of every arm", "seed 44", "42 to 44"):
        assert said in page
    card = (finished.folder / "standard" / "README.md").read_text(encoding="utf-8")
    assert "Trained 3 times, with the seeds 42 to 44. This model is that of the first, 42" in card


def test_nothing_is_trained_twice_and_a_lost_seed_is_trained_again(
    seeded: dict[str, Any], paths: ExperimentPaths, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    shutil.copytree(paths.root, root / "tiny")
    copy = ExperimentPaths(root / "tiny")
    before = {name: (copy.run(name).model / "model.safetensors").stat().st_mtime_ns
              for name in NAMES}  # fmt: skip
    wanted = sha256_file(copy.run(NAMES[1]).model / "model.safetensors")
    shutil.rmtree(copy.run(NAMES[1]).root)
    graft.run(seeded, root=root)
    after = {name: (copy.run(name).model / "model.safetensors").stat().st_mtime_ns
             for name in NAMES}  # fmt: skip
    assert [before[name] == after[name] for name in NAMES] == [True, False, True]
    assert sha256_file(copy.run(NAMES[1]).model / "model.safetensors") == wanted


def test_a_replicate_that_was_interrupted_is_taken_up_where_it_stopped(
    seeded: dict[str, Any],
    paths: ExperimentPaths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = open_experiment({**seeded, "seeds": 2}, root=tmp_path)
    rows = prepare_data(experiment)
    take = loop._Loop._take

    def die(self: Any, step: int) -> Any:
        if self.job.paths.name == "seed-43" and step == 12:
            raise KeyboardInterrupt
        return take(self, step)

    with monkeypatch.context() as broken:
        broken.setattr(loop._Loop, "_take", die)
        with pytest.raises(KeyboardInterrupt):
            train_arm(experiment, "standard", rows, frozenset())
    first = experiment.paths.run(NAMES[0])
    assert arm_is_trained(first)
    assert not arm_is_trained(experiment.paths.run(NAMES[1]))
    done = first.cost.stat().st_mtime_ns
    train_arm(experiment, "standard", rows, frozenset())
    assert first.cost.stat().st_mtime_ns == done
    again = experiment.paths.run(NAMES[1])
    assert read_json(again.ledger, Ledger).resumed_at == (9,)
    model = "model/model.safetensors"
    assert sha256_file(again.root / model) == sha256_file(paths.run(NAMES[1]).root / model)


def test_a_check_that_fails_in_one_replicate_fails_the_run(
    seeded: dict[str, Any], paths: ExperimentPaths, tmp_path: Path
) -> None:
    shutil.copytree(paths.root, tmp_path / "tiny")
    experiment = open_experiment(seeded, root=tmp_path)
    prepare_data(experiment)
    model = experiment.paths.run(NAMES[2]).model
    file = model / "model.safetensors"
    tensors = {name: value + np.float32(0.01) for name, value in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})
    write_manifest(model)
    result = finish(open_experiment(seeded, root=tmp_path))
    assert result.exit_code == 2
    assert {finding.where for finding in result.findings.blocking} == {NAMES[2]}


def test_the_results_file_holds_a_line_for_every_run_and_no_line_twice(
    seeded: dict[str, Any], finished: graft.Result, paths: ExperimentPaths
) -> None:
    lines = [json.loads(line) for line in paths.results.read_text().splitlines()]
    entries = read_json(paths.index, ExperimentIndex).runs
    assert [line["run"] for line in lines] == [entry.name for entry in entries]
    arm = next(line for line in lines if line["run"] == "standard")
    assert (arm["experiment"], arm["seeds"], arm["verdict"]) == ("tiny", [42, 43, 44], "better")
    assert len(arm["metrics"]["spearman"]["by_seed"]) == 3
    assert arm["metrics"]["spearman"]["low"] < arm["metrics"]["spearman"]["value"]
    assert arm["train_seconds"] > 0 and arm["findings_failed"] == []
    graft.run(seeded, root=finished.folder.parent)
    assert len(paths.results.read_text().splitlines()) == len(lines)


def test_a_tracker_is_told_of_every_seed(paths: ExperimentPaths) -> None:
    points = [p for p in seed_metrics(paths.run("standard")) if p.name.endswith("_test_spearman")]
    assert [point.step for point in points] == [0, 1, 2]
    assert list(seed_metrics(paths.run("base"))) == []
