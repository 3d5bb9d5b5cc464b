from __future__ import annotations

import json
from pathlib import Path

import pytest

from graft.core.errors import RunFolderError
from graft.core.files import (
    MANIFEST,
    append_durably,
    append_jsonl,
    committed_folder,
    manifest_problems,
    read_json,
    read_jsonl,
    write_text,
)
from graft.core.findings import Findings


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with pytest.raises(KeyError), committed_folder(target) as folder:
        (folder / "half.bin").write_bytes(b"half")
        raise KeyError("the writer died")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with committed_folder(target) as folder:
        (folder / "weights").write_text("old")
    with pytest.raises(KeyError), committed_folder(target) as folder:
        raise KeyError("the writer died")
    assert (target / "weights").read_text() == "old"
    assert manifest_problems(target) == []


@pytest.mark.parametrize("damage", ["flip", "remove", "no manifest"])
def test_damage_is_found(tmp_path: Path, damage: str) -> None:
    target = tmp_path / "model"
    with committed_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "weights").write_bytes(b"\x00\x01")
    assert manifest_problems(target) == []
    if damage == "flip":
        (target / "sub" / "weights").write_bytes(b"\x00\x03")
    elif damage == "remove":
        (target / "sub" / "weights").unlink()
    else:
        (target / MANIFEST).unlink()
    assert len(manifest_problems(target)) == 1


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append_jsonl(path, {"step": 1})
    with path.open("a") as stream:
        stream.write('{"step": 2')
    assert read_jsonl(path) == [{"step": 1}]


def test_a_missing_or_broken_result_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "findings.json"
    with pytest.raises(RunFolderError, match=r"findings\.json: the file is missing"):
        read_json(path, Findings)
    write_text(path, "{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        read_json(path, Findings)


def test_a_line_that_was_torn_takes_no_later_record_with_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    append_durably(path, {"run": "a"})
    with path.open("a") as stream:
        stream.write('{"run": "b", "met')
    append_durably(path, {"run": "ç"})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in (lines[0], lines[2])] == [{"run": "a"}, {"run": "ç"}]
    assert len(lines) == 3
