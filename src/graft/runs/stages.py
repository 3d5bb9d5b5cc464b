"""The stages of an experiment after the recipe; each reads the files of the one before."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from graft.audits.contract import run_checks, unused_accepts
from graft.audits.evidence import read_data_evidence, read_evidence, read_frame
from graft.audits.fusion import CHECKS as FUSION_CHECKS
from graft.audits.fusion import read_fusion_evidence
from graft.audits.registry import ARM_CHECKS, DATA_CHECKS, RECIPE_CHECKS
from graft.config.recipe import Recipe
from graft.core.costs import RunCost
from graft.core.errors import Problem, RunFolderError
from graft.core.experiment import ExperimentIndex
from graft.core.files import read_json, write_json
from graft.core.findings import Finding, Findings
from graft.core.layout import RunPaths
from graft.core.processors import usable_cores
from graft.core.roles import Split
from graft.core.scores import Score, ScoreBook
from graft.core.tables import DataReport
from graft.core.verdicts import Comparison
from graft.data.leakage import leaked_ids
from graft.data.storage import load_splits
from graft.evaluate.clusters import map_texts
from graft.evaluate.comparison import ComparisonSettings, compare
from graft.evaluate.fresh import (
    FreshArtefact,
    FreshJob,
    embeddings_file,
    predict_in_fresh_process,
)
from graft.evaluate.gates import gates
from graft.evaluate.predictions import decision_split
from graft.evaluate.published import published_figures
from graft.evaluate.scoring import ScoringSettings, prediction_columns, score_book
from graft.runs.arms import require_trained
from graft.runs.experiment import Experiment
from graft.runs.fusion import fuse
from graft.runs.options import note_reads, recipe_use
from graft.runs.pretraining import audit_pretraining

logger = logging.getLogger(__name__)

# Intervals cover 95 %; the verdicts of one headline are wrong together in at most 5 % of cases.
ALPHA = 0.05
CLASS = "class of the row"
OF_FIRST = "of the first seed"


def read_rows(experiment: Experiment) -> pd.DataFrame:
    """Return all rows with their splits, as the data stage wrote them."""
    if not experiment.paths.splits.is_file():
        problem = Problem(str(experiment.paths.splits), "is missing", "run `graft baseline`")
        raise RunFolderError("run folder", [problem])
    return load_splits(experiment.paths.splits).frame


def leaked_rows(experiment: Experiment) -> frozenset[str]:
    """Return the ids of the test rows that the training split gives away."""
    report = read_json(experiment.paths.data_report, DataReport)
    return frozenset().union(
        *(leaked_ids(part) for part in report.leakage if part.split == Split.test)
    )


def predict_artefacts(experiment: Experiment, arms: tuple[str, ...]) -> None:
    """Load every artefact of the arms in one fresh process and write its predictions."""
    if not arms:
        return
    artefacts = []
    for name in _replicates(experiment, arms):
        paths = experiment.paths.run(name)
        require_trained(paths)
        trained_with = read_json(paths.cost, RunCost).threads
        # A container may be given less than what it had when the arm was trained.
        threads = min(trained_with, usable_cores()) if trained_with else 0
        artefacts.append(FreshArtefact(str(paths.root), str(paths.model), None, threads))
        if paths.adapter.is_dir():
            base = str(experiment.base(name).folder)
            artefacts.append(FreshArtefact(str(paths.root), base, str(paths.adapter), threads))
    job = FreshJob(
        task=experiment.task.name,
        facts=experiment.facts,
        splits=str(experiment.paths.splits),
        leaked=tuple(sorted(leaked_rows(experiment))),
        artefacts=tuple(artefacts),
        answer=str(experiment.paths.root / "fresh_answer.json"),
        costs=experiment.costs,
    )
    answer = predict_in_fresh_process(job, experiment.paths.root)
    for artefact, seconds in zip(artefacts, answer.seconds, strict=True):
        paths = RunPaths(Path(artefact.run))
        if artefact.adapter is None:
            cost = read_json(paths.cost, RunCost)
            write_json(paths.cost, replace(cost, predict_seconds=seconds))


def _replicates(experiment: Experiment, runs: Iterable[str]) -> list[str]:
    """Return the names of all trainings of the runs, each run's own first."""
    return [name for run in runs for name in experiment.replicates(run)]


def fuse_runs(experiment: Experiment, names: tuple[str, ...]) -> None:
    """Fuse what the fusions `names` ask for; those that are done stay."""
    rows, leaked = read_rows(experiment), leaked_rows(experiment)
    for name in names:
        logger.info("fusion %s: %s", name, experiment.recipe.fusion[name].method)
        fuse(experiment, name, rows, leaked)


def score_runs(experiment: Experiment, names: tuple[str, ...]) -> None:
    """Write the scores of the runs `names` from their predictions."""
    index = read_json(experiment.paths.index, ExperimentIndex)
    roles = {entry.name: entry.role for entry in index.runs}
    rows = read_rows(experiment)
    deciding = decision_split(rows)
    evaluation = experiment.recipe.evaluation
    chosen = "best micro F1" if experiment.facts.multi_label else "best F1"
    chosen = "least cost" if experiment.costs else chosen
    settings = ScoringSettings(
        measures=experiment.task.measures,
        slices=experiment.recipe.data.slices,
        resamples=evaluation.bootstrap_resamples,
        alpha=ALPHA,
        seed=experiment.recipe.seed,
        threshold_note=f"at the threshold of the {chosen} on the {deciding} rows",
    )
    for name in names:
        paths = experiment.paths.run(name)
        frames = [
            {split: read_frame(own.predictions(split)) for split in (deciding, Split.test)}
            for own in map(experiment.paths.run, experiment.replicates(name))
        ]
        extra = _map(experiment, paths, frames[0][Split.test])
        if len(frames) > 1:
            extra = tuple(
                replace(score, note="; ".join(filter(None, (score.note, OF_FIRST))))
                for score in extra
            )
        write_json(paths.scores, score_book(name, roles[name], frames, settings, extra))
    note_reads(experiment)


