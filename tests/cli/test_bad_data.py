"""Data that cannot be used: file and row named, exit 3, nothing half-written."""

from __future__ import annotations

import gzip
import json

import pytest

GOOD = [
    {"text_1": f"I love {i} cats", "text_2": f"I hate {i} dogs", "label": i % 2} for i in range(30)
]


def lines(*changed):
    """Good rows, with row 3 (and so on) replaced by the given lines."""
    rows = [json.dumps(row) for row in GOOD]
    rows[2 : 2 + len(changed)] = changed
    return "".join(f"{row}\n" for row in rows)


def row(**changes):
    return json.dumps({"text_1": "a", "text_2": "b", "label": 1, **changes})


CASES = {
    "broken line": (lines('{"text_1": "a", '), ["train.jsonl row 3", "is not JSON"]),
    "missing column": (
        "".join(json.dumps({"text_1": "a", "other": "b", "label": 1}) + "\n" for _ in range(5)),
        ["train.jsonl", "has no column 'text_2'"],
    ),
    "label is a word": (lines(row(label="yes")), ["train.jsonl row 3", "label is 'yes'"]),
    "label is NaN": (lines(row(label=float("nan"))), ["train.jsonl row 3", "label is nan"]),
    "text is NaN": (lines(row(text_1=float("nan"))), ["train.jsonl row 3", "text_1|sentence1"]),
    "label outside": (lines(row(label=7)), ["train.jsonl row 3", "outside 0..1"]),
    "empty text": (lines(row(text_2="  ")), ["train.jsonl row 3", "is empty"]),
    "mixed encodings": (
        lines().encode() + '{"text_1": "café", "text_2": "b", "label": 1}\n'.encode("latin-1"),
        ["train.jsonl row 31", "is not UTF-8"],
    ),
    "empty file": ("", ["train.jsonl", "is empty"]),
    "10 MB in one cell": (
        lines(row(text_1="x" * 10_000_000)),
        ["train.jsonl row 3", "holds 10,000,000 bytes"],
    ),
    "binary file": (bytes(range(256)) * 20, ["train.jsonl", "is not text"]),
}


@pytest.fixture
def folder(tmp_path, recipe):
    (tmp_path / "test.jsonl").write_text(lines(), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("verb", ["run", "data check"])
def test_bad_data_is_named(graft, folder, recipe, case, verb):
    content, said = CASES[case]
    content = content.encode() if isinstance(content, str) else content
    (folder / "train.jsonl").write_bytes(content)
    before = sorted(folder.rglob("*"))
    runs = ["--runs", folder / "runs"] if verb == "run" else []
    answer = graft(*verb.split(), recipe, "--set", "data.slices=[]", *runs)
    assert answer.code == 3, answer.stderr
    for part in said:
        assert any(word in answer.stderr for word in part.split("|")), answer.stderr
    assert "Fix:" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not answer.stdout
    assert len(answer.stderr) < 3000  # no cell is poured over the terminal
    assert sorted(folder.rglob("*")) == before


def test_all_problems_of_all_files_are_told(graft, folder, recipe):
    bad = lines(row(label="yes"), '{"text_1": ')
    for name in ("train", "test"):
        (folder / f"{name}.jsonl").write_text(bad, encoding="utf-8")
    answer = graft("data", "check", recipe, "--set", "data.slices=[]", "--json")
    places = [problem["where"] for problem in answer.document["error"]["problems"]]
    assert {"train.jsonl", "test.jsonl"} <= {place.split()[0] for place in places}
    assert answer.code == 3


def test_a_file_that_is_not_there_says_where_it_looked(graft, folder, recipe):
    answer = graft("data", "check", recipe, "--set", "data.train=none.jsonl")
    assert answer.code == 3
    assert str(folder / "none.jsonl") in answer.stderr


def test_a_truncated_gzip_is_refused(graft, folder, recipe):
    packed = gzip.compress(lines().encode())
    (folder / "train.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    answer = graft("data", "check", recipe, "--set", "data.train=train.jsonl.gz")
    assert answer.code == 3
    assert "train.jsonl.gz" in answer.stderr


def test_bad_rows_can_be_left_out(graft, folder, recipe):
    (folder / "train.jsonl").write_text(lines(row(label="yes")), encoding="utf-8")
    drop = ("--set", "data.on_bad_rows=drop", "--set", "data.slices=[]")
    answer = graft("data", "check", recipe, *drop)
    assert answer.code != 3, answer.stderr
    assert "1 row left out" in answer.stdout
