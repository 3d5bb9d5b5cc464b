"""What the checks cost while a model trains: the same arm with and without recording.

Both trainings run in one process, in alternating pairs. "With" is what `graft train` does: census
of the rows, probes before step 1, recorder, ledger. "Without" is the same loop with a recorder that
does nothing, and no census and no probes. Neither evaluates or saves checkpoints, so that the share
is that of pure training. The probes after the last step are timed beside; audits of saved files
come later and are not measured here.

Run it with `make bench`; `docs/benchmarks.md` says how to read the tables.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import math
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar
from unittest import mock

import pandas as pd
import torch

from graft.audits.probing import probe_end, probe_start
from graft.core.files import read_jsonl, write_json
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger, PhaseRecord
from graft.evaluate.predictions import probed_rows
from graft.models.encoder import quiet_transformers
from graft.runs.arms import PreparedArm, prepare_arm
from graft.runs.experiment import Experiment, open_experiment
from graft.runs.pipeline import prepare_data
from graft.runs.resources import hardware
from graft.synthetic.compatibility import compatibility_pairs
from graft.train import loop
from graft.train.recorder import PhaseRecorder
from graft.train.selection import Selection
from tiny_models import build_tiny_encoder, colour_pairs

P = ParamSpec("P")
R = TypeVar("R")
METHODS = ("full", "lora")
PROMISED = 0.05  # share of the training time that the checks may take
PARTS = ("census", "probes before", "snapshot and hashes", "steps", "movement and hashes", "ledger")
AFTER = "probes after"
SEEN = {
    "__init__": "snapshot and hashes",
    "saw_gradients": "steps",
    "took_step": "steps",
    "finish": "movement and hashes",
}


@dataclass
class Clock:
    """Seconds by part."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the seconds that the block takes to `name`."""
        started = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - started

    def timed(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, the seconds of every call added to `name`."""

        def call(*args: P.args, **named: P.kwargs) -> R:
            with self.part(name):
                return function(*args, **named)

        return call


def timed_recorder(clock: Clock) -> type[PhaseRecorder]:
    """Return the real recorder, each of its parts timed."""
    methods = {name: clock.timed(part, getattr(PhaseRecorder, name)) for name, part in SEEN.items()}
    return type("TimedRecorder", (PhaseRecorder,), methods)


class NoRecorder(PhaseRecorder):
    """A recorder that looks at nothing."""

    def __init__(self, index: int, first_step: int, *_: object) -> None:
        self.index, self.first_step = index, first_step

    def saw_gradients(self) -> None:
        """Do nothing."""

    def took_step(self, *_: object) -> None:
        """Do nothing."""

    def finish(self) -> PhaseRecord:
        """Return an empty record."""
        return PhaseRecord(self.index, self.first_step, 0, 0, 0, "", (), (), {}, 0, ())


def opened(base: str, epochs: int, folder: Path) -> Experiment:
    """Return an experiment with one arm per method that neither evaluates nor saves."""
    quiet = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
    recipe = {
        "name": "overhead",
        "base": {"model": base},
        "data": {"train": "rows in memory", "test": "rows in memory"},
        "training": {"num_train_epochs": epochs, "per_device_train_batch_size": 16, **quiet},
        "arms": {method: {"method": method} for method in METHODS},
    }
    return open_experiment(recipe, root=folder)


def job(experiment: Experiment, prepared: PreparedArm, paths: RunPaths) -> loop.TrainingJob:
    return loop.TrainingJob(
        task=experiment.task,
        model=prepared.model,
        arm=prepared.arm,
        plan=prepared.plan,
        examples=prepared.examples,
        validate=None,
        selection=Selection("validation_spearman", higher_is_better=True, patience=None),
        paths=paths,
        seed=experiment.recipe.seed,
    )


def train_without(experiment: Experiment, prepared: PreparedArm, paths: RunPaths) -> float:
    """Return the seconds of training alone."""
    gc.collect()
    started = time.perf_counter()
    with mock.patch.object(loop, "PhaseRecorder", NoRecorder):
        loop.train(job(experiment, prepared, paths))
    return time.perf_counter() - started


def train_with(
    experiment: Experiment,
    prepared: PreparedArm,
    paths: RunPaths,
    rows: pd.DataFrame,
    clock: Clock,
) -> float:
    """Return the seconds of training with everything that is seen on the way."""
    gc.collect()
    task, model = experiment.task, prepared.model
    started = time.perf_counter()
    with clock.part("census"):
        write_json(paths.supervision, task.supervision(prepared.examples, model))
    with clock.part("probes before"):
        probes = probe_start(task, model, prepared.arm, prepared.plan, prepared.examples)
    with mock.patch.object(loop, "PhaseRecorder", timed_recorder(clock)):
        ledger: Ledger = loop.train(job(experiment, prepared, paths))
    with clock.part("ledger"):
        write_json(paths.ledger, ledger)
    seconds = time.perf_counter() - started
    with clock.part(AFTER):
        probed = task.prepare(probed_rows(rows), model)
        write_json(paths.probes, probe_end(probes, task, model, probed))
        write_json(paths.reading, task.reading(model, probed))
    return seconds


@dataclass(frozen=True)
class Measured:
    """One model and method: seconds of each pair, and by part."""

    model: str
    method: str
    rows: int
    steps: int
    without: tuple[float, ...]
    with_: tuple[float, ...]
    step_ratios: tuple[float, ...]
    parts: tuple[dict[str, float], ...]

    @property
    def shares(self) -> list[float]:
        """Share by which training takes longer, pair by pair."""
        return [new / old - 1 for new, old in zip(self.with_, self.without, strict=True)]

    @property
    def parts_share(self) -> float:
        """All timed parts together as a share of training; it has far less noise."""
        totals = [sum(parts[name] for name in PARTS) for parts in self.parts]
        return statistics.median(totals) / statistics.median(self.without)

    @property
    def enough_steps(self) -> int | None:
        """Steps from which on the checks take at most the promised share; None if never.

        Nearly all of their cost is paid once a run, so the share falls with its length.
        """
        once = sum(self.part(name) for name in PARTS if name != "steps")
        left = (PROMISED * statistics.median(self.without) - self.part("steps")) / self.steps
        return math.ceil(once / left) if left > 0 else None

    def part(self, name: str) -> float:
        """Return the median seconds of a part."""
        return statistics.median(parts[name] for parts in self.parts)


def measure(
    model: str, experiment: Experiment, method: str, rows: pd.DataFrame, pairs: int
) -> Measured:
    """Return `pairs` pairs of trainings; the order within a pair changes from pair to pair."""
    without, with_, ratios, clocks = [], [], [], []
    steps = 0
    for pair in range(-1, pairs):  # the first pair warms up and does not count
        clock = Clock()
        seconds, steps_of = {}, {}
        for kind in ("without", "with") if pair % 2 else ("with", "without"):
            paths = RunPaths(experiment.paths.root / f"{method}-{pair}-{kind}")
            prepared = prepare_arm(experiment, method, rows)
            steps = prepared.plan.total_steps
            if kind == "with":
                seconds[kind] = train_with(experiment, prepared, paths, rows, clock)
            else:
                seconds[kind] = train_without(experiment, prepared, paths)
            steps_of[kind] = median_step(paths)
        if pair >= 0:
            without.append(seconds["without"])
            with_.append(seconds["with"])
            ratios.append(steps_of["with"] / steps_of["without"] - 1)
            clocks.append(dict(clock.seconds))
    examples = len(prepared.examples)
    lists = ((*without,), (*with_,), (*ratios,), (*clocks,))
    return Measured(model, method, examples, steps, *lists)


def median_step(paths: RunPaths) -> float:
    """Return the median seconds of a step; unlike a sum, it does not see the machine's hiccups."""
    return statistics.median(record["seconds"] for record in read_jsonl(paths.history))


def frames(data: Path | None, count: int) -> dict[str, pd.DataFrame]:
    """Return training and test rows, generated unless a file of pairs is given."""
    if data is None:
        train, test = compatibility_pairs(seed=1, train=count, test=40)
    else:
        whole = pd.read_json(data, lines=True)
        train, test = whole.head(count), whole.tail(40)
    names = {"text_1": "sentence1", "text_2": "sentence2"}
    columns = ["sentence1", "sentence2", "label"]
    return {k: f.rename(columns=names)[columns] for k, f in (("train", train), ("test", test))}


def print_tables(results: list[Measured]) -> None:
    print(f"\n{hardware()}; {torch.get_num_threads()} threads; torch {torch.__version__}\n")
    columns = ("model", "method", "rows", "steps", "without", "with", "longer, median (each pair)",
               "a step longer (each pair)", "parts together", "at most 5 % from")  # fmt: skip
    print_row(columns)
    print_row(["---"] * len(columns))
    for item in results:
        share = statistics.median(item.shares)
        each, of_steps = (
            ", ".join(f"{100 * value:+.1f}" for value in values)
            for values in (item.shares, item.step_ratios)
        )
        print_row(
            [
                item.model,
                item.method,
                item.rows,
                item.steps,
                f"{statistics.median(item.without):.2f} s",
                f"{statistics.median(item.with_):.2f} s",
                f"{100 * share:+.1f} % ({each})",
                f"{100 * statistics.median(item.step_ratios):+.1f} % ({of_steps})",
                f"{100 * item.parts_share:.1f} %",
                f"{item.enough_steps} steps" if item.enough_steps else "never",
            ]
        )
    print("\nMilliseconds by part, median of the pairs; `a step` is `steps` over their number.\n")
    print_row(["model", "method", *PARTS, "a step", f"not counted: {AFTER}"])
    print_row(["---"] * (len(PARTS) + 4))
    for item in results:
        step = 1000 * item.part("steps") / item.steps
        cells = [f"{1000 * item.part(name):.0f}" for name in PARTS]
        after = f"{1000 * item.part(AFTER):.0f}"
        print_row([item.model, item.method, *cells, f"{step:.2f}", after])


def print_row(cells: Iterable[object]) -> None:
    print(f"| {' | '.join(map(str, cells))} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="JSON Lines: text_1, text_2, label")
    parser.add_argument("--rows", type=int, default=1200, help="training rows")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3, help="pairs of trainings")
    parser.add_argument("--base", default="all-MiniLM-L6-v2", help="folder or name")
    asked = parser.parse_args()
    logging.getLogger("graft").setLevel(logging.WARNING)
    results = []
    with tempfile.TemporaryDirectory() as place, quiet_transformers():
        root = Path(place)
        tiny = str(build_tiny_encoder(root / "base"))
        colours = {"train": colour_pairs(asked.rows, 1), "test": colour_pairs(40, 2)}
        for model, base, given in (
            ("tiny, 2 layers of width 32", tiny, colours),
            (Path(asked.base).name, asked.base, frames(asked.data, asked.rows)),
        ):
            experiment = opened(base, asked.epochs, root / Path(base).name)
            rows = prepare_data(experiment, given)
            for method in METHODS:
                print(f"{model}, {method}: {asked.pairs} pairs …", flush=True)
                results.append(measure(model, experiment, method, rows, asked.pairs))
    print_tables(results)


if __name__ == "__main__":
    main()
