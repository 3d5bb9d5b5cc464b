"""The stage that explains: which runs are asked, once, and what lies in their folders."""

from __future__ import annotations

import pandas as pd
import pytest

import graft
from faults.graft_runs import in_this_process
from graft.core.files import read_json
from graft.core.layout import ExperimentPaths
from graft.core.reasons import Reasons
from graft.runs.experiment import find_experiment
from graft.runs.reasons import explain_runs
from tiny_models import colour_rows

pytestmark = pytest.mark.slow

COLOURS = ("red", "blue", "green")


def recipe(encoder, **more):
    return {
        "name": "why",
        "task": "classification",
        "base": {"model": str(encoder)},
        "data": {"train": "memory", "texts": ["title", "note"], "table": ["size", "shop"]},
        "evaluation": {"clusters": False, "bootstrap_resamples": 100},
        "baselines": ["base", "table", "tfidf_table"],
        "training": {"learning_rate": 3e-3, "num_train_epochs": 6, "precision": "fp32"},
        "arms": {"tuned": {}, "shuffled": {"control": "shuffled_labels"}},
        **more,
    }


@pytest.fixture(autouse=True)
def one_process():
    with in_this_process():
        yield


@pytest.fixture(scope="module")
def rows() -> dict[str, pd.DataFrame]:
    return {
        split: colour_rows(count, seed, 3)
        .drop(columns="row")
        .assign(label=lambda frame: [COLOURS[int(k)] for k in frame["label"]])
        for split, count, seed in (("train", 150, 1), ("test", 90, 2))
    }


def explained(paths: ExperimentPaths) -> dict[str, Reasons]:
    files = sorted(paths.root.glob("*/reasons.json"))
    return {file.parent.name: read_json(file, Reasons) for file in files}


def test_a_fusion_is_asked_for_its_columns_and_an_arm_for_its_words(colour_encoder, rows, tmp_path):
    fusion = {"mean": {"arm": "tuned", "members": ["table"], "method": "average"}}
    result = graft.run(recipe(colour_encoder, fusion=fusion), root=tmp_path, frames=rows)
    found = explained(ExperimentPaths(result.folder))
    assert set(found) == {"tuned", "mean"}  # no control
    assert found["tuned"].importance is None and len(found["tuned"].rows) >= 8
    columns = {item.column: item for item in found["mean"].importance.columns}
    assert set(columns) == {"title", "note", "size", "shop"}
    # The note alone tells the colour; the title says nothing of it.
    assert columns["note"].low > 0 and columns["title"].low <= 0
    words = [word for row in found["tuned"].rows if row.right for word in row.words]
    of_note = sum(word.effect for word in words if word.column == "note")
    assert of_note > sum(word.effect for word in words if word.column == "title")

    file = ExperimentPaths(result.folder).run("mean").reasons
    before = file.stat().st_mtime_ns
    explain_runs(find_experiment(result.folder))
    assert file.stat().st_mtime_ns == before
    assert "It decides most by" in result.report.read_text("utf-8")


def test_without_a_fusion_the_best_baseline_of_the_table_is_asked(colour_encoder, rows, tmp_path):
    arms = {"tuned": {}}
    result = graft.run(recipe(colour_encoder, arms=arms), root=tmp_path, frames=rows)
    found = explained(ExperimentPaths(result.folder))
    assert set(found) == {"tuned", "tfidf_table"}
    assert found["tfidf_table"].importance and not found["tfidf_table"].rows


def test_an_arm_that_reads_the_table_is_asked_itself(colour_encoder, rows, tmp_path):
    arms = {"wide": {"classifier": {"table": True}}}
    evaluation = {"clusters": False, "bootstrap_resamples": 100}
    result = graft.run(
        recipe(colour_encoder, arms=arms, evaluation=evaluation), root=tmp_path, frames=rows
    )
    (found,) = explained(ExperimentPaths(result.folder)).values()
    assert found.rows and {item.kind for item in found.importance.columns} == {
        "text",
        "number",
        "category",
    }


def test_a_recipe_can_leave_them_out(colour_encoder, rows, tmp_path):
    off = {"clusters": False, "bootstrap_resamples": 100, "reasons": False}
    result = graft.run(
        recipe(colour_encoder, arms={"tuned": {}}, evaluation=off), root=tmp_path, frames=rows
    )
    assert not explained(ExperimentPaths(result.folder))
