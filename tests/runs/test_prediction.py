"""`graft predict` in parts: the same file as at once, whole or absent, in bounded memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sentence_transformers import SentenceTransformer

from graft.core.errors import InputError
from graft.core.files import committed_folder
from graft.runs import prediction, scorers
from graft.runs.prediction import predict_file
from graft.tasks.pairs import PairsTask
from tiny_models import colour_pairs, write_jsonl

READ = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".jsonl": lambda path: pd.read_json(path, lines=True),
}


@pytest.fixture(scope="module")
def model(colour_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    with committed_folder(folder) as empty:
        shutil.copytree(colour_encoder, empty, dirs_exist_ok=True)
    return folder


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "PART", 7)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("target", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("source", [".parquet", ".csv", ".jsonl", ".json"])
def test_rows_come_back_in_order_with_their_scores(
    model: Path, tmp_path: Path, source: str, target: str
) -> None:
    rows = colour_pairs(30, 1).assign(number=range(30), half=np.arange(30) / 2)
    file = tmp_path / f"in{source}"
    {
        ".parquet": lambda: rows.to_parquet(file),
        ".csv": lambda: rows.to_csv(file, index=False),
        ".jsonl": lambda: write_jsonl(rows, file),
        ".json": lambda: file.write_text(json.dumps(rows.to_dict("records"))),
    }[source]()
    done = predict_file(model, file, tmp_path / f"out{target}", {})
    assert (done.rows, done.threshold) == (30, None)
    written = READ[target](tmp_path / f"out{target}")
    assert list(written.columns) == [*rows.columns, "predicted_score"]
    served = PairsTask().encode_rows(SentenceTransformer(str(model), device="cpu"), rows)["score"]
    np.testing.assert_allclose(written["predicted_score"], served, atol=2e-6)
    same = written[list(rows.columns)].astype(rows.dtypes.to_dict())
    pd.testing.assert_frame_equal(same, rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, f"out{target}"]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("target", [".parquet", ".csv", ".jsonl"])
def test_columns_and_kinds_that_come_late_are_there(
    model: Path, tmp_path: Path, target: str
) -> None:
    rows = colour_pairs(20, 1).to_dict("records")
    for index, row in enumerate(rows):
        row.update({"size": index} if index < 12 else {"size": index + 0.5, "late": f"x{index}"})
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    predict_file(model, file, tmp_path / f"out{target}", {})
    written = READ[target](tmp_path / f"out{target}")
    assert written["size"].tolist() == [row["size"] for row in rows]
    assert written["late"].isna().tolist() == [True] * 12 + [False] * 8
    assert list(written.columns)[-3:] == ["size", "late", "predicted_score"]


@pytest.mark.usefixtures("small_parts")
def test_bad_rows_of_all_parts_are_named_and_nothing_is_written(
    model: Path, tmp_path: Path
) -> None:
    rows = colour_pairs(40, 1)
    rows.loc[[3, 38], "sentence1"] = [" ", None]
    file = write_jsonl(rows, tmp_path / "in.jsonl")
    with pytest.raises(InputError) as caught:
        predict_file(model, file, tmp_path / "out.csv", {})
    assert [p.where for p in caught.value.problems] == ["in.jsonl row 4", "in.jsonl row 39"]
    with file.open("a") as stream:
        stream.write("{broken\n")
    with pytest.raises(InputError, match="row 41: is not JSON"):
        predict_file(model, file, tmp_path / "out.csv", {})
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.usefixtures("small_parts")
def test_what_a_format_cannot_hold_is_said_before_the_work(model: Path, tmp_path: Path) -> None:
    rows = colour_pairs(20, 1)
    rows["mixed"] = pd.Series([1] * 15 + ["one"] * 5, dtype=object)
    rows["huge"] = pd.Series([1] * 15 + [10**30] * 5, dtype=object)
    file = write_jsonl(rows, tmp_path / "in.jsonl")
    with pytest.raises(InputError, match="column 'mixed' holds values of several kinds"):
        predict_file(model, file, tmp_path / "out.parquet", {})
    predict_file(model, file, tmp_path / "out.csv", {})
    assert pd.read_csv(tmp_path / "out.csv")["mixed"].tolist() == ["1"] * 15 + ["one"] * 5
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.usefixtures("small_parts")
def test_an_error_in_the_middle_leaves_the_old_file(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_jsonl(colour_pairs(20, 1), tmp_path / "in.jsonl")
    target = tmp_path / "out.csv"
    target.write_text("old")
    parts: list[object] = []

    def fails(rows: pd.DataFrame, encode: object) -> dict[str, np.ndarray]:
        parts.append(rows)
        if len(parts) == 2:
            raise KeyboardInterrupt
        return {"score": np.zeros(len(rows))}

    monkeypatch.setattr(scorers, "pair_columns", fails)
    with pytest.raises(KeyboardInterrupt):
        predict_file(model, file, target, {})
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


def test_bfloat16_is_near_and_only_on_request(model: Path, tmp_path: Path) -> None:
    file = write_jsonl(colour_pairs(30, 1), tmp_path / "in.jsonl")
    scores = {}
    for precision in ("fp32", "bf16"):
        predict_file(model, file, tmp_path / "out.parquet", {}, precision)
        scores[precision] = pd.read_parquet(tmp_path / "out.parquet")["predicted_score"].to_numpy()
    gap = np.abs(scores["fp32"] - scores["bf16"]).max()
    assert 0 < gap < 0.02


def test_a_pipe_is_refused(model: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.jsonl")
    with pytest.raises(InputError, match="is a pipe or a device"):
        predict_file(model, tmp_path / "in.jsonl", tmp_path / "out.csv", {})


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(model: Path, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        rows = pd.concat([colour_pairs(2000, 1)] * (count // 2000)).assign(note="x" * 3000)
        file = write_jsonl(rows, tmp_path / "in.jsonl")
        program = (
            "import re, sys; from pathlib import Path;"
            "from graft.runs.prediction import predict_file;"
            "predict_file(*map(Path, sys.argv[1:]), {});"
            "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
        )
        words = [
            sys.executable,
            "-c",
            program,
            str(model),
            str(file),
            str(tmp_path / "out.parquet"),
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return int(re.findall(r"\d+", done.stdout)[-1]) * 1024

    # The notes of the longer file alone are 114 MB more.
    assert peak(40_000) - peak(2_000) < 90e6
