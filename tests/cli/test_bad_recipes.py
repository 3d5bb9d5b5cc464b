"""A recipe with mistakes: every one told at once, with its line; exit 3; nothing written."""

from __future__ import annotations

import pytest

MISTAKES = """\
name: bad name!
data:
  train: train.jsonl
  splitt: {}
training:
  num_train_epochs: many
  lr_scheduler_type: cosin
arms:
  lora: {method: lora, lora: {r: 0}}
"""
LINES = (
    ("line 1, name", "received 'bad name!'", "pattern"),
    ("line 4, data.splitt", "unknown key 'splitt'", "did you mean 'split'"),
    ("line 6, training.num_train_epochs", "received 'many'", "integer"),
    ("line 7, training.lr_scheduler_type", "received 'cosin'", "'cosine'"),
    ("line 9, arms.lora.lora.r", "received 0", "greater than or equal to 1"),
)


@pytest.mark.parametrize("verb", ["run", "plan", "data check", "train", "report"])
def test_five_mistakes_give_five_lines(graft, tmp_path, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "r.yaml"
    path.write_text(MISTAKES, encoding="utf-8")
    answer = graft(*verb.split(), path)
    assert answer.code == 3
    told = [line for line in answer.stderr.splitlines() if line.startswith("  - ")]
    assert len(told) == 5
    for parts in LINES:
        assert any(all(part in line for part in parts) for line in told), parts
    assert [file.name for file in tmp_path.iterdir()] == ["r.yaml"]


def test_they_are_a_document_too(graft, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(MISTAKES, encoding="utf-8")
    problems = graft("run", path, "--json").document["error"]["problems"]
    assert len(problems) == 5
    assert all(problem["fix"] for problem in problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no keys"),
        ("name: [unclosed", "is not YAML"),
        ("name: x\nname: y\n", "stands twice"),
        ("- a\n- b\n", "holds no keys"),
    ],
)
def test_what_is_no_recipe_is_refused(graft, tmp_path, text, said):
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    answer = graft("run", path)
    assert (answer.code, said in answer.stderr) == (3, True)


def test_a_setting_that_is_wrong_is_named(graft, recipe):
    answer = graft("plan", recipe, "--set", "training.lerning_rate=1", "--set", "nothing")
    assert answer.code == 3
    assert "--set nothing" in answer.stderr
    answer = graft("plan", recipe, "--set", "training.lerning_rate=1")
    assert answer.code == 3
    assert "did you mean 'learning_rate'" in answer.stderr
