"""The stage that trains one arm: model, plan, loop, artefact, in-memory predictions, cost."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from torch import nn

from graft.audits.probing import probe_end, probe_start
from graft.config.sections import ArmSection
from graft.core.augmentation import Augmentation
from graft.core.costs import RunCost
from graft.core.errors import ModelError, Problem
from graft.core.facts import RowFacts
from graft.core.files import committed_folder, manifest_problems, write_json
from graft.core.free_memory import FreeMemory
from graft.core.layout import RunPaths
from graft.core.origins import LoadReport
from graft.core.plan import ResolvedPlan
from graft.core.probes import Probes
from graft.core.roles import Split
from graft.core.seeds import generator
from graft.data.augmentation import augmented_rows
from graft.data.sampling import rows_per_class
from graft.evaluate.predictions import (
    decision_split,
    predict,
    probed_rows,
    rows_to_predict,
    write_predictions,
)
from graft.evaluate.scoring import prediction_columns
from graft.metrics.catalogue import metric
from graft.models.freeze import assign_groups
from graft.models.locate import LocatedBase
from graft.models.threads import suitable_threads
from graft.runs.experiment import Experiment, require_made
from graft.runs.options import option_use
from graft.runs.resources import ResourceMeter, folder_bytes, hardware
from graft.runs.token_budget import resolve_limit
from graft.tasks.protocol import Example, TrainingTask
from graft.train.loop import TrainingJob, train
from graft.train.micro_batches import MicroBatchLimit, mean_tokens
from graft.train.modes import named_parameters, tied_names, unused_names
from graft.train.planning import resolve_plan
from graft.train.selection import Selection


@dataclass
class PreparedArm:
    """An arm ready to train: nothing has been updated yet.

    Args:
        name: The arm, or one of its replicates.
        arm: Its section of the recipe.
        seed: Of what training draws.
        base: The base model.
        model: The model, adapter or head attached.
        load: Where each tensor comes from.
        plan: The resolved plan.
        examples: Training rows, tokenised.
        limit: Largest micro-batch.
        tokens_at_once: Tokens of a micro-batch, as a mean.
        augmentation: What was added to the training rows, None if nothing was.
    """

    name: str
    arm: ArmSection
    seed: int
    base: LocatedBase
    model: nn.Module
    load: LoadReport
    plan: ResolvedPlan
    examples: Sequence[Example]
    limit: MicroBatchLimit
    tokens_at_once: float
    augmentation: Augmentation | None = None


def prepare_arm(experiment: Experiment, name: str, rows: pd.DataFrame) -> PreparedArm:
    """Return an arm, or one of its replicates, with model, tokenised rows and resolved plan.

    Raises:
        InputError: The plan or the base model is wrong.
    """
    arm, seed = experiment.arm(name), experiment.training_seed(name)
    base = require_made(experiment.base(name))
    dealt = _dealt_rows(rows, Split.train, arm, seed, experiment.facts)
    # Which rows an arm takes is a matter of the data, and the same for every seed.
    train_rows = rows_per_class(dealt, arm.rows_per_class, experiment.recipe.seed)
    model, load = experiment.task.build(arm, base, seed, train_rows)
    # The model was built on the rows themselves: what is fitted on them knows no copies.
    train_rows, added = _with_copies(train_rows, arm, seed, experiment.facts.classes)
    examples = experiment.task.prepare(train_rows, model)
    prepared = planned(experiment.task, name, arm, seed, base, model, load, examples)
    return replace(prepared, augmentation=added)


def planned(
    task: TrainingTask,
    name: str,
    arm: ArmSection,
    seed: int,
    base: LocatedBase,
    model: nn.Module,
    load: LoadReport,
    examples: Sequence[Example],
) -> PreparedArm:
    """Return what is to be trained with its resolved plan.

    Args:
        task: What it is trained for.
        name: Its name.
        arm: How it is trained.
        seed: Of what training draws.
        base: What it began as.
        model: The model, adapter or head attached.
        load: Where each of its tensors comes from.
        examples: Training rows, tokenised.

    Raises:
        RecipeError: The plan is wrong.
    """
    # Rows with a text, or the encoder would count as never read.
    read = [example for example in examples if task.tokens(example)]
    probe = task.collate(read[:2] or examples[:2])
    assignment = assign_groups(
        arm,
        named_parameters(model),
        tied_names(model),
        frozenset(task.new_head(model, arm)),
        unused_names(task, model, arm, probe),
    )
    plan = resolve_plan(arm, assignment, len(examples))
    limit = resolve_limit(task, model, arm, plan, examples)
    at_once = mean_tokens(task, arm.training, examples, limit)
    return PreparedArm(name, arm, seed, base, model, load, plan, examples, limit, at_once)


def _with_copies(
    rows: pd.DataFrame, arm: ArmSection, seed: int, classes: tuple[str, ...]
) -> tuple[pd.DataFrame, Augmentation | None]:
    """Return the training rows and their altered copies, if the arm asks for any."""
    return augmented_rows(rows, arm.augment, seed, classes) if arm.augment else (rows, None)


def _dealt_rows(
    rows: pd.DataFrame, split: Split, arm: ArmSection, seed: int, facts: RowFacts
) -> pd.DataFrame:
    """Return the rows of a split, their labels dealt out at random if the arm is that control.

    Several labels of a row stay together.
    """
    dealt = rows[rows["split"] == split].reset_index(drop=True)
    if arm.control == "shuffled_labels":
        order = generator(seed, "shuffled_labels", split).permutation(len(dealt))
        columns = ["label", *facts.label_columns]
        dealt = dealt.assign(**{name: dealt[name].to_numpy()[order] for name in columns})
    return dealt


def arm_is_trained(paths: RunPaths) -> bool:
    """Return True if the arm's artefact is complete and verifies."""
    return paths.ledger.is_file() and paths.cost.is_file() and not manifest_problems(paths.model)


