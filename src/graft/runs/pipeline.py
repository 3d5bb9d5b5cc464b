"""One command from a recipe to a report: all stages in order, those that are done left alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from graft.core.errors import DataError, Problem
from graft.core.files import read_json, write_json
from graft.core.roles import Split
from graft.core.tables import DataReport
from graft.data.dataset import Dataset
from graft.data.loading import dataset_from_frames, load_dataset
from graft.data.storage import save_splits
from graft.runs.arms import train_arm
from graft.runs.base import make_base
from graft.runs.baselines import run_baselines
from graft.runs.experiment import Experiment, bound, open_experiment, write_index
from graft.runs.options import IN_MEMORY, note_reads
from graft.runs.pages import write_pages
from graft.runs.pretraining import pretrain
from graft.runs.reasons import explain_runs
from graft.runs.result import Result, read_result
from graft.runs.results_file import append_results
from graft.runs.same_rows import require_same_rows
from graft.runs.stages import (
    audit_runs,
    compare_runs,
    fuse_runs,
    leaked_rows,
    predict_artefacts,
    score_runs,
)
from graft.runs.tracking import require_tracking, track
from graft.tasks.lengths import with_lengths

logger = logging.getLogger(__name__)


def run(
    source: Path | str | Mapping[str, Any],
    overrides: Iterable[str] = (),
    root: Path | str = "runs",
    *,
    frames: Mapping[str, pd.DataFrame] | None = None,
    restart: bool = False,
) -> Result:
    """Return the result of the experiment that a recipe describes, running what is not done yet.

    Args:
        source: Recipe file, or its content as a mapping.
        overrides: `key=value` pairs, as for `--set`.
        root: Folder under which the experiment's folder lies.
        frames: Rows in memory instead of the recipe's files: `train`, and if wanted `validation`
            and `test`.
        restart: Begin anew instead of taking up what is there.

    Raises:
        GraftError: With everything that is wrong, where, and what to do.

    Example:
        >>> run({"name": "x", "data": {"train": "none.csv"}, "arms": {"standard": {}}})
        Traceback (most recent call last):
        ...
        graft.core.errors.DataError: ...
    """
    if frames is not None:
        _check_names(frames)
    overrides = [*overrides, *(f"data.{split}={IN_MEMORY}" for split in frames or {})]
    experiment = open_experiment(source, overrides, root, restart=restart)
    require_tracking(experiment.recipe)
    recipe = experiment.recipe
    logger.info("data: reading and checking %s", recipe.data.train)
    rows = prepare_data(experiment, frames)
    experiment = bound(experiment)
    leaked = leaked_rows(experiment)
    if recipe.pretrain is not None:
        pretrain(experiment, recipe.pretrain, rows)
    logger.info("baselines: %s", ", ".join(recipe.baselines))
    run_baselines(experiment, rows, leaked, recipe.baselines)
    for name in recipe.arms:
        logger.info("arm %s: training", name)
        train_arm(experiment, name, rows, leaked)
    return finish(experiment)


def prepare_data(
    experiment: Experiment, frames: Mapping[str, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Read, check and split the rows; write index, data report and splits; return the rows."""
    recipe = experiment.recipe
    if frames is None:
        dataset, report = load_dataset(
            recipe.data, experiment.loaded.folder, recipe.seed, recipe.task
        )
    else:
        dataset, report = _from_memory(experiment, frames)
    prints = {part.split: part.fingerprint for part in report.splits}
    if experiment.paths.fingerprints.is_file():
        before = read_json(experiment.paths.fingerprints, dict[str, str])
        require_same_rows(experiment.paths.root, before, prints)
    make_base(experiment, dataset)
    report = with_lengths(experiment.task, report, dataset.frame, experiment.base, recipe.base)
    write_index(experiment)
    save_splits(dataset, experiment.paths.splits)
    write_json(experiment.paths.data_report, report)
    write_json(experiment.paths.fingerprints, prints)
    note_reads(experiment)
    return dataset.frame


def _check_names(frames: Mapping[str, pd.DataFrame]) -> None:
    if set(frames) - set(Split) or Split.train not in frames:
        fix = "give 'train', and if wanted 'validation' and 'test'"
        raise DataError("frames", [Problem("frames", f"are {sorted(frames)}", fix)])


def _from_memory(
    experiment: Experiment, frames: Mapping[str, pd.DataFrame]
) -> tuple[Dataset, DataReport]:
    return dataset_from_frames(
        frames[Split.train],
        experiment.recipe.data,
        experiment.recipe.seed,
        validation=frames.get(Split.validation),
        test=frames.get(Split.test),
        task=experiment.recipe.task,
    )


def finish(experiment: Experiment) -> Result:
    """Run everything after training: artefacts, scores, comparison, audits, report, tracking."""
    recipe = experiment.recipe
    logger.info("artefacts: loading %s in a fresh process", ", ".join(recipe.arms))
    predict_artefacts(experiment, tuple(recipe.arms))
    fuse_runs(experiment, tuple(recipe.fusion))
    logger.info("scores, comparison, audits and report")
    score_runs(experiment, (*recipe.baselines, *recipe.arms, *recipe.fusion))
    explain_runs(experiment)
    compare_runs(experiment)
    audit_runs(experiment)
    write_pages(experiment.paths.root)
    result = read_result(experiment.paths.root)
    append_results(result)
    track(experiment, result)
    return result
