"""The stage that pretrains the base on rows without labels, whatever kind of rows they are."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd
from torch import nn

from graft.audits.contract import run_checks
from graft.audits.evidence import DataEvidence
from graft.audits.pretraining import DATA_CHECKS, read_pretraining_evidence
from graft.audits.probing import gap, probe_end, probe_start
from graft.audits.registry import PRETRAINING_CHECKS
from graft.config.pretraining import PretrainSection
from graft.config.sections import ArmSection
from graft.core.errors import Problem, RecipeError
from graft.core.files import (
    committed_folder,
    manifest_problems,
    read_json,
    write_json,
    write_manifest,
)
from graft.core.findings import Findings
from graft.core.layout import PretrainingPaths
from graft.core.pretraining import NAME, RECORD
from graft.core.roles import Split
from graft.core.tables import DataReport
from graft.evaluate.predictions import PROBE_ROWS, predict
from graft.models.locate import LocatedBase
from graft.models.threads import suitable_threads
from graft.report.pretraining_page import write_pretraining_report
from graft.runs.arms import PreparedArm, close_training, planned
from graft.runs.experiment import Experiment
from graft.runs.options import note_reads, pretraining_use
from graft.runs.pretraining_results import record_of, write_judgement
from graft.runs.pretraining_rows import PretrainingRows, pretraining_rows
from graft.runs.resources import ResourceMeter
from graft.runs.same_rows import require_same_rows
from graft.tasks.pretraining import PretrainingTask
from graft.tasks.protocol import Example
from graft.tasks.registry import pretraining_of
from graft.train.loop import TrainingJob, train
from graft.train.selection import Selection

logger = logging.getLogger(__name__)


@dataclass
class PreparedPretraining:
    """A pretraining before its first step.

    Args:
        task: What is learned.
        rows: Its rows and the report on them.
        prepared: Model, plan and examples, as of an arm.
        held_out: The rows that it is chosen by.
    """

    task: PretrainingTask
    rows: PretrainingRows
    prepared: PreparedArm
    held_out: list[Example]


def is_pretrained(paths: PretrainingPaths) -> bool:
    """Return True if the pretrained base is complete and verifies."""
    return paths.ledger.is_file() and paths.cost.is_file() and not manifest_problems(paths.model)


def pretrain(
    experiment: Experiment, section: PretrainSection, labelled: pd.DataFrame
) -> PretrainingPaths:
    """Pretrain the base that the recipe describes, unless that is done; audit it, write its page.

    Args:
        experiment: The experiment, bound to the facts of its rows, its untrained base made.
        section: Its section on pretraining.
        labelled: Rows of the experiment with their splits.

    Raises:
        InputError: The recipe, its rows or its plan cannot be used.
    """
    paths = experiment.paths.pretraining
    rows = pretraining_rows(experiment, section, labelled)
    _check_same_rows(paths, rows.report)
    if not is_pretrained(paths):
        logger.info("pretraining: %s rows", f"{len(rows.frame):,}")
        _write_rows(paths, rows)
        with ResourceMeter() as meter:
            ready = prepare_pretraining(experiment, section, rows)
            model, at_once = ready.prepared.model, ready.prepared.tokens_at_once
            with suitable_threads(model, at_once) as threads:
                _train(experiment, ready)
        write_json(paths.options, pretraining_use(experiment, ready.prepared.arm))
        note_reads(experiment)
        close_training(paths, meter, threads)
        del ready, model
        gc.collect()
    audit_pretraining(experiment)
    write_pretraining_report(paths.root)
    write_manifest(paths.root)
    return paths


def prepare_pretraining(
    experiment: Experiment, section: PretrainSection, rows: PretrainingRows
) -> PreparedPretraining:
    """Return the pretraining with model, examples and resolved plan.

    Raises:
        InputError: The untrained base or the plan is wrong.
    """
    seed = experiment.recipe.seed
    task = pretraining_of(section, seed, rows.report.facts)
    arm = ArmSection(title="pretraining", training=section.training)
    _check_metric(task, arm)
    base = LocatedBase(experiment.recipe.base.model, experiment.paths.untrained, "made")
    model, load = task.build(base, seed)
    examples = task.prepare(rows.of(Split.train), model)
    held_out = list(task.prepare(rows.of(Split.validation), model))
    prepared = planned(task, NAME, arm, seed, base, model, load, examples)
    return PreparedPretraining(task, rows, prepared, held_out)


def audit_pretraining(experiment: Experiment) -> Findings:
    """Write and return what every check says of the pretraining and of its rows."""
    paths, accept = experiment.paths.pretraining, experiment.recipe.accept
    evidence = read_pretraining_evidence(paths, experiment.paths.untrained)
    seen = {NAME: evidence.ledger} if evidence.ledger else {}
    of_rows = DataEvidence(
        evidence.data, evidence.splits, seen, missing=evidence.missing, name=NAME
    )
    found = Findings(
        (
            *run_checks(DATA_CHECKS, of_rows, accept),
            *run_checks(PRETRAINING_CHECKS, evidence, accept),
        )
    )
    write_json(paths.audits, found)
    return found


def _check_same_rows(paths: PretrainingPaths, report: DataReport) -> None:
    if paths.data_report.is_file():
        before = _prints(read_json(paths.data_report, DataReport))
        require_same_rows(paths.root, before, _prints(report))


def _prints(report: DataReport) -> dict[str, str]:
    return {split.split: split.fingerprint for split in report.splits}


def _check_metric(task: PretrainingTask, arm: ArmSection) -> None:
    known = [measure.metric.name for measure in task.measures]
    chosen = arm.training.metric_for_best_model
    if chosen is not None and chosen not in known:
        where = "pretrain.training.metric_for_best_model"
        problem = Problem(where, f"'{chosen}' is not measured", f"choose one of {known}")
        raise RecipeError("recipe", [problem])


def _write_rows(paths: PretrainingPaths, rows: PretrainingRows) -> None:
    write_json(paths.data_report, rows.report)
    rows.frame[["row", "split"]].to_parquet(paths.splits, index=False)


def _train(experiment: Experiment, ready: PreparedPretraining) -> None:
    """Train, and write everything that comes of it but options and cost."""
    paths, task = experiment.paths.pretraining, ready.task
    prepared = ready.prepared
    model, arm, plan, examples = prepared.model, prepared.arm, prepared.plan, prepared.examples
    record = record_of(experiment, task, ready.rows.report, prepared.load)
    write_json(paths.record, record)
    write_json(paths.load, prepared.load)
    write_json(paths.plan, plan)
    write_json(paths.supervision, task.supervision(examples, model))
    probes = probe_start(task, model, arm, plan, examples, prepared.limit)
    write_json(paths.ledger, train(_job(experiment, ready)))
    probed = ready.held_out[-PROBE_ROWS:]
    probes = probe_end(probes, task, model, probed)
    seen, unseen = task.blind(model, probed)
    blind = gap(seen, unseen, [example.row for example in probed])
    write_json(paths.probes, replace(probes, blind=blind))
    size = arm.training.per_device_eval_batch_size
    write_judgement(paths, task, model, ready.held_out, size, experiment.recipe.seed)
    with committed_folder(paths.model) as folder:
        task.save(model, folder)
        write_json(folder / RECORD, record)


def _job(experiment: Experiment, ready: PreparedPretraining) -> TrainingJob:
    prepared, task = ready.prepared, ready.task
    training = prepared.arm.training
    chosen = training.metric_for_best_model or task.measures[0].metric.name

    def validate(model: nn.Module) -> Mapping[str, float | None]:
        columns = task.compared(
            predict(task, model, ready.held_out, training.per_device_eval_batch_size)
        )
        return {
            f"{Split.validation}_{measure.metric.name}": measure.compute(columns)
            for measure in task.measures
        }

    return TrainingJob(
        task=task,
        model=prepared.model,
        arm=prepared.arm,
        plan=prepared.plan,
        examples=prepared.examples,
        validate=validate,
        selection=Selection(
            metric=f"{Split.validation}_{chosen}",
            higher_is_better=False,
            patience=training.early_stopping_patience,
        ),
        paths=experiment.paths.pretraining,
        seed=experiment.recipe.seed,
        limit=prepared.limit,
        held_out=ready.held_out,
    )