def train_arm(
    experiment: Experiment, name: str, rows: pd.DataFrame, leaked: frozenset[str]
) -> RunPaths:
    """Train one arm with every seed, save artefacts and in-memory predictions; return its folder.

    What is done already stays.

    Args:
        experiment: The experiment.
        name: The arm.
        rows: All rows with their splits.
        leaked: Ids of test rows that the training split gives away.
    """
    for replicate in experiment.replicates(name):
        if not arm_is_trained(experiment.paths.run(replicate)):
            _train_once(experiment, replicate, rows, leaked)
    return experiment.paths.run(name)


def _train_once(
    experiment: Experiment, name: str, rows: pd.DataFrame, leaked: frozenset[str]
) -> None:
    paths = experiment.paths.run(name)
    with ResourceMeter() as meter:
        prepared = prepare_arm(experiment, name, rows)
        with suitable_threads(prepared.model, prepared.tokens_at_once) as threads:
            train_prepared(experiment, prepared, rows, leaked)
        write_json(paths.options, option_use(experiment, name))
    close_training(paths, meter, threads)
    del prepared
    gc.collect()


def close_training(paths: RunPaths, meter: ResourceMeter, threads: int) -> None:
    """Write what a training cost, which marks it as done, and remove its checkpoints.

    Args:
        paths: Its files.
        meter: What was measured.
        threads: Threads that computed.
    """
    adapter = paths.adapter / "adapter_model.safetensors"
    cost = RunCost(
        train_seconds=meter.seconds,
        predict_seconds=0.0,
        peak_memory_bytes=meter.peak_memory_bytes,
        energy_joules=meter.energy_joules,
        artefact_bytes=folder_bytes(paths.model),
        adapter_bytes=adapter.stat().st_size if adapter.is_file() else None,
        device=hardware(),
        threads=threads,
    )
    write_json(paths.cost, cost)
    # The best weights are the artefact; what is left only fills the disk.
    shutil.rmtree(paths.checkpoints, ignore_errors=True)


def train_prepared(
    experiment: Experiment, prepared: PreparedArm, rows: pd.DataFrame, leaked: frozenset[str]
) -> None:
    """Train a prepared arm and write everything that comes of it but options and cost.

    Args:
        experiment: The experiment.
        prepared: The arm; its model is trained in place.
        rows: All rows with their splits.
        leaked: Ids of test rows that the training split gives away.
    """
    paths = experiment.paths.run(prepared.name)
    write_json(paths.load, prepared.load)
    write_json(paths.plan, prepared.plan)
    if prepared.augmentation:
        write_json(paths.augmentation, prepared.augmentation)
    probes = _look_before(experiment, prepared, paths)
    ledger = train(training_job(experiment, prepared, rows, paths))
    write_json(paths.ledger, ledger)
    _write_in_memory(experiment, prepared, rows, leaked, paths, probes)
    _write_artefact(experiment, prepared, paths)


