"""Where the time of Graft's training goes: `python -m speed.profile --only standard`.

Prints the parts of the training in milliseconds a step, the floor (what the matrix products alone
need on this machine), and the operators that take the most time in a few steps.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import torch
from audit_overhead import Clock
from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiled

from graft.core.ledger import Ledger
from graft.models.locate import locate_base
from graft.runs.arms import PreparedArm, prepare_arm
from graft.runs.experiment import Experiment
from graft.train import loop, step
from graft.train.frozen import FrozenFeatures
from graft.train.recorder import PhaseRecorder
from speed import tables
from speed.floor import gemm_rate, operations
from speed.graft_training import ARM, frame, opened, training_job
from speed.jobs import Job
from speed.pairing import jobs_of
from speed.rows import read
from speed.works import QUICK_ROWS, WORKS, shortened

STEPS = ("collate", "forward", "backward", "clip", "optimizer", "recorder", "history")
ONCE = ("frozen beginning", "snapshots and hashes")
FEW_STEPS = 6
OPERATORS = 20


@contextlib.contextmanager
def timed_parts(clock: Clock, experiment: Experiment) -> Iterator[None]:
    """Add the seconds of every part of the loop to `clock` while the block runs."""
    build = loop.build_optimizer

    def build_timed(*args: Any) -> torch.optim.Optimizer:  # noqa: ANN401 - passed on
        optimizer = build(*args)
        optimizer.step = clock.timed("optimizer", optimizer.step)
        return optimizer

    parts: list[tuple[Any, str, str]] = [
        (type(experiment.task), "collate", "collate"),
        (type(experiment.task), "loss", "forward"),
        (torch.autograd, "backward", "backward"),
        (step, "scale_and_clip", "clip"),
        (PhaseRecorder, "saw_gradients", "recorder"),
        (PhaseRecorder, "took_step", "recorder"),
        (loop, "append_jsonl", "history"),
        (FrozenFeatures, "enter", "frozen beginning"),
        (PhaseRecorder, "__init__", "snapshots and hashes"),
        (PhaseRecorder, "finish", "snapshots and hashes"),
    ]
    with contextlib.ExitStack() as stack:
        for owner, name, part in parts:
            timed = clock.timed(part, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, timed))
        stack.enter_context(mock.patch.object(loop, "build_optimizer", build_timed))
        yield


def trained(
    job: Job,
    rows: pd.DataFrame,
    around: Callable[[Experiment], contextlib.AbstractContextManager[object]],
) -> tuple[PreparedArm, Ledger, float]:
    """Train within a context; return what was trained, its ledger and the seconds of the loop."""
    with tempfile.TemporaryDirectory() as place:
        experiment = opened(job, rows, Path(place))
        prepared = prepare_arm(experiment, ARM, rows)
        with around(experiment):
            started = time.perf_counter()
            ledger = loop.train(training_job(experiment, prepared))
            seconds = time.perf_counter() - started
    return prepared, ledger, seconds


def print_parts(job: Job, rows: pd.DataFrame) -> None:
    """Print the parts of the training, and its floor."""
    clock = Clock()
    prepared, ledger, seconds = trained(job, rows, lambda e: timed_parts(clock, e))
    steps = prepared.plan.total_steps
    spent = {name: clock.seconds[name] for name in (*STEPS, *ONCE)}
    spent["rest"] = seconds - sum(spent.values())
    tables.print_head(f"Parts of {steps:,} steps", ("part", "ms a step", "share of training"))
    for name, value in (*spent.items(), ("all", seconds)):
        tables.print_row([name, f"{1000 * value / steps:.2f}", f"{100 * value / seconds:.1f} %"])
    once, each_epoch = operations(prepared.model, prepared.plan)
    tokens = ledger.tokens / job.epochs
    width = int(prepared.model[0].get_embedding_dimension())
    rate = gemm_rate(round(ledger.tokens / steps), width, ledger.precision)
    floor = tokens * (once + each_epoch * job.epochs) / rate
    print(
        f"\nFloor: {ledger.tokens:,} tokens in {job.epochs} epochs, {once / 1e6:.1f} million "
        f"operations a token once a run and {each_epoch / 1e6:.1f} million in every epoch, at "
        f"{rate / 1e9:.0f} GFLOP/s ({ledger.precision}): {1000 * floor / steps:.1f} ms a step. "
        f"The training takes {seconds / floor:.2f} times as long."
    )


def print_operators(job: Job, rows: pd.DataFrame) -> None:
    """Print the operators that take the most time in a few steps, set-up included."""
    train = rows[rows["split"] == "train"].head(FEW_STEPS * job.batch)
    few = pd.concat([train, rows[rows["split"] == "test"].head(job.batch)], ignore_index=True)
    with profiled(activities=[ProfilerActivity.CPU]) as seen:
        trained(dataclasses.replace(job, epochs=1), few, lambda _: contextlib.nullcontext())
    print(f"\n### Operators, {FEW_STEPS} steps with everything before and after them\n")
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=OPERATORS))


def main() -> None:
    names = [name for name, work in WORKS.items() if work.settings["kind"] != "encode"]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=names, default="standard")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--base", default="all-MiniLM-L6-v2", help="folder or name")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--rows", type=int, help="training rows; all if left out")
    asked = parser.parse_args()
    work, rows = WORKS[asked.only], read(WORKS[asked.only].data, asked.data)
    if asked.rows:
        work, rows = shortened(work), rows.few(asked.rows, QUICK_ROWS)
    tables.print_machine(quick=False)
    with tempfile.TemporaryDirectory() as place:
        jobs = jobs_of(work, locate_base(asked.base).folder, rows, Path(place))
        job = dataclasses.replace(jobs["auto"], precision=asked.precision)
        whole = frame(job)
    print_parts(job, whole)
    print_operators(dataclasses.replace(job, warmup=0.1), whole)


if __name__ == "__main__":
    main()
