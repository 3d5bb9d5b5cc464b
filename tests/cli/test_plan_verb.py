"""`graft plan`: the whole plan before anything is trained, and nothing on disk."""

from __future__ import annotations

import pytest
import yaml

from graft.cli.plan import sparkline


@pytest.fixture
def phased(recipe):
    """The recipe with a third arm that thaws a layer."""
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    groups = [
        {"name": "low", "patterns": ["encoder.layer.0"], "unfreeze_after": 1},
        {"name": "words", "patterns": ["embeddings"], "unfreeze_after": 0},
    ]
    content["arms"]["phased"] = {"title": "two phases", "freeze": groups}
    recipe.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return recipe


def test_the_plan_is_shown_and_nothing_is_written(graft, phased, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    answer = graft("plan", phased)
    assert answer.code == 0, answer.stderr
    assert sorted(tmp_path.rglob("*")) == before
    for said in (
        "tiny-encoder, folder: ",
        "Trainable: 512 of ",
        "method lora",
        "6 per epoch, 12 in all, 2 of them warm-up; schedule linear",
        "every LoRA matrix",
        "encoder.layer.0",
        "after epoch 1",
        "never",
        "Phase 1: epochs 2 to 2",
        "Rate of low: ▁",
        "Estimate: about ",
        "none applied",
        "largest micro-batch",
        "Largest safe micro-batch: ",
        "those of the recipe fit",
        "Given away by the training rows",
    ):
        assert said in answer.stdout, said


def test_the_document_holds_the_resolved_plan(graft, phased):
    answer = graft("plan", phased, "--json", "-q")
    assert answer.code == 0
    document = answer.document
    assert document["leaked_rows"] == 0
    assert {split["split"] for split in document["data"]["splits"]} == {
        "train", "validation", "test",
    }  # fmt: skip
    arm = document["arms"]["phased"]
    plan = arm["plan"]
    assert len(plan["rates"]["base"]) == plan["total_steps"] == 12
    assert [phase["steps"] for phase in plan["phases"]] == [6, 6]
    assert arm["patterns"]["low"] == ["encoder.layer.0"]
    names = {tensor["name"] for tensor in plan["tensors"] if tensor["group"] == "words"}
    assert names and all(name.startswith("embeddings.") for name in names)
    assert plan["trainable_parameters"] == sum(
        tensor["count"] for tensor in plan["tensors"] if tensor["joins"] is not None
    )


def test_the_estimate_adds_up(graft, recipe):
    arms = graft("plan", recipe, "--json", "-q").document["arms"]
    for arm in arms.values():
        cost, plan = arm["estimate"], arm["plan"]
        own = 4 * plan["trainable_parameters"]
        assert cost["gradient_bytes"] == own
        assert cost["optimizer_bytes"] == 2 * own
        assert cost["weight_bytes"] == 4 * plan["total_parameters"]
        assert cost["memory_bytes"] > cost["weight_bytes"] + cost["optimizer_bytes"]
        parts = ("step_seconds", "evaluation_seconds", "frozen_seconds")
        assert cost["seconds"] > sum(cost[part] for part in parts) > 0
        assert cost["max_tokens_per_micro_batch"] > 0
        assert cost["fits"]
        assert cost["measured_steps"] >= 1
        assert cost["precision"] == "fp32"
    assert arms["lora"]["estimate"]["optimizer_bytes"] < 8 * 1024


def test_an_impossible_plan_is_refused(graft, recipe):
    answer = graft("plan", recipe, "--set", "training.warmup_steps=1000")
    assert answer.code == 3
    assert "1000 warm-up steps" in answer.stderr


def test_a_run_of_another_recipe_is_no_hindrance(graft, recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("name: other\n", encoding="utf-8")
    assert graft("plan", recipe, "-q").code == 0


def test_sparklines():
    assert sparkline((0.0, 0.0)) == "▁▁"
    assert sparkline((1.0,)) == "█"
    assert len(sparkline(tuple(range(1000)))) == 40
    assert sparkline(tuple(range(1000)))[-1] == "█"


def test_several_seeds_multiply_the_estimate(graft, recipe):
    answer = graft("plan", recipe, "--set", "seeds=3")
    assert answer.code == 0, answer.stderr
    assert answer.stdout.count("Estimate: 3 seeds, one after another: about ") == 2