def training_job(
    experiment: Experiment, prepared: PreparedArm, rows: pd.DataFrame, paths: RunPaths
) -> TrainingJob:
    """Return all that the loop needs to train a prepared arm.

    Args:
        experiment: The experiment.
        prepared: The arm; its model is to be trained in place.
        rows: All rows with their splits; those of validation choose the checkpoint.
        paths: Where history and checkpoints go.
    """
    training = prepared.arm.training
    chosen = training.metric_for_best_model or experiment.recipe.evaluation.primary
    seed, facts = prepared.seed, experiment.facts
    held_out = _dealt_rows(rows, Split.validation, prepared.arm, seed, facts)
    validate, examples = None, list[Example]()
    if training.eval_strategy != "no" and len(held_out):
        examples = list(experiment.task.prepare(held_out, prepared.model))

        def validate(model: nn.Module) -> Mapping[str, float | None]:
            size = training.per_device_eval_batch_size
            columns = predict(experiment.task, model, examples, size)
            return _validation_metrics(experiment, held_out.assign(**columns))

    return TrainingJob(
        task=experiment.task,
        model=prepared.model,
        arm=prepared.arm,
        plan=prepared.plan,
        examples=prepared.examples,
        validate=validate,
        selection=Selection(
            metric=f"{Split.validation}_{chosen}",
            higher_is_better=bool(metric(chosen).higher_is_better),
            patience=training.early_stopping_patience,
        ),
        paths=paths,
        seed=prepared.seed,
        limit=prepared.limit,
        held_out=examples,
    )


def _validation_metrics(experiment: Experiment, frame: pd.DataFrame) -> dict[str, float | None]:
    columns = prediction_columns(frame)
    threshold = experiment.task.decide(frame)
    if threshold is not None:
        columns["threshold"] = np.full(len(frame), threshold)
    return {
        f"{Split.validation}_{measure.metric.name}": measure.compute(columns)
        for measure in experiment.task.measures
    }


def _look_before(experiment: Experiment, prepared: PreparedArm, paths: RunPaths) -> Probes:
    """Write what the loss is going to see; return what was probed before step 1."""
    task, model = experiment.task, prepared.model
    write_json(paths.supervision, task.supervision(prepared.examples, model))
    arm, plan, examples = prepared.arm, prepared.plan, prepared.examples
    return probe_start(task, model, arm, plan, examples, prepared.limit)


def _write_in_memory(
    experiment: Experiment,
    prepared: PreparedArm,
    rows: pd.DataFrame,
    leaked: frozenset[str],
    paths: RunPaths,
    probes: Probes,
) -> None:
    predicted = rows_to_predict(rows)
    examples = experiment.task.prepare(predicted, prepared.model)
    probed = experiment.task.prepare(probed_rows(rows), prepared.model)
    write_json(paths.probes, probe_end(probes, experiment.task, prepared.model, probed))
    write_json(paths.reading, experiment.task.reading(prepared.model, probed))
    size = prepared.arm.training.per_device_eval_batch_size
    columns = predict(experiment.task, prepared.model, examples, size)
    deciding = decision_split(predicted)
    files = {split: paths.in_memory(split) for split in (deciding, Split.test)}
    write_predictions(experiment.task, predicted, columns, files, leaked)


def _write_artefact(experiment: Experiment, prepared: PreparedArm, paths: RunPaths) -> None:
    if prepared.arm.method == "lora":
        with committed_folder(paths.adapter) as folder:
            experiment.task.save_adapter(prepared.model, folder, prepared.base)
        # What is merged comes from the file; two models in memory would be the run's peak.
        prepared.model = nn.Identity()
        gc.collect()
        FreeMemory().release(now=True)
        prepared.model = experiment.task.merge(prepared.arm, prepared.base, paths.adapter)
    with committed_folder(paths.model) as folder:
        experiment.task.save(prepared.model, folder)


def require_trained(paths: RunPaths) -> None:
    """Return if the arm is trained to the end and its artefact verifies.

    Raises:
        ModelError: The arm is not trained, or its artefact does not verify.
    """
    if not arm_is_trained(paths):
        problems = manifest_problems(paths.model) if paths.model.is_dir() else []
        what = Problem(str(paths.root), "is not trained to the end", "run `graft train`")
        raise ModelError(paths.name, problems or [what])
