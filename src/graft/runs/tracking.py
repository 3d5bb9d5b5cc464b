"""Tracking: every arm and baseline as an MLflow run, side by side under the same names.

A tracker shows what the run folder holds; it is never the only copy and never costs a run.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graft.config.recipe import Recipe
from graft.core.errors import MissingExtraError
from graft.core.experiment import ExperimentIndex, RunEntry
from graft.core.files import read_json, write_json
from graft.core.findings import Status
from graft.core.layout import ExperimentPaths
from graft.runs.experiment import Experiment
from graft.runs.result import Result
from graft.runs.tracked import (
    TrackedRun,
    TrackingAnswer,
    TrackingJob,
    cut,
    flatten,
    score_metrics,
)

logger = logging.getLogger(__name__)

_OLDEST = 3  # logged models with their own files came with MLflow 3
_SERVER = re.compile(r"https?:|databricks|uc:")
_LOADERS = ("sentence-transformers", "transformers", "torch")
_FORCED = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "PYTHONIOENCODING": "utf-8",
}
# MLflow waits for minutes by default; a server that dies on the way must cost seconds.
_UNLESS_SET = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


def require_tracking(recipe: Recipe) -> None:
    """Return if the recipe wants no tracking or MLflow is there; to be called before training.

    Raises:
        MissingExtraError: The recipe wants MLflow, and it is missing or older than 3.
    """
    if not recipe.tracking.mlflow:
        return
    try:
        version = importlib.metadata.version("mlflow")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    if int(version.partition(".")[0]) < _OLDEST:
        raise MissingExtraError(f"mlflow>={_OLDEST}", "mlflow", "tracking.mlflow: true")


def local_store(runs: Path) -> str:
    """Return the URI of the database that all experiments in the folder `runs` share.

    Example:
        >>> local_store(Path("/data/runs"))
        'sqlite:////data/runs/mlflow.db'
    """
    return f"sqlite:///{(runs.resolve() / 'mlflow.db').as_posix()}"


def track(experiment: Experiment, result: Result) -> None:
    """Log every arm and baseline to MLflow if the recipe says so.

    Each run gets its scores under the names of `tracked.score_metrics`, its parameters, tags
    and files; an arm also its training curves and its model, which is read back and compared
    with the run folder by hash. Whatever goes wrong is logged as a warning; a store that cannot
    be used is replaced by `mlflow.db` beside the experiment's folder.

    Args:
        experiment: The experiment, finished.
        result: Its result.

    Raises:
        MissingExtraError: The recipe wants MLflow and it is not installed.
        RunFolderError: A file of the run folder is damaged.
    """
    recipe = experiment.recipe
    if not recipe.tracking.mlflow:
        return
    require_tracking(recipe)
    job = _job(experiment, result)
    local = local_store(experiment.paths.root.parent)
    for store in dict.fromkeys((recipe.tracking.uri or local, local)):
        answer = _log_in_own_process(replace(job, store=store, artefacts=_artefacts(job, store)))
        if isinstance(answer, TrackingAnswer):
            for warning in answer.warnings:
                logger.warning("MLflow: %s. Fix: look at the store, then track again.", warning)
            logger.info("tracked %d runs in %s", len(answer.runs), _without_password(store))
            return
        instead = f"the local store {local} is used instead"
        if store == local:
            instead = "the experiment is not tracked; its run folder holds everything"
        logger.warning("MLflow at %s: %s; %s", _without_password(store), answer, instead)


def _artefacts(job: TrackingJob, store: str) -> str | None:
    # A database without a server would put files into the working directory.
    return None if _SERVER.match(store) else job.artefacts


def _job(experiment: Experiment, result: Result) -> TrackingJob:
    paths = ExperimentPaths(experiment.paths.root.resolve())
    index = read_json(paths.index, ExperimentIndex)
    scored = [entry for entry in index.runs if paths.run(entry.name).scores.is_file()]
    for entry in index.runs:
        if entry not in scored:
            logger.warning("MLflow: run '%s' has no scores and is not tracked", entry.name)
    versions = {name: index.versions.get(name, "").partition("+")[0] for name in _LOADERS}
    return TrackingJob(
        store="",
        artefacts=(paths.root.parent / "mlartifacts").as_uri(),
        experiment=index.name,
        recipe_sha256=index.recipe_sha256,
        # Not recipe.yaml: its tracking URI may hold a password.
        files=(str(paths.report),) if paths.report.is_file() else (),
        requirements=tuple(f"{name}=={version}" for name, version in versions.items() if version),
        runs=tuple(
            TrackedRun(
                name=entry.name,
                folder=str(paths.run(entry.name).root),
                params=_params(experiment.recipe, entry),
                tags=_tags(experiment.recipe, index, entry, result),
            )
            for entry in scored
        ),
    )


def _params(recipe: Recipe, entry: RunEntry) -> dict[str, str]:
    asked: dict[str, Any] = {"task": recipe.task, "seed": recipe.seed}
    section = recipe.arms.get(entry.name) or recipe.fusion.get(entry.name)
    if section is not None:
        return flatten({**asked, **section.model_dump(mode="json")})
    return flatten({**asked, "method": entry.name, "base": {"model": recipe.base.model}})


def _tags(
    recipe: Recipe, index: ExperimentIndex, entry: RunEntry, result: Result
) -> dict[str, str]:
    scores = score_metrics(ExperimentPaths(result.folder).run(entry.name))
    bad = (Status.failed, Status.error, Status.not_run)
    findings = [
        f"{finding.check} {finding.name}{' (accepted)' if finding.accepted else ''}"
        for finding in result.findings.items
        if finding.status in bad and finding.where in (*entry.replicates, "data")
    ]
    fusion = recipe.fusion.get(entry.name)
    arm = recipe.arms.get(fusion.arm if fusion else entry.name)
    tags = {
        "graft.role": str(entry.role),
        "graft.base": arm.base.model if arm else index.base,
        "graft.version": index.versions.get("graft-ml", "unknown"),
        "graft.failed_findings": ", ".join(findings) or "none",
        "graft.not_measured": ", ".join(k for k, v in scores.items() if v is None) or "none",
        "mlflow.note.content": entry.title,
    }
    for row in result.comparison.headline:
        if row.candidate == entry.name:
            tags["graft.verdict"] = str(row.verdict)
            tags["mlflow.note.content"] = f"{entry.title}: {row.verdict}. {row.reason}"
    return {key: cut(value) for key, value in tags.items()}


def _log_in_own_process(job: TrackingJob) -> TrackingAnswer | str:
    """Return what was logged, or in a few words why nothing could be."""
    with TemporaryDirectory() as folder:
        request, answer = Path(folder) / "request.json", Path(folder) / "answer.json"
        write_json(request, job)
        # MLflow's warnings are about MLflow; what matters to a run is in the answer.
        command = [sys.executable, "-W", "ignore", "-m", "graft.runs.mlflow_store"]
        done = subprocess.run(
            [*command, str(request), str(answer)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=_UNLESS_SET | os.environ | _FORCED,
            check=False,
        )
        if done.returncode == 0:
            return read_json(answer, TrackingAnswer)
    # The line of a traceback that names the error; its message may go on below it.
    errors = re.findall(r"^[\w.]+: .+", done.stderr, flags=re.MULTILINE)
    return _without_password(cut(errors[-1] if errors else f"exit code {done.returncode}"))


def _without_password(text: str) -> str:
    """Return `text` with the user and password of every URI in it left out.

    Example:
        >>> _without_password("https://me:secret@host/x is down")
        'https://host/x is down'
    """
    return re.sub(r"//[^/\s@]*@", "//", text)
