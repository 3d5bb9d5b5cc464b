"""The process that talks to MLflow: `python -m graft.runs.mlflow_store REQUEST ANSWER`.

A process of its own, so that MLflow changes nothing in the one that trains (environment,
warnings, loggers, tracking URI, memory), and so that nothing that MLflow or the plugin of an
artefact store raises can cost the run.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Param, Run

from graft.core.files import MANIFEST, manifest_problems, read_json, write_json
from graft.core.layout import RunPaths
from graft.runs.mlflow_model import MODEL_DATA, log_model
from graft.runs.tracked import (
    TrackedRun,
    TrackingAnswer,
    TrackingJob,
    cost_metrics,
    fingerprint,
    run_files,
    score_metrics,
    seed_metrics,
    training_metrics,
)

RECIPE_TAG, CONTENT_TAG = "graft.recipe_sha256", "graft.content_sha256"
# The first request answers whether the server is there at all; a dead one must not keep the
# run waiting. Uploads keep the patience that the environment gives them.
_FIRST_REQUEST = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "4", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
_BATCH = 1000  # the most metrics that MLflow takes in one request
_FINISHED, _FAILED = "FINISHED", "FAILED"


def log_runs(job: TrackingJob) -> TrackingAnswer:
    """Log every run of the job and return the ids, and what the store does not hold rightly.

    A run that the store has already, finished and with the same content, is brought up to date;
    one that was left half-logged or whose content changed is replaced (`mlflow gc` frees the disk
    of replaced runs).
    """
    client = MlflowClient(tracking_uri=job.store)
    with _environment(_FIRST_REQUEST):
        experiment = _experiment(client, job)
    ids: dict[str, str] = {}
    warnings: list[str] = []
    for run in job.runs:
        ids[run.name], problems = _log_run(client, job, experiment, run)
        warnings += [f"run '{run.name}' in {experiment}: {problem}" for problem in problems]
    return TrackingAnswer(ids, tuple(warnings))


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _experiment(client: MlflowClient, job: TrackingJob) -> str:
    """Return the id of the job's MLflow experiment, made or taken out of the bin."""
    found = client.get_experiment_by_name(job.experiment)
    if found is None:
        place = job.artefacts and f"{job.artefacts}/{job.experiment}"
        return str(client.create_experiment(job.experiment, artifact_location=place))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _log_run(
    client: MlflowClient, job: TrackingJob, experiment: str, run: TrackedRun
) -> tuple[str, list[str]]:
    paths, content = RunPaths(Path(run.folder)), fingerprint(run)
    kept, stale = _earlier_runs(client, job, experiment, run.name, content)
    if kept is None:
        tags = {**run.tags, RECIPE_TAG: job.recipe_sha256, CONTENT_TAG: content}
        run_id = client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
        params = [Param(key, value) for key, value in run.params.items()]
        for start in range(0, len(params), 100):
            client.log_batch(run_id, params=params[start : start + 100], synchronous=True)
        _log_training(client, run_id, paths)
        model_id = log_model(client, job, experiment, run, run_id) if _has_model(paths) else None
    else:
        run_id = kept.info.run_id
        model_id = _model_id(kept)
    metrics = {k: v for k, v in score_metrics(paths).items() if v is not None}
    metrics |= cost_metrics(paths)
    _log_final(client, run_id, model_id, metrics)
    for file in (*map(Path, job.files), *run_files(paths)):
        folder = "predictions" if file.parent.name == "predictions" else None
        client.log_artifact(run_id, str(file), folder)
    if paths.adapter.is_dir():
        client.log_artifacts(run_id, str(paths.adapter), "adapter")
    if paths.model.is_dir() and not _has_model(paths):
        client.log_artifacts(run_id, str(paths.model), "model")
    problems = _wrong_metrics(client, run_id, metrics)
    if model_id is not None:
        wrong = model_problems(job.store, model_id, paths.model)
        client.finalize_logged_model(model_id, _FAILED if wrong else "READY")
        problems += wrong
    client.set_terminated(run_id, _FAILED if problems else _FINISHED)
    for old in stale:
        _remove(client, old)
    return run_id, problems


def _has_model(paths: RunPaths) -> bool:
    # A fusion is no Sentence-Transformers folder: its files are logged as they are.
    return (paths.model / MANIFEST).is_file() and (paths.model / "modules.json").is_file()


def _earlier_runs(
    client: MlflowClient, job: TrackingJob, experiment: str, name: str, content: str
) -> tuple[Run | None, list[Run]]:
    """Return the run that holds this content already, if any, and the outdated ones."""
    query = f"tags.`{RECIPE_TAG}` = '{job.recipe_sha256}'"
    kept, stale = None, []
    for found in client.search_runs([experiment], query):
        if found.info.run_name == name:
            run = client.get_run(found.info.run_id)
            whole = run.info.status == _FINISHED and run.data.tags.get(CONTENT_TAG) == content
            if whole and kept is None:
                kept = run
            else:
                stale.append(run)
    return kept, stale


def _remove(client: MlflowClient, run: Run) -> None:
    model_id = _model_id(run)
    if model_id is not None:
        client.delete_logged_model(model_id)
    client.delete_run(run.info.run_id)


def _model_id(run: Run) -> str | None:
    models = run.outputs.model_outputs if run.outputs else []
    return str(models[0].model_id) if models else None


def _log_training(client: MlflowClient, run_id: str, paths: RunPaths) -> None:
    now = _now_ms()
    points = (*training_metrics(paths), *seed_metrics(paths))
    metrics = [Metric(p.name, p.value, now, p.step) for p in points]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH], synchronous=True)


def _log_final(
    client: MlflowClient, run_id: str, model_id: str | None, metrics: Mapping[str, float]
) -> None:
    """Log the values that the store does not hold yet, so that each stays one point."""
    stored, now = client.get_run(run_id).data.metrics, _now_ms()
    new = [
        Metric(name, value, now, 0, model_id=model_id, run_id=run_id)
        for name, value in metrics.items()
        if stored.get(name) != value
    ]
    for start in range(0, len(new), _BATCH):
        client.log_batch(run_id, metrics=new[start : start + _BATCH], synchronous=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _wrong_metrics(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> list[str]:
    stored = client.get_run(run_id).data.metrics
    return [
        f"{name} is {stored.get(name)} in the store and {value} in the run folder"
        for name, value in metrics.items()
        # A database may keep fewer digits than Python.
        if not math.isclose(stored.get(name, math.nan), value, rel_tol=1e-9, abs_tol=1e-12)
    ]


def model_problems(store: str, model_id: str, folder: Path) -> list[str]:
    """Return how the logged model differs from the model in `folder`; empty if in nothing.

    The files are read back from the store and hashed. A logged model that is the artefact, byte
    for byte, scores what the artefact scored.
    """
    with TemporaryDirectory() as place:
        # Not `models:/ID`, which MLflow looks up in the store of the whole process.
        uri = MlflowClient(tracking_uri=store).get_logged_model(model_id).artifact_location
        whole = download_artifacts(artifact_uri=uri, dst_path=place, tracking_uri=store)
        back = Path(whole) / MODEL_DATA
        problems = [
            f"logged model: {Path(problem.where).name} {problem.what}"
            for problem in manifest_problems(back)
        ]
        if not problems and (back / MANIFEST).read_bytes() != (folder / MANIFEST).read_bytes():
            problems.append("logged model: holds other files than the model in the run folder")
        return problems


if __name__ == "__main__":
    write_json(Path(sys.argv[2]), log_runs(read_json(Path(sys.argv[1]), TrackingJob)))
