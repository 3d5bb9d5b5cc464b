"""What an experiment would do, without doing it: data, plans, estimates; nothing is written."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from graft.audits.contract import run_checks
from graft.audits.evidence import DataEvidence
from graft.audits.registry import DATA_CHECKS
from graft.config.pretraining import PretrainSection
from graft.core.findings import Findings
from graft.core.plan import ResolvedPlan
from graft.core.tables import DataReport
from graft.data.dataset import Dataset
from graft.data.loading import load_dataset
from graft.runs.base import passing_base
from graft.runs.estimate import Estimate, estimated_arm
from graft.runs.experiment import Experiment, with_facts
from graft.runs.pretraining import prepare_pretraining
from graft.runs.pretraining_rows import pretraining_rows
from graft.tasks.lengths import with_lengths


@dataclass(frozen=True)
class ArmPreview:
    """One arm before training.

    Args:
        name: The arm.
        title: A few words for people, empty if the recipe gives none.
        base: Base model as the recipe names it.
        found: `folder`, `embedded` or `hub`.
        folder: Where the base is.
        patterns: Freeze group to its patterns.
        plan: The resolved plan.
        estimate: Time and memory of one training.
        seeds: Trainings of the arm.
    """

    name: str
    title: str
    base: str
    found: str
    folder: str
    patterns: dict[str, tuple[str, ...]]
    plan: ResolvedPlan
    estimate: Estimate
    seeds: int = 1


@dataclass(frozen=True)
class PretrainingPreview:
    """The pretraining of the base before its first step.

    Args:
        kind: Kind of pretraining.
        objectives: Objective to its weight.
        settings: What else decides what is learned.
        rows: Rows to learn from.
        held_out: Rows to choose by.
        plan: The resolved plan.
    """

    kind: str
    objectives: dict[str, float]
    settings: dict[str, str | int | float]
    rows: int
    held_out: int
    plan: ResolvedPlan


@dataclass(frozen=True)
class DataPreview:
    """The rows before training, and what the checks say about them."""

    dataset: Dataset
    report: DataReport
    findings: Findings


def preview_data(experiment: Experiment) -> DataPreview:
    """Return rows, report and findings of the data; nothing is written.

    Raises:
        InputError: The data or the base model cannot be used.
    """
    recipe = experiment.recipe
    dataset, report = load_dataset(recipe.data, experiment.loaded.folder, recipe.seed, recipe.task)
    report = with_lengths(experiment.task, report, dataset.frame, experiment.base, recipe.base)
    evidence = DataEvidence(report, dataset.frame, {})
    findings = Findings(run_checks(DATA_CHECKS, evidence, recipe.accept))
    return DataPreview(dataset, report, findings)


def preview_pretraining(
    experiment: Experiment, section: PretrainSection, data: DataPreview
) -> PretrainingPreview:
    """Return what pretraining the base would do; nothing is trained, the run not touched.

    Raises:
        InputError: The rows without labels, or the plan, cannot be used.
    """
    experiment = with_facts(experiment, data.report.facts)
    rows = pretraining_rows(experiment, section, data.dataset.frame)
    with passing_base(experiment, data.dataset) as passing:
        ready = prepare_pretraining(passing, section, rows)
    return PretrainingPreview(
        kind=ready.task.name,
        objectives=dict(ready.task.objectives),
        settings=dict(ready.task.settings),
        rows=len(ready.prepared.examples),
        held_out=len(ready.held_out),
        plan=ready.prepared.plan,
    )


def preview_arm(experiment: Experiment, name: str, data: DataPreview) -> ArmPreview:
    """Return what training the arm would do and cost; nothing is trained, the run not touched.

    Raises:
        InputError: The plan or the base model is wrong.
        GraftError: Training would fail at its first steps, and says why.
    """
    experiment = with_facts(experiment, data.report.facts)
    with passing_base(experiment, data.dataset) as passing:
        prepared, cost = estimated_arm(passing, name, data.dataset.frame)
    preview = ArmPreview(
        name=name,
        title=prepared.arm.title,
        base=prepared.base.name,
        found=prepared.base.found,
        folder=str(experiment.base(name).folder),
        patterns={group.name: group.patterns for group in prepared.arm.freeze},
        plan=prepared.plan,
        estimate=cost,
        seeds=len(experiment.replicates(name)),
    )
    del prepared
    gc.collect()
    return preview
