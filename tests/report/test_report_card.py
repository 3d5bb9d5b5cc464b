from __future__ import annotations

import pytest
import yaml

from graft.core.errors import RunFolderError
from graft.core.layout import ExperimentPaths
from graft.report.card import write_card
from graft.report.evidence import read_evidence
from graft.report.usage import loading_code


@pytest.fixture
def card(folder):
    return write_card(folder, "lora").read_text(encoding="utf-8")


def test_the_front_matter_is_what_a_hub_reads(card):
    _, front, body = card.split("---\n", 2)
    meta = yaml.safe_load(front)
    assert meta["library_name"] == "sentence-transformers"
    assert meta["base_model"] == "demo/all-MiniLM-L6-v2"
    metrics = meta["model-index"][0]["results"][0]["metrics"]
    assert "spearman" in [metric["type"] for metric in metrics]
    assert body.lstrip().startswith("# LoRA, rank 8")


def test_the_card_tells_verdict_leakage_audits_and_training(card):
    for part in ("**Verdict: better.**", "206 clean rows", "failed, accepted", "73,728 of 22.8 M",
                 "train.jsonl", "torch", "Untouched base"):  # fmt: skip
        assert part in card


def test_hostile_texts_are_escaped(card):
    assert "<script>" not in card.split("---\n", 2)[2]


def test_the_code_parses_whatever_the_experiment_is_called(folder):
    evidence = read_evidence(folder)
    for arm in evidence.arms:
        compile(loading_code(evidence, arm), "card", "exec")


def test_a_baseline_has_no_card(folder):
    with pytest.raises(RunFolderError, match=r"'base'.*lora"):
        write_card(folder, "base")


def test_a_card_without_optional_files_says_what_is_unknown(folder):
    paths = ExperimentPaths(folder)
    for path in (
        paths.findings,
        paths.data_report,
        paths.run("lora").plan,
        paths.run("lora").scores,
    ):
        path.unlink()
    text = write_card(folder, "lora").read_text(encoding="utf-8")
    for part in ("Not run: nothing", "no data report", "no plan", "Not measured"):
        assert part in text
