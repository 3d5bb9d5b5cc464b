"""How good the estimate of `graft plan` is: estimated against real time and memory, arm by arm.

Every figure comes from a process of its own: one that estimates an arm and one that trains it to
the end, in turns, so that what else the machine does meets both. "Real" is what `cost.json` of the
run says. Run it with `PYTHONPATH=tests python benchmarks/estimate.py`.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from graft.core.costs import RunCost
from graft.core.files import read_json
from graft.runs.arms import train_arm
from graft.runs.estimate import estimated_arm
from graft.runs.experiment import Experiment, open_experiment
from graft.runs.pipeline import prepare_data
from graft.synthetic.compatibility import compatibility_pairs
from tiny_models import build_tiny_encoder, colour_pairs

BASES = {"tiny": "", "MiniLM": "all-MiniLM-L6-v2"}
PROMISED = 0.3


def prepared_experiment(
    base: str, method: str, rows: int, epochs: int, folder: Path
) -> tuple[Experiment, pd.DataFrame]:
    """Return an experiment with one arm, and its rows."""
    if base == "tiny":
        place, frame = str(build_tiny_encoder(folder)), colour_pairs(rows, 1)
    else:
        place, (frame, _) = BASES[base], compatibility_pairs(seed=1, train=rows, test=8)
        frame = frame.rename(columns={"text_1": "sentence1", "text_2": "sentence2"})
    recipe = {
        "name": "estimate",
        "base": {"model": place},
        "data": {"train": "rows in memory"},
        "training": {"num_train_epochs": epochs},
        "arms": {method: {"method": method}},
    }
    opened = open_experiment(recipe, root=folder / "runs")
    return opened, prepare_data(opened, {"train": frame})


def child(kind: str, base: str, method: str, rows: int, epochs: int) -> dict[str, float]:
    """Return seconds and bytes, estimated or real."""
    with tempfile.TemporaryDirectory() as folder:
        opened, table = prepared_experiment(base, method, rows, epochs, Path(folder))
        if kind == "estimated":
            _, cost = estimated_arm(opened, method, table)
            return {"seconds": cost.seconds, "bytes": cost.memory_bytes}
        real = read_json(train_arm(opened, method, table, frozenset()).cost, RunCost)
        return {"seconds": real.train_seconds, "bytes": real.peak_memory_bytes}


def measured(words: list[str]) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bases", nargs="+", default=list(BASES))
    parser.add_argument("--methods", nargs="+", default=["full", "lora"])
    parser.add_argument("--rows", nargs="+", type=int, default=[200, 400])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=3, help="estimates and runs of each arm")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    if asked.child:
        kind, base, method, rows, epochs = asked.child
        print(json.dumps(child(kind, base, method, int(rows), int(epochs))))
        return
    print("| base | method | rows | estimated | real | ratio | estimated | real | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for base in asked.bases:
        for method in asked.methods:
            for rows in asked.rows:
                words = [base, method, str(rows), str(asked.epochs)]
                found: dict[str, list[dict[str, float]]] = {"estimated": [], "real": []}
                for turn in range(asked.pairs):
                    kinds = list(found) if turn % 2 == 0 else list(found)[::-1]
                    for kind in kinds:
                        found[kind].append(measured([kind, *words]))
                print(line(base, method, rows, found), flush=True)


def line(base: str, method: str, rows: int, found: dict[str, list[dict[str, float]]]) -> str:
    cells = [base, method, str(rows)]
    for unit, scale, name in (("seconds", 1.0, "s"), ("bytes", 1e6, "MB")):
        guess, real = (
            statistics.median(one[unit] for one in found[kind]) / scale for kind in found
        )
        ratio = guess / real
        mark = "" if abs(ratio - 1) <= PROMISED else " (!)"
        cells += [f"{guess:,.1f} {name}", f"{real:,.1f} {name}", f"{ratio:.2f}{mark}"]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