def _map(experiment: Experiment, paths: RunPaths, test: pd.DataFrame) -> tuple[Score, ...]:
    embeddings, facts = embeddings_file(paths), experiment.facts
    # A row with several labels belongs to no one of them.
    classes = () if facts.multi_label else facts.classes
    wanted, slices = experiment.recipe.evaluation.clusters, experiment.recipe.data.slices
    if not (wanted and (slices or classes) and embeddings.is_file()):
        return ()
    if classes:
        test = test.assign(**{CLASS: [classes[int(label)] for label in test["label"]]})
    with np.load(embeddings) as saved:
        lost = sorted(set(experiment.task.embedded) - set(saved.files))
        if lost:
            what = f"holds no embeddings of {lost}; another version of Graft wrote it"
            raise RunFolderError("run folder", [Problem(str(embeddings), what, "use --restart")])
        vectors = {role: saved[role] for role in experiment.task.embedded}
    place = paths.embeddings(Split.test)
    category = CLASS if classes else slices[0]
    return map_texts(test, vectors, category, experiment.recipe.seed, place)


def compare_runs(experiment: Experiment) -> Comparison:
    """Write and return the comparison of all runs that have predictions."""
    index = read_json(experiment.paths.index, ExperimentIndex)
    names = [e.name for e in index.runs if experiment.paths.run(e.name).scores.is_file()]
    reference = experiment.recipe.evaluation.reference
    if reference not in names:
        problem = Problem(f"run '{reference}'", "has no scores", "run `graft baseline` first")
        raise RunFolderError("run folder", [problem])
    frames = {
        name: read_frame(experiment.paths.run(name).predictions(Split.test))
        for name in _replicates(experiment, names)
    }
    books = {name: read_json(experiment.paths.run(name).scores, ScoreBook) for name in names}
    recipe = experiment.recipe
    settings = ComparisonSettings(
        primary=recipe.evaluation.primary,
        base=reference,
        references={name: arm.reference for name, arm in recipe.arms.items() if arm.reference},
        arms=_candidates(recipe, names),
        resamples=recipe.evaluation.bootstrap_resamples,
        alpha=ALPHA,
        seed=recipe.seed,
        leaked_rows=leaked_rows(experiment),
        seeds={name: experiment.replicates(name) for name in names},
    )
    comparison = compare(frames, measures=experiment.task.measures, settings=settings)
    wanted = [(gate.run, gate.metric, gate.minimum, gate.maximum) for gate in recipe.gates]
    published = recipe.published
    comparison = replace(
        comparison,
        gates=gates(wanted, books),
        published=published_figures(published.figures, books) if published else (),
        published_source=published.source if published else "",
    )
    write_json(experiment.paths.comparison, comparison)
    return comparison


def _candidates(recipe: Recipe, names: list[str]) -> tuple[str, ...]:
    """Return the runs that the headline is about: arms and fusions, without arms the baselines."""
    adapted = (*recipe.arms, *recipe.fusion)
    others = [name for name in recipe.baselines if name != recipe.evaluation.reference]
    return tuple(name for name in (adapted or others) if name in names)


def audit_runs(experiment: Experiment) -> Findings:
    """Write and return what every check says about the data and about every trained arm."""
    recipe, paths = experiment.recipe, experiment.paths
    primary = next(
        measure
        for measure in experiment.task.measures
        if measure.metric.name == recipe.evaluation.primary
    )

    def measured(frame: pd.DataFrame) -> float | None:
        return primary.compute(prediction_columns(frame))

    write_json(paths.options, recipe_use(experiment))
    names = _replicates(experiment, recipe.arms)
    few = frozenset(name for name in names if experiment.arm(name).rows_per_class)
    of_rows = read_data_evidence(paths, few)
    of_data = run_checks((*DATA_CHECKS, *RECIPE_CHECKS), of_rows, recipe.accept)
    found: list[Finding] = list(of_data)
    if recipe.pretrain is not None:
        found += audit_pretraining(experiment).items
    for name in names:
        arm = experiment.arm(name)
        evidence = read_evidence(
            paths,
            name,
            experiment.base(name).folder,
            measured,
            arm.method,
            arm.control,
            arm.rows_per_class,
            augments=arm.augment is not None,
        )
        own = run_checks(ARM_CHECKS, evidence, recipe.accept)
        write_json(paths.run(name).audits, Findings(own))
        found += own
    for name in recipe.fusion:
        fused = read_fusion_evidence(paths, name, measured)
        own = run_checks(FUSION_CHECKS, fused, recipe.accept)
        write_json(paths.run(name).audits, Findings(own))
        found += own
    findings = Findings((*found, *unused_accepts(found, recipe.accept)))
    write_json(paths.findings, findings)
    return findings
