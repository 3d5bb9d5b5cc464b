"""`graft data`: what is said, what is written, and when the exit code is 2."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from graft.data.readers import read_table


@pytest.fixture
def leaky(recipe):
    """The recipe, with three test rows in the training file."""
    folder = recipe.parent
    stolen = (folder / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:3]
    with (folder / "train.jsonl").open("a", encoding="utf-8") as stream:
        stream.writelines(stolen)
    return recipe


def test_clean_rows_pass(graft, recipe, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    answer = graft("data", "check", recipe)
    assert answer.code == 0, answer.stderr
    assert "Not read: pair_type" in answer.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_leaked_rows_fail_unless_accepted(graft, leaky):
    # Without validation rows: they would take some of the stolen rows out of training.
    whole = ("--set", "data.split.validation=0")
    answer = graft("data", "check", leaky, "--json", *whole)
    assert answer.code == answer.document["exit_code"] == 2
    report = {leak["split"]: leak for leak in answer.document["data"]["leakage"]}["test"]
    assert report["exact"] == len(report["leaked"]) == 3
    assert report["clean_rows"] == 37
    accepted = graft("data", "check", leaky, *whole, "--set", "accept.leakage=we know")
    assert accepted.code == 0
    assert "failed, accepted" in accepted.stdout
    assert "Accepted: we know." in accepted.stdout


def test_tokens_are_counted(graft, recipe):
    splits = graft("data", "check", recipe, "--json").document["data"]["splits"]
    for split in splits:
        for text in split["lengths"]:
            assert 3 <= text["tokens_max"] <= text["limit"] == 64


def test_splits_are_written_under_their_own_names(graft, leaky, tmp_path):
    folder = tmp_path / "out"
    answer = graft("data", "split", leaky, "--output", folder, "--json")
    assert answer.code == 0, answer.stderr
    assert answer.document["rows"]["test.jsonl"] == 40
    assert sum(answer.document["rows"].values()) == 103
    frames = {name: read_table(folder / name).frame for name in answer.document["rows"]}
    for frame in frames.values():
        assert list(frame.columns) == ["text_1", "text_2", "label", "category"]
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["columns"]["sentence1"] == "text_1"
    before = pd.read_json(leaky.parent / "test.jsonl", lines=True)
    assert frames["test.jsonl"]["text_1"].tolist() == before["text_1"].tolist()


def test_a_repaired_split_leaks_nothing(graft, leaky, tmp_path):
    folder = tmp_path / "out"
    answer = graft("data", "split", leaky, "--output", folder, "--repair", "--json")
    assert answer.document["removed"] >= 1
    assert all(not leak["leaked"] for leak in answer.document["data"]["leakage"])
    files = [("train", "train"), ("validation", "validation"), ("test", "test")]
    settings = [
        word for key, name in files for word in ("--set", f"data.{key}={folder}/{name}.jsonl")
    ]
    assert graft("data", "check", leaky, *settings).code == 0


def test_a_folder_that_holds_something_is_not_touched(graft, recipe, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine", encoding="utf-8")
    answer = graft("data", "split", recipe, "--output", folder)
    assert answer.code == 3
    assert [file.name for file in folder.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("compatibility", "train.jsonl"),
        ("match", "train.csv"),
        pytest.param("regime", "train.parquet", marks=pytest.mark.slow),
    ],
)
def test_the_same_seed_generates_the_same_rows(kind, file, graft, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        answer = graft("data", "generate", kind, tmp_path / name, "--seed", seed)
        assert answer.code == 0
    one, same, other = ((tmp_path / name / file).read_bytes() for name in "abc")
    assert one == same != other
    assert (tmp_path / "a" / "TRUTH.md").is_file()
