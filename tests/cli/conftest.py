"""A recipe over a few generated pairs on the tiny encoder, and a way to run the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from graft.cli.main import app
from graft.synthetic.compatibility import compatibility_pairs


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)


Graft = Callable[..., Answer]


@pytest.fixture
def graft() -> Graft:
    """Run the command line in this process."""

    def run(*words: object) -> Answer:
        result = CliRunner().invoke(app, [str(word) for word in words])
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def graft_process() -> Graft:
    """Run the command line in a process of its own."""

    def run(*words: object, cwd: Path | None = None, before: str = "") -> Answer:
        code = f"{before}\nfrom graft.cli.main import app; app()"
        command = [sys.executable, "-c", code, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


def write_rows(path: Path, records: list[dict[str, Any]]) -> Path:
    lines = (json.dumps(record) for record in records)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_recipe(folder: Path, base: Path, **changes: Any) -> Path:
    """Write a tiny recipe; `changes` replace its top-level keys."""
    recipe = {
        "name": "tiny",
        "base": {"model": str(base)},
        "data": {
            "train": "train.jsonl",
            "test": "test.jsonl",
            "columns": {"sentence1": "text_1", "sentence2": "text_2"},
            "slices": ["category"],
            "split": {"validation": 0.2},
        },
        "training": {
            "num_train_epochs": 2,
            "per_device_train_batch_size": 8,
            "learning_rate": 1e-3,
            "precision": "fp32",
        },
        "arms": {
            "standard": {"method": "full"},
            "lora": {"method": "lora", "lora": {"r": 2}, "training": {"learning_rate": 1e-2}},
        },
        "evaluation": {"bootstrap_resamples": 100, "clusters": False},
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def write_data(folder: Path) -> None:
    train, test = compatibility_pairs(seed=1, train=60, test=40)
    for name, frame in (("train", train), ("test", test)):
        write_rows(folder / f"{name}.jsonl", frame.to_dict("records"))


@pytest.fixture
def recipe(tmp_path: Path, tiny_encoder: Path) -> Path:
    """A recipe with two arms on 60 generated pairs."""
    write_data(tmp_path)
    return write_recipe(tmp_path, tiny_encoder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """The folder of a recipe that was run through `graft run`; its answer is in answer.json."""
    folder = tmp_path_factory.mktemp("finished")
    write_data(folder)
    recipe = write_recipe(folder, tiny_encoder)
    runs = str(folder / "runs")
    result = CliRunner().invoke(app, ["run", str(recipe), "--runs", runs, "--json"])
    assert result.exit_code in (0, 2), result.output
    (folder / "answer.json").write_text(result.stdout, encoding="utf-8")
    return folder
