"""Whole experiments on a tiny encoder: what is proved, and what must make a run fail."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

import graft
from graft.core.errors import DataError, ModelError, RunFolderError
from graft.core.files import read_json, sha256_file, write_manifest
from graft.core.findings import Findings, Status
from graft.core.layout import ExperimentPaths
from graft.core.tables import DataReport
from graft.core.verdicts import Verdict
from graft.runs.arms import train_arm
from graft.runs.baselines import run_baselines
from graft.runs.experiment import Experiment, open_experiment
from graft.runs.pipeline import finish, prepare_data
from graft.runs.stages import leaked_rows, read_rows

pytestmark = pytest.mark.slow

# What may differ between two runs of one recipe: times, memory, energy.
TIMES = {"seconds", "train_seconds", "predict_seconds", "peak_memory_bytes", "energy_joules"}


@pytest.fixture(scope="module")
def finished(tiny_recipe: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> graft.Result:
    return graft.run(tiny_recipe, root=tmp_path_factory.mktemp("first"))


def statuses(findings: Findings, where: str) -> dict[str, Status]:
    return {finding.name: finding.status for finding in findings.items if finding.where == where}


def test_both_arms_are_better_than_the_base_and_every_audit_passes(finished: graft.Result) -> None:
    assert finished.exit_code == 0
    assert finished.verdicts == {"standard": Verdict.better, "lora": Verdict.better}
    assert finished.report.is_file()
    assert not finished.findings.blocking
    found = statuses(finished.findings, "lora")
    assert found["merge_algebra"] is Status.passed
    assert statuses(finished.findings, "standard")["merge_algebra"] is Status.not_applicable


def test_the_artefact_loads_without_graft(finished: graft.Result) -> None:
    texts = ["red1 red2 red3", "blue1 blue2"]
    theirs = SentenceTransformer(str(finished.folder / "lora" / "model"), device="cpu")
    ours = graft.load(finished.folder / "lora")
    assert np.allclose(theirs.encode(texts), ours.encode(texts), atol=1e-6)


def test_a_damaged_artefact_is_not_loaded(finished: graft.Result, tmp_path: Path) -> None:
    copy = tmp_path / "arm"
    shutil.copytree(finished.folder / "standard", copy)
    with (copy / "model" / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x55")
    with pytest.raises(ModelError, match="differs from its hash"):
        graft.load(copy)


def test_the_same_recipe_twice_gives_the_same_files_but_for_times(
    finished: graft.Result, tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    second = graft.run(tiny_recipe, root=tmp_path)
    names = {p.relative_to(finished.folder) for p in finished.folder.rglob("*") if p.is_file()}
    assert names == {p.relative_to(second.folder) for p in second.folder.rglob("*") if p.is_file()}
    for name in sorted(names):
        first_file, second_file = finished.folder / name, second.folder / name
        if name.suffix in (".json", ".jsonl"):
            assert without_times(first_file) == without_times(second_file), name
        elif name.name not in ("MANIFEST.sha256", "report.html", "README.md"):
            assert sha256_file(first_file) == sha256_file(second_file), name


def without_times(path: Path) -> Any:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in TIMES}
        return [strip(item) for item in value] if isinstance(value, list) else value

    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return [strip(json.loads(line)) for line in lines]


def test_a_finished_run_is_taken_up_without_training_again(
    tiny_recipe: dict[str, Any], finished: graft.Result
) -> None:
    model = finished.folder / "lora" / "model" / "model.safetensors"
    before = model.stat().st_mtime_ns
    again = graft.run(tiny_recipe, root=finished.folder.parent)
    assert again.exit_code == 0
    assert model.stat().st_mtime_ns == before


def test_another_recipe_or_other_rows_in_the_same_folder_are_refused(
    tiny_recipe: dict[str, Any], finished: graft.Result, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    shutil.copytree(finished.folder, root / "tiny")
    with pytest.raises(RunFolderError, match="made by another recipe"):
        graft.run(tiny_recipe, ["seed=1"], root=root)
    prints = root / "tiny" / "data" / "fingerprints.json"
    prints.write_text(prints.read_text().replace('"train": "', '"train": "0'))
    with pytest.raises(RunFolderError, match="the data changed in train"):
        graft.run(tiny_recipe, root=root)


def trained(tiny_recipe: dict[str, Any], root: Path) -> Experiment:
    recipe = {**tiny_recipe, "arms": {"lora": tiny_recipe["arms"]["lora"]}}
    experiment = open_experiment(recipe, root=root)
    rows = prepare_data(experiment)
    run_baselines(experiment, rows, leaked_rows(experiment), experiment.recipe.baselines)
    train_arm(experiment, "lora", read_rows(experiment), leaked_rows(experiment))
    return experiment


def zero_the_adapter(experiment: Experiment) -> Path:
    folder = experiment.paths.run("lora").adapter
    path = folder / "adapter_model.safetensors"
    save_file({name: np.zeros_like(value) for name, value in load_file(path).items()}, path)
    return folder


def never_merge(experiment: Experiment) -> Path:
    folder = experiment.paths.run("lora").model
    shutil.copy(experiment.base().folder / "model.safetensors", folder / "model.safetensors")
    return folder


def merge_twice(experiment: Experiment) -> Path:
    folder = experiment.paths.run("lora").model
    base = load_file(experiment.base().folder / "model.safetensors")
    merged = load_file(folder / "model.safetensors")
    twice = {name: 2 * value - base[name] for name, value in merged.items()}
    save_file(twice, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def lose_the_tokenizer_case(experiment: Experiment) -> Path:
    folder = experiment.paths.run("lora").model
    path = folder / "1_Pooling" / "config.json"
    config = json.loads(path.read_text())
    config["pooling_mode"] = "cls"
    path.write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("sabotage", "caught_by"),
    [
        (zero_the_adapter, {"adapter_equivalence", "merge_algebra"}),
        (never_merge, {"artefact_equivalence", "differs_from_base", "merge_algebra"}),
        (merge_twice, {"artefact_equivalence", "merge_algebra"}),
        (lose_the_tokenizer_case, {"artefact_equivalence"}),
    ],
)
def test_an_artefact_that_is_not_the_trained_model_fails_the_run(
    sabotage: Callable[[Experiment], Path],
    caught_by: set[str],
    tiny_recipe: dict[str, Any],
    tmp_path: Path,
) -> None:
    experiment = trained(tiny_recipe, tmp_path)
    write_manifest(sabotage(experiment))
    result = finish(experiment)
    found = statuses(result.findings, "lora")
    assert result.exit_code == 2
    assert caught_by <= {name for name, status in found.items() if status is Status.failed}


def test_rows_in_memory_give_what_the_same_files_give(
    tiny_recipe: dict[str, Any], pair_files: tuple[Path, Path], tmp_path: Path
) -> None:
    data = {"columns": {"label": "label"}, "slices": ["kind"]}
    recipe = {**tiny_recipe, "data": data, "arms": {"standard": {}}, "baselines": ["base"]}
    frames = dict(zip(("train", "test"), map(read_rows_of, pair_files), strict=True))
    before = {name: frame.copy() for name, frame in frames.items()}
    result = graft.run(recipe, root=tmp_path, frames=frames)
    assert result.verdicts == {"standard": Verdict.better}
    assert all(frame.equals(before[name]) for name, frame in frames.items())
    with pytest.raises(DataError, match="give 'train'"):
        graft.run(recipe, root=tmp_path / "b", frames={"test": frames["test"]})


def read_rows_of(path: Path) -> pd.DataFrame:
    return pd.read_json(path, lines=True)


def test_a_gate_that_is_missed_fails_the_run(
    tiny_recipe: dict[str, Any], tmp_path: Path, finished: graft.Result
) -> None:
    root = tmp_path / "runs"
    gates = [{"run": "lora", "metric": "spearman", "minimum": 0.9999}]
    del finished
    result = graft.run({**tiny_recipe, "gates": gates}, root=root)
    assert result.exit_code == 2
    assert not result.findings.blocking


def test_leakage_fails_the_run_until_it_is_accepted_and_is_never_called_passed(
    tiny_recipe: dict[str, Any], pair_files: tuple[Path, Path], tmp_path: Path
) -> None:
    train, test = pair_files
    leaky = tmp_path / "leaky.jsonl"
    leaky.write_text(train.read_text() + "".join(test.read_text().splitlines(keepends=True)[:12]))
    data = {**tiny_recipe["data"], "train": str(leaky)}
    recipe = {**tiny_recipe, "data": data, "arms": {"standard": {}}}
    refused = graft.run(recipe, root=tmp_path / "a")
    assert refused.exit_code == 2
    assert {finding.name for finding in refused.findings.blocking} == {"leakage"}
    accepted = graft.run({**recipe, "accept": {"leakage": "a test"}}, root=tmp_path / "b")
    assert accepted.exit_code == 0
    leakage = [f for f in accepted.findings.items if f.name == "leakage" and f.accepted]
    assert [finding.status for finding in leakage] == [Status.failed]
    headline = accepted.comparison.headline[0]
    report = read_json(ExperimentPaths(accepted.folder).data_report, DataReport)
    clean = next(part.clean_rows for part in report.leakage if part.split == "test")
    assert (headline.subset, headline.n) == ("clean", clean)
    assert 48 <= clean < 60  # some of the twelve rows went to validation


def test_shuffled_labels_and_a_random_base_show_that_the_gain_is_learned(
    tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    arms = {"standard": {}, "shuffled": {"control": "shuffled_labels"}}
    result = graft.run({**tiny_recipe, "arms": arms}, root=tmp_path)
    values = {row.candidate: row.candidate_value for row in result.comparison.headline}
    assert result.verdicts["standard"] is Verdict.better
    assert result.verdicts["shuffled"] is not Verdict.better
    assert values["standard"] > values["shuffled"] + 0.3
