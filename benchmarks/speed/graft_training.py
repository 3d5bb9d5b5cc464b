"""Graft that trains: the engine of `graft train`, with everything that it records on the way."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from transformers import AutoConfig

from graft.audits.probing import probe_end, probe_start
from graft.core.facts import RowFacts
from graft.core.files import read_jsonl, write_json
from graft.core.ledger import Ledger
from graft.core.roles import Split
from graft.evaluate.predictions import predict, probed_rows
from graft.metrics.probabilities import probabilities_of
from graft.models.heads import HEAD
from graft.runs.arms import PreparedArm, prepare_arm
from graft.runs.experiment import Experiment, open_experiment, with_facts
from graft.train.loop import TrainingJob, train
from graft.train.selection import Selection
from speed.jobs import Done, Job
from speed.quality import accuracy, spearman
from speed.watch import Watch

ARM = "measured"
TOP = 2  # layers that `top2` trains
TEXT = "text"
_TASKS = {"pairs": "pairs", "intents": "classification"}
_COLUMNS: dict[str, dict[str, Any]] = {"pairs": {}, "intents": {"texts": [TEXT]}}


@dataclass(frozen=True)
class Trained:
    """An arm after training: what was prepared, its ledger, the seconds of its steps."""

    prepared: PreparedArm
    ledger: Ledger
    step_seconds: float


def work(job: Job, watch: Watch) -> Done:
    """Train as the job says and return what came of it."""
    rows = frame(job)
    with tempfile.TemporaryDirectory() as place:
        experiment = opened(job, rows, Path(place))
        arm, base = experiment.recipe.arms[ARM], experiment.base(ARM)
        train = rows[rows["split"] == Split.train]
        built = experiment.task.build(arm, base, experiment.recipe.seed, train)
        # The model is loaded before the clock starts, on both sides alike.
        with mock.patch.object(type(experiment.task), "build", return_value=built), watch:
            trained = train_arm(experiment, rows)
    ledger = trained.ledger
    return Done(
        quality=_quality(experiment, trained.prepared, rows),
        steps=trained.prepared.plan.total_steps,
        tokens=ledger.tokens,
        padding=ledger.padding,
        step_seconds=trained.step_seconds,
    )


def frame(job: Job) -> pd.DataFrame:
    """Return the rows of both files, with the columns that Graft's data stage adds."""
    parts = [
        pd.read_parquet(path).assign(split=split)
        for path, split in ((job.train, Split.train), (job.test, Split.test))
    ]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(row=[str(index) for index in rows.index])


def opened(job: Job, rows: pd.DataFrame, root: Path) -> Experiment:
    """Return the experiment of the job: one arm that neither evaluates nor saves."""
    recipe: dict[str, Any] = {
        "name": "speed",
        "seed": job.seed,
        "base": {"model": job.base},
        "task": _TASKS[job.kind],
        "data": {"train": "rows in memory", "test": "rows in memory", **_COLUMNS[job.kind]},
        "training": {
            "num_train_epochs": job.epochs,
            "per_device_train_batch_size": job.batch,
            "learning_rate": job.rate,
            "warmup_steps": job.warmup,
            "precision": job.precision,
            "eval_strategy": "no",
            "save_strategy": "no",
            "load_best_model_at_end": False,
        },
        "arms": {ARM: _arm(job)},
    }
    experiment = open_experiment(recipe, root=root)
    if job.kind == "intents":
        classes = tuple(map(str, range(int(rows["label"].max()) + 1)))
        experiment = with_facts(experiment, RowFacts(texts=(TEXT,), classes=classes))
    return experiment


def _arm(job: Job) -> dict[str, Any]:
    head_rate = {"learning_rate": job.head_rate}
    if job.method == "head":
        return {"method": "head", "training": head_rate}
    if job.method != "top2":
        return {"method": job.method}  # the adapter of a recipe is by default that of the peer
    layers = AutoConfig.from_pretrained(job.base, local_files_only=True).num_hidden_layers
    frozen = [f"encoder.layer.{index}" for index in range(layers - TOP)]
    groups = [
        {"name": "lower", "patterns": ["embeddings", *frozen], "unfreeze_after": 0},
        {"name": "head", "patterns": [HEAD], **head_rate},
    ]
    return {"method": "full", "freeze": groups}


def train_arm(experiment: Experiment, rows: pd.DataFrame) -> Trained:
    """Train the arm as `graft train` does up to its ledger and its last probes."""
    prepared = prepare_arm(experiment, ARM, rows)
    task, model, plan = experiment.task, prepared.model, prepared.plan
    paths = experiment.paths.run(ARM)
    write_json(paths.plan, plan)
    write_json(paths.supervision, task.supervision(prepared.examples, model))
    probes = probe_start(task, model, prepared.arm, plan, prepared.examples)
    ledger = train(training_job(experiment, prepared))
    write_json(paths.ledger, ledger)
    probed = task.prepare(probed_rows(rows), model)
    write_json(paths.probes, probe_end(probes, task, model, probed))
    write_json(paths.reading, task.reading(model, probed))
    steps = (line["seconds"] for line in read_jsonl(paths.history) if line["kind"] == "step")
    return Trained(prepared, ledger, sum(steps))


def training_job(experiment: Experiment, prepared: PreparedArm) -> TrainingJob:
    """Return what the loop is given: no evaluation on the way."""
    return TrainingJob(
        task=experiment.task,
        model=prepared.model,
        arm=prepared.arm,
        plan=prepared.plan,
        examples=prepared.examples,
        validate=None,
        selection=Selection("validation_spearman", higher_is_better=True, patience=None),
        paths=experiment.paths.run(ARM),
        seed=experiment.recipe.seed,
    )


def _quality(experiment: Experiment, prepared: PreparedArm, rows: pd.DataFrame) -> float:
    test = rows[rows["split"] == Split.test]
    if not experiment.facts.classes:
        return spearman(prepared.model, test)
    examples = experiment.task.prepare(test, prepared.model)
    columns = predict(experiment.task, prepared.model, examples, 64)
    return accuracy(probabilities_of(columns), np.asarray(test["label"]))
