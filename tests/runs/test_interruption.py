"""`kill -9` in the middle of training: the run that is taken up ends with the same weights."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from graft.core.files import read_json, read_jsonl, sha256_file
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger

pytestmark = pytest.mark.slow

TRAIN = """
import json, sys
from graft.runs.arms import train_arm
from graft.runs.experiment import open_experiment
from graft.runs.pipeline import prepare_data
experiment = open_experiment(json.loads(sys.argv[1]), root=sys.argv[2])
train_arm(experiment, "two_phase", prepare_data(experiment), frozenset())
"""


def recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    training = {
        "num_train_epochs": 30,
        "learning_rate": 1e-3,
        "precision": "fp32",
        "save_strategy": "steps",
        "save_steps": 7,
        "gradient_accumulation_steps": 2,
    }
    freeze = [{"name": "low", "patterns": ["embeddings", "layer.0"], "unfreeze_after": 10}]
    return {**tiny_recipe, "training": training, "arms": {"two_phase": {"freeze": freeze}}}


def start(plain: dict[str, Any], root: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", TRAIN, json.dumps(plain), str(root)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_after(step: int, process: subprocess.Popen[bytes], paths: RunPaths) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        history = read_jsonl(paths.history)
        if history and history[-1]["step"] >= step:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return
        time.sleep(0.005)
    pytest.fail(f"the process ended ({process.poll()}) before step {step}")


def test_a_run_that_was_killed_twice_ends_with_the_same_weights(
    tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    plain = recipe(tiny_recipe)
    whole, broken = (RunPaths(tmp_path / name / "tiny" / "two_phase") for name in ("a", "b"))
    assert start(plain, tmp_path / "a").wait() == 0
    # Once in the phase before the thaw (step 50 of 150), once after it.
    for step in (25, 90):
        kill_after(step, start(plain, tmp_path / "b"), broken)
    assert start(plain, tmp_path / "b").wait() == 0

    assert sha256_file(whole.model / "model.safetensors") == sha256_file(
        broken.model / "model.safetensors"
    )
    first, second = read_json(whole.ledger, Ledger), read_json(broken.ledger, Ledger)
    assert len(second.resumed_at) == 2
    assert first.phases == second.phases
    losses = [
        [record["loss"] for record in read_jsonl(paths.history) if record["kind"] == "step"]
        for paths in (whole, broken)
    ]
    assert losses[0] == losses[1]


def test_a_damaged_newest_checkpoint_is_named_and_passed_over(
    tiny_recipe: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from graft.train.checkpoint import newest_checkpoint

    plain = recipe(tiny_recipe)
    paths = RunPaths(tmp_path / "tiny" / "two_phase")
    kill_after(40, start(plain, tmp_path), paths)
    places = sorted(paths.checkpoints.glob("step-*"), key=lambda p: int(p.name[5:]))
    assert len(places) >= 2
    weights = places[-1] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    found, passed_over = newest_checkpoint(paths.checkpoints)
    assert len(passed_over) == 1
    assert found is not None
    assert found.folder == places[-2]
    assert places[-1].name in caplog.text
