"""`graft pretrain`: its answer, its exit codes, and a plan that says what comes first."""

from __future__ import annotations

import pytest
import yaml

from faults.pretraining_faults import RECIPE, TRAINING, labelled, write_rows
from series_models import sine_rows

pytestmark = pytest.mark.slow


@pytest.fixture
def series_recipe(tmp_path):
    """A recipe that pretrains on a file of windows for a moment."""
    write_rows(labelled(), tmp_path / "train.parquet")
    write_rows(sine_rows(120, 2), tmp_path / "windows.parquet")
    training = {**TRAINING, "num_train_epochs": 2}
    plain = {
        **RECIPE,
        "data": {"train": "train.parquet"},
        "pretrain": {"unlabelled": "windows.parquet", "training": training},
    }
    file = tmp_path / "r.yaml"
    file.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    return file


def test_it_answers_with_what_was_learned(graft, series_recipe, tmp_path):
    answer = graft("pretrain", series_recipe, "--runs", tmp_path / "runs", "--json", "-q")
    document = answer.document
    assert answer.code == document["exit_code"]
    assert document["executed_steps"] == document["planned_steps"] == 14
    assert document["headline"].startswith(("It learned", "It did not"))
    assert {finding["where"] for finding in document["findings"]} == {"pretraining"}
    blocked = [f["name"] for f in document["findings"] if f["status"] in ("failed", "not_run")]
    assert (answer.code == 2) == bool(blocked)
    assert set(blocked) <= {"learned"}
    shown = graft("pretrain", series_recipe, "--runs", tmp_path / "runs")
    assert document["headline"] in shown.stdout
    assert "Report: " in shown.stdout


def test_without_a_section_it_says_what_to_add(graft, recipe):
    answer = graft("pretrain", recipe)
    assert answer.code == 3
    assert "add `pretrain: {}`" in answer.stderr


def test_a_plan_says_what_comes_first_and_a_check_reads_the_rows(
    graft, series_recipe, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    answer = graft("plan", series_recipe)
    assert answer.code == 0, answer.stderr
    for said in (
        "Pretraining of the base (masked series), before the arms",
        "108 to learn from, 12 held out",
        "reconstruction (1); mask block, masked share 0.3, mask length 8",
        "7 per epoch, 14 in all",
        "Base: encoder, made by the experiment",
    ):
        assert said in answer.stdout, said
    assert graft("data", "check", series_recipe).code == 0
    assert sorted(tmp_path.rglob("*")) == before
