"""`graft run` and every stage by itself, on a tiny encoder: what is written, said and returned."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from graft.core.files import manifest_problems
from graft.core.findings import Status

pytestmark = pytest.mark.slow
NO_TORCH = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "sentence_transformers", "peft"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Block())
"""


@pytest.fixture
def answer(finished):
    """The JSON document that `graft run --json` gave."""
    return json.loads((finished / "answer.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(finished):
    return finished / "runs" / "tiny"


def test_the_document_says_what_came_of_it(answer, folder):
    assert answer["experiment"] == "tiny"
    assert set(answer["verdicts"]) == {"standard", "lora"}
    assert set(answer["verdicts"].values()) <= {"better", "worse", "not_shown", "not_measured"}
    assert {"majority", "tfidf", "base", "frozen_probe"} < set(answer["scores"])
    spearman = answer["scores"]["lora"]["test/all"]["spearman"]
    assert spearman["low"] <= spearman["value"] <= spearman["high"]
    assert (folder / "report.html").samefile(answer["report"])
    blocking = [
        finding
        for finding in answer["findings"]
        if finding["status"] in (Status.failed, Status.error, Status.not_run)
    ]
    assert answer["exit_code"] == (2 if blocking else 0)
    assert bool(answer["failures"]) == bool(blocking)


def test_the_artefact_equals_what_was_trained(answer):
    statuses = {(f["name"], f["where"]): f["status"] for f in answer["findings"]}
    for arm in ("standard", "lora"):
        assert statuses["artefact_equivalence", arm] == Status.passed
        assert statuses["differs_from_base", arm] == Status.passed


def test_running_again_trains_nothing(graft, finished, folder, answer):
    ledger = folder / "lora" / "ledger.json"
    before = ledger.stat().st_mtime_ns
    again = graft("run", finished / "recipe.yaml", "--runs", finished / "runs", "-q")
    assert again.code == answer["exit_code"]
    assert ledger.stat().st_mtime_ns == before
    for said in ("Test rows, with 95 % intervals", "lora (LoRA", "Findings: ", "Report: "):
        assert said in again.stdout


def test_stdout_of_a_process_is_one_document(graft_process, finished, answer):
    words = ("run", finished / "recipe.yaml", "--runs", finished / "runs", "--json")
    again = graft_process(*words)
    assert again.code == answer["exit_code"]
    assert again.document == answer
    assert "Traceback" not in again.stderr


def test_another_recipe_does_not_take_the_folder(graft, finished):
    words = ("--runs", finished / "runs", "--set", "seed=43")
    answer = graft("run", finished / "recipe.yaml", *words)
    assert answer.code == 3
    assert "--restart" in answer.stderr


def test_the_stages_one_by_one_give_the_run(graft, finished, answer, tmp_path):
    recipe, runs = finished / "recipe.yaml", ("--runs", tmp_path / "runs", "--json", "-q")
    assert graft("train", recipe, "--arm", "standard", *runs).code == 0
    early = graft("evaluate", recipe, *runs)
    assert early.code == 3
    assert "graft train" in early.stderr
    base = graft("baseline", recipe, *runs).document["scores"]["base"]
    assert base == answer["scores"]["base"]
    trained = graft("train", recipe, "--mode", "lora", *runs).document["arms"]["lora"]
    assert trained["executed_steps"] == trained["planned_steps"] == 12
    assert trained["trainable_parameters"] == 512
    scores = graft("evaluate", recipe, "--mode", "all", *runs).document["scores"]
    assert scores["lora"] == answer["scores"]["lora"]
    compared = graft("compare", recipe, *runs)
    assert compared.code == 0
    assert compared.document["comparison"] == answer["comparison"]
    audited = graft("audit", tmp_path / "runs" / "tiny", "--json", "-q")
    assert audited.code == answer["exit_code"]
    assert graft("report", recipe, *runs).code == 0
    assert (tmp_path / "runs" / "tiny" / "report.html").is_file()


def test_a_missed_gate_is_2(graft, finished, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(finished / "runs", runs)
    recipe = runs / "tiny" / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8")
    gate = "gates:\n- run: lora\n  metric: spearman\n  minimum: 0.999\n  maximum: null\n"
    recipe.write_text(text.replace("gates: []\n", gate), encoding="utf-8")
    answer = graft("compare", runs / "tiny")
    assert answer.code == 2
    assert "missed " in answer.stdout


def test_settings_cannot_change_a_run_that_is_there(graft, folder):
    answer = graft("audit", folder, "--set", "seed=1")
    assert answer.code == 3


def test_report_works_without_torch(graft_process, finished, tmp_path):
    root = tmp_path / "tiny"
    shutil.copytree(finished / "runs" / "tiny", root)
    before = (root / "report.html").read_bytes()
    (root / "report.html").unlink()
    answer = graft_process("report", root, "--json", before=NO_TORCH)
    assert answer.code == 0, answer.stderr
    assert (root / "report.html").samefile(answer.document["report"])
    assert (root / "report.html").read_bytes() == before
    assert manifest_problems(root / "lora") == []


def test_report_on_what_is_no_run_is_3(graft, tmp_path):
    answer = graft("report", tmp_path)
    assert answer.code == 3
    assert "experiment.json" in answer.stderr


def test_one_arm_alone_goes_where_it_is_told(graft, finished, tmp_path):
    target = tmp_path / "mine"
    words = ("train", finished / "recipe.yaml", "--arm", "lora", "--runs", finished / "runs", "-q")
    assert graft(*words, "--output", target).code == 0
    assert manifest_problems(target) == []
    for name in ("model/modules.json", "adapter/adapter_config.json", "plan.json", "ledger.json"):
        assert (target / name).is_file()
    assert graft(*words, "--output", target).code == 0  # its own folder is replaced
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine", encoding="utf-8")
    assert graft(*words, "--output", tmp_path / "other").code == 3
    assert graft(*words[:2], "--runs", finished / "runs", "--output", target).code == 3


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_predict_scores_as_the_run_did(graft, finished, folder, tmp_path, ending):
    rows = pd.read_json(finished / "test.jsonl", lines=True).drop(columns="label")
    source, target = tmp_path / "in.csv", tmp_path / f"out.{ending}"
    rows.rename(columns={"text_1": "left"}).to_csv(source, index=False)
    columns = ("--columns", "sentence1=left")
    answer = graft("predict", folder / "lora", source, target, *columns, "--json", "-q")
    assert answer.code == 0, answer.stderr
    read = {"jsonl": lambda p: pd.read_json(p, lines=True), "csv": pd.read_csv}
    written = read.get(ending, pd.read_parquet)(target)
    kept = pd.read_parquet(folder / "lora" / "predictions" / "test.parquet")
    assert written["predicted_score"].to_list() == pytest.approx(kept["score"].to_list(), abs=1e-5)
    assert (written["decision"] == (kept["score"] >= kept["threshold"])).mean() > 0.95
    assert answer.document["predicted"]["threshold"] == kept["threshold"].iloc[0]


def test_predict_refuses_what_it_cannot_use(graft, finished, folder, tmp_path):
    good, model = finished / "test.jsonl", folder / "lora"
    for words, said in (
        ((model, good, tmp_path / "out.txt"), "unknown ending"),
        ((model, good, good), "is the input too"),
        ((model, tmp_path / "none.csv", tmp_path / "o.csv"), "does not exist"),
        ((tmp_path, good, tmp_path / "o.csv"), "holds no model"),
        ((model, good, tmp_path / "o.csv", "--columns", "sentence1"), "is not role=column"),
        ((model, good, tmp_path / "o.csv", "--columns", "sentence1=x"), "has no column 'x'"),
    ):
        answer = graft("predict", *words)
        assert answer.code == 3, said
        assert said in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_predict_names_bad_rows_and_writes_nothing(graft, folder, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text1": "a", "text2": "b"}\n{"text1": null, "text2": "b"}\n', "utf-8")
    answer = graft("predict", folder / "lora", source, tmp_path / "out.csv")
    assert answer.code == 3
    assert "in.jsonl row 2" in answer.stderr
    assert not (tmp_path / "out.csv").exists()


def test_verify_frozen_on_the_arms(graft, folder, tiny_encoder):
    model = folder / "lora" / "model"
    adapted = "encoder.layer.*.attention.self.query.weight"
    expected = ("--expect-updated", adapted, "--expect-frozen", "embeddings")
    assert graft("verify-frozen", tiny_encoder, model, *expected).code == 0
    assert graft("verify-frozen", tiny_encoder, folder / "lora" / "adapter").code == 3
