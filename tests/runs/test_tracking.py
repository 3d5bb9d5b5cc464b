"""Every arm and baseline stands in MLflow as in its run folder, whatever happens to the store."""

from __future__ import annotations

import http.server
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.types.schema import ColSpec, Schema, TensorSpec
from sentence_transformers import SentenceTransformer

from graft.core.costs import RunCost
from graft.core.errors import MissingExtraError
from graft.core.experiment import ExperimentIndex
from graft.core.files import append_jsonl, read_json, write_json, write_manifest, write_text
from graft.core.findings import Finding, Findings, Status
from graft.core.roles import Role, Split
from graft.core.scores import Score, ScoreBook, Scores
from graft.core.verdicts import Comparison, PairedDifference, Verdict
from graft.runs.experiment import Experiment, open_experiment, write_index
from graft.runs.mlflow_model import embedding_width
from graft.runs.mlflow_store import CONTENT_TAG, model_problems
from graft.runs.result import read_result
from graft.runs.tracked import score_metrics
from graft.runs.tracking import local_store, require_tracking, track

pytestmark = [
    # MLflow 3.17 declares its tables in a way that SQLAlchemy 2.1 calls outdated.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

STEPS = 5
LONG = tuple(f"encoder.layer.{index}.attention" for index in range(40))
RECIPE = {
    "name": "colours",
    "task": "pairs",
    "data": {"train": "train.jsonl"},
    "baselines": ["majority", "base"],
    "arms": {
        "full": {"freeze": [{"name": "top", "patterns": list(LONG)}]},
        "lora.r8": {"method": "lora", "title": "LoRA, rank 8"},
    },
}
VALUES = {"majority": None, "base": 0.1, "full": 0.8, "lora.r8": 1 / 3}


def _scores(name: str, role: Role) -> ScoreBook:
    value = VALUES[name]
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    items = (Score("spearman", value, low, high, 40), Score("f1", 0.5, 0.25, 0.75, 40))
    places = ((Split.test, "all"), (Split.test, "clean"), (Split.validation, "all"))
    return ScoreBook(tuple(Scores(name, role, split, subset, items) for split, subset in places))


def _train(experiment: Experiment, name: str, encoder: Path) -> None:
    paths = experiment.paths.run(name)
    shutil.copytree(encoder, paths.model)
    write_manifest(paths.model)
    write_json(paths.cost, RunCost(1.5, 0.5, 1000, None, 200, None, "a processor"))
    write_json(paths.audits, Findings(()))
    write_text(paths.plan, "{}\n")
    write_text(paths.card, f"# {name}\n")
    for step in range(1, STEPS + 1):
        record = {"kind": "step", "step": step, "loss": 1 / step, "grad_norm": 1.0}
        append_jsonl(paths.history, {**record, "rates": {"top": 1e-5 * step}})
    evaluated = {"kind": "evaluation", "step": STEPS, "metrics": {"validation_spearman": 0.7}}
    append_jsonl(paths.history, evaluated)


def finished_experiment(root: Path, encoder: Path, uri: str | None = None) -> Experiment:
    """Write a finished run folder below `root`, as the stages before tracking leave it."""
    recipe = {**RECIPE, "tracking": {"mlflow": True, "uri": uri}}
    experiment = open_experiment(recipe, root=root)
    index = write_index(experiment)
    frame = pd.DataFrame({"row": ["a", "b"], "score": [0.25, 0.75]})
    for entry in index.runs:
        paths = experiment.paths.run(entry.name)
        write_json(paths.scores, _scores(entry.name, entry.role))
        paths.predictions(Split.test).parent.mkdir(parents=True)
        frame.to_parquet(paths.predictions(Split.test))
        if entry.trained:
            _train(experiment, entry.name, encoder)
    head = [
        PairedDifference(
            "spearman", name, "base", "all", 40, VALUES[name], 0.1, 0.2, 0.1, 0.3, 0.01, 0.01, None,
            0.02, 0.1, Verdict.better, "The interval excludes zero.",
        )
        for name in ("full", "lora.r8")
    ]  # fmt: skip
    write_json(experiment.paths.comparison, Comparison("spearman", 0.05, tuple(head), (), ()))
    failed = Finding("K8", "round_trip", "Same?", Status.failed, "No.", {}, "lora.r8")
    leaks = Finding("K6", "leakage", "Any?", Status.failed, "Yes.", {}, "data").accept("known")
    write_json(experiment.paths.findings, Findings((failed, leaks)))
    write_text(experiment.paths.report, "<!doctype html><title>report</title>")
    return experiment


def do_track(experiment: Experiment) -> None:
    track(experiment, read_result(experiment.paths.root))


def runs_in(store: str, experiment: str = "colours") -> dict[str, Run]:
    """Return the live runs by name; two of one name are an error."""
    client = MlflowClient(tracking_uri=store)
    found = client.get_experiment_by_name(experiment)
    runs = [client.get_run(run.info.run_id) for run in client.search_runs([found.experiment_id])]
    names = [run.info.run_name for run in runs]
    assert len(names) == len(set(names))
    return dict(zip(names, runs, strict=True))


def model_id(run: Run) -> str:
    (output,) = run.outputs.model_outputs
    return str(output.model_id)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs: making its tables takes seconds, copying it does not."""
    folder = tmp_path_factory.mktemp("store")
    MlflowClient(tracking_uri=local_store(folder)).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    folder = tmp_path / "runs ä 100%"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    return folder


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> tuple[Experiment, str]:
    """An experiment tracked in a local store that did not exist before."""
    folder = tmp_path_factory.mktemp("runs ä 100%")
    experiment = finished_experiment(folder, tiny_encoder)
    do_track(experiment)
    return experiment, local_store(folder)


@pytest.mark.slow
def test_arms_and_baselines_compare_side_by_side(tracked):
    runs = runs_in(tracked[1])
    assert set(runs) == set(VALUES)
    test_names = {
        name: {metric for metric in run.data.metrics if metric.startswith(("test_", "final_"))}
        for name, run in runs.items()
    }
    assert test_names["base"] == test_names["full"] == test_names["lora.r8"]
    assert {"test_spearman", "test_clean_spearman_low", "test_f1_high"} <= test_names["base"]
    assert runs["majority"].data.tags["graft.not_measured"].startswith("test_spearman")


@pytest.mark.slow
def test_the_store_holds_the_scores_of_the_run_folder(tracked):
    experiment, store = tracked
    for name, run in runs_in(store).items():
        assert run.info.status == "FINISHED"
        for metric, value in score_metrics(experiment.paths.run(name)).items():
            assert run.data.metrics.get(metric) == value


@pytest.mark.slow
def test_training_curves_have_every_step(tracked):
    client, runs = MlflowClient(tracking_uri=tracked[1]), runs_in(tracked[1])
    for metric, expected in (
        ("train_loss", {step: 1 / step for step in range(1, STEPS + 1)}),
        ("learning_rate_top", {step: 1e-5 * step for step in range(1, STEPS + 1)}),
        ("validation_spearman", {STEPS: 0.7}),
    ):
        history = client.get_metric_history(runs["full"].info.run_id, metric)
        assert {point.step: point.value for point in history} == expected
        assert metric not in runs["base"].data.metrics


@pytest.mark.slow
def test_tags_and_parameters_say_what_the_run_is(tracked):
    experiment, store = tracked
    runs = runs_in(store)
    index = read_json(experiment.paths.index, ExperimentIndex)
    tags = runs["lora.r8"].data.tags
    assert tags["graft.role"] == "arm"
    assert tags["graft.verdict"] == "better"
    assert tags["graft.base"] == "all-MiniLM-L6-v2"
    assert tags["graft.recipe_sha256"] == index.recipe_sha256
    assert tags["graft.version"] == index.versions["graft-ml"]
    assert tags["graft.failed_findings"] == "K8 round_trip, K6 leakage (accepted)"
    assert runs["base"].data.tags["graft.role"] == "baseline"
    assert "graft.verdict" not in runs["base"].data.tags
    params = runs["full"].data.params
    assert params["training.learning_rate"] == "2e-05"
    assert params["freeze.0.name"] == "top"
    assert len(params["freeze.0.patterns"]) == 500
    assert runs["base"].data.params["method"] == "base"


@pytest.mark.slow
def test_artefacts_are_the_files_of_the_run_folder(tracked, tmp_path):
    experiment, store = tracked
    client, run = MlflowClient(tracking_uri=store), runs_in(store)["full"]
    place = experiment.paths.run("full")
    kept = (place.scores, place.audits, place.plan, place.card, place.cost)
    for file in (experiment.paths.report, *kept):
        back = client.download_artifacts(run.info.run_id, file.name, str(tmp_path))
        assert Path(back).read_bytes() == file.read_bytes()
    rows = client.download_artifacts(run.info.run_id, "predictions/test.parquet", str(tmp_path))
    assert len(pd.read_parquet(rows)) == 2


@pytest.mark.slow
def test_the_logged_model_is_the_artefact(tracked, tiny_encoder, tmp_path):
    experiment, store = tracked
    run = runs_in(store)["lora.r8"]
    logged = MlflowClient(tracking_uri=store).get_logged_model(model_id(run))
    assert (logged.name, str(logged.status)) == ("lora_r8", "READY")
    assert {metric.key for metric in logged.metrics} >= {"test_spearman", "test_clean_f1"}
    assert not model_problems(store, model_id(run), experiment.paths.run("lora.r8").model)
    folder = download_artifacts(
        artifact_uri=logged.artifact_location, dst_path=str(tmp_path / "m"), tracking_uri=store
    )
    requirements = (Path(folder) / "requirements.txt").read_text()
    assert "torch==" in requirements
    assert "+" not in requirements
    texts = ["a red1 red2", "a green3"]
    expected = SentenceTransformer(str(tiny_encoder), device="cpu").encode(texts)
    with warnings.catch_warnings():
        # Loading is MLflow's own affair: it warns about type hints and versions of packages.
        warnings.simplefilter("ignore")
        model = mlflow.pyfunc.load_model(folder)
        plain = mlflow.sentence_transformers.load_model(folder)
    signature = model.metadata.signature
    assert signature.inputs == Schema([ColSpec("string")])
    assert signature.outputs == Schema([TensorSpec(np.dtype("float32"), (-1, 32))])
    np.testing.assert_allclose(model.predict(texts), expected, atol=1e-6)
    np.testing.assert_allclose(plain.encode(texts), expected, atol=1e-6)


@pytest.mark.slow
def test_tracking_again_changes_nothing(tracked):
    experiment, store = tracked
    before = runs_in(store)
    do_track(experiment)
    after = runs_in(store)
    for name, run in after.items():
        assert run.info.run_id == before[name].info.run_id
        assert run.data.to_dictionary() == before[name].data.to_dictionary()
        assert len(run.outputs.model_outputs) == len(before[name].outputs.model_outputs)
    client = MlflowClient(tracking_uri=store)
    points = client.get_metric_history(after["full"].info.run_id, "test_spearman")
    assert len(points) == 1


@pytest.mark.slow
def test_a_changed_or_half_logged_run_is_replaced(root, tiny_encoder):
    experiment = finished_experiment(root, tiny_encoder)
    store = local_store(root)
    do_track(experiment)
    before = runs_in(store)
    client = MlflowClient(tracking_uri=store)
    write_json(experiment.paths.run("base").scores, _scores("full", Role.baseline))
    client.update_run(before["full"].info.run_id, status="RUNNING")
    do_track(experiment)
    after = runs_in(store)
    assert set(after) == set(before)
    same = {n for n, run in after.items() if run.info.run_id == before[n].info.run_id}
    assert same == {"majority", "lora.r8"}
    assert after["base"].data.metrics["test_spearman"] == VALUES["full"]
    assert after["full"].data.tags[CONTENT_TAG] == before["full"].data.tags[CONTENT_TAG]
    (found,) = client.search_experiments(filter_string="name = 'colours'")
    models = client.search_logged_models([found.experiment_id])
    assert {m.model_id for m in models} == {model_id(after["full"]), model_id(after["lora.r8"])}


@pytest.mark.slow
def test_a_wrong_model_in_the_registry_is_named_and_then_replaced(root, tiny_encoder, caplog):
    # SAV-09 of the fault list, mlflow/mlflow#12997: the registry held another model.
    experiment = finished_experiment(root, tiny_encoder)
    store = local_store(root)
    do_track(experiment)
    assert not caplog.records
    (weights,) = root.glob(f"mlartifacts/**/{model_id(runs_in(store)['full'])}/**/*.safetensors")
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    do_track(experiment)
    (record,) = caplog.records
    assert "'full'" in record.getMessage()
    assert "model.safetensors differs from its hash" in record.getMessage()
    wrong = runs_in(store)["full"]
    assert wrong.info.status == "FAILED"
    caplog.clear()
    do_track(experiment)
    assert not caplog.records
    healed = runs_in(store)["full"]
    assert healed.info.status == "FINISHED"
    assert healed.info.run_id != wrong.info.run_id


class _Unavailable(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(503)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def bad_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a server that refuses, answers 503, or accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if request.param == "hangs":
            yield f"127.0.0.1:{port}"
            return
    if request.param == "refuses":
        yield f"127.0.0.1:{port}"
        return
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Unavailable) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("bad_server", ["refuses", "unavailable", "hangs"], indirect=True)
def test_a_dead_server_costs_a_warning(root, tiny_encoder, bad_server, caplog):
    experiment = finished_experiment(root, tiny_encoder, f"http://me:secret@{bad_server}")
    started = time.perf_counter()
    do_track(experiment)
    seconds = time.perf_counter() - started
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"http://{bad_server}" in record.getMessage()
    assert local_store(root) in record.getMessage()
    assert "secret" not in record.getMessage()
    assert set(runs_in(local_store(root))) == set(VALUES)
    # 5 to 13 s where nothing else runs, most of it imports; MLflow's own patience is minutes.
    assert seconds < 60


@pytest.mark.slow
@pytest.mark.parametrize("uri", [None, "file:./mlruns", "nonsense://x"])
def test_no_store_at_all_costs_warnings(tmp_path, tiny_encoder, uri, caplog):
    experiment = finished_experiment(tmp_path, tiny_encoder, uri)
    (tmp_path / "mlflow.db").write_text("this is no database " * 100)
    do_track(experiment)
    last = caplog.records[-1].getMessage()
    assert "file is not a database" in last
    assert "not tracked" in last
    assert len(caplog.records) == (1 if uri is None else 2)


@pytest.mark.slow
def test_a_database_of_the_recipe_keeps_files_in_the_runs_folder(
    root, tiny_encoder, monkeypatch, tmp_path, caplog
):
    # MLflow's own default is the working directory.
    (root / "mlflow.db").rename(tmp_path / "own.db")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    store = f"sqlite:///{tmp_path / 'own.db'}"
    do_track(finished_experiment(root, tiny_encoder, store))
    assert not caplog.records
    assert set(runs_in(store)) == set(VALUES)
    assert {path.name for path in root.iterdir()} == {"colours", "mlartifacts"}
    assert list(work.iterdir()) == []


@pytest.mark.slow
def test_tracking_leaves_no_trace_in_the_process(root, tiny_encoder, monkeypatch):
    experiment = finished_experiment(root, tiny_encoder, "http://127.0.0.1:9")
    monkeypatch.chdir(root)

    def state() -> tuple[object, ...]:
        levels = {n: logging.getLogger(n).level for n in ("", "mlflow", "alembic", "urllib3")}
        where = mlflow.get_tracking_uri(), mlflow.active_run()
        threads = threading.active_count()
        return dict(os.environ), list(warnings.filters), levels, where, threads

    before = state()
    do_track(experiment)
    assert state() == before
    assert {path.name for path in root.iterdir()} == {"colours", "mlflow.db", "mlartifacts"}


@pytest.mark.slow
def test_a_run_without_scores_is_named_and_left_out(root, tiny_encoder, caplog):
    experiment = finished_experiment(root, tiny_encoder)
    experiment.paths.run("majority").scores.unlink()
    do_track(experiment)
    (record,) = caplog.records
    assert "'majority' has no scores" in record.getMessage()
    assert set(runs_in(local_store(root))) == set(VALUES) - {"majority"}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def server(tmp_path: Path, empty_store: Path) -> Iterator[str]:
    """Address of a real MLflow server that keeps the artefacts itself."""
    shutil.copy(empty_store, tmp_path / "server.db")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}", "--workers", "1"]
    command += ["--artifacts-destination", str(tmp_path / "kept")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=log, stderr=log, env=environment, start_new_session=True
        )
        try:
            patience = time.monotonic() + 60
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > patience:
                    pytest.skip("the MLflow server does not start on this machine")
                time.sleep(0.5)
            yield url
        finally:
            os.killpg(process.pid, 15)
            process.wait(timeout=30)


@pytest.mark.slow
def test_a_real_server_keeps_runs_and_models(tmp_path, tiny_encoder, server, caplog):
    experiment = finished_experiment(tmp_path / "runs", tiny_encoder, server)
    for _ in range(2):
        do_track(experiment)
        assert not caplog.records
    runs = runs_in(server)
    assert set(runs) == set(VALUES)
    assert not (tmp_path / "runs" / "mlflow.db").exists()
    weights = experiment.paths.run("full").model
    assert not model_problems(server, model_id(runs["full"]), weights)


def test_nothing_happens_unless_the_recipe_says_so(tmp_path, tiny_encoder):
    experiment = open_experiment({**RECIPE, "tracking": {"mlflow": False}}, root=tmp_path)
    require_tracking(experiment.recipe)
    track(experiment, None)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_before_training(tmp_path, monkeypatch):
    experiment = open_experiment({**RECIPE, "tracking": {"mlflow": True}}, root=tmp_path)
    require_tracking(experiment.recipe)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingExtraError, match=r"pip install 'graft-ml\[mlflow\]'"):
        require_tracking(experiment.recipe)


@pytest.mark.parametrize(
    ("configs", "width"),
    [
        ({"1_Pooling": '{"word_embedding_dimension": 384}'}, 384),
        ({"1_Pooling": '{"embedding_dimension": 32}', "2_Dense": '{"out_features": 8}'}, 8),
        ({}, -1),
    ],
)
def test_the_width_comes_from_the_last_module_that_knows_it(tmp_path, configs, width):
    write_json(tmp_path / "modules.json", [{"path": p} for p in ("", "1_Pooling", "2_Dense")])
    write_text(tmp_path / "config.json", '{"hidden_size": 5}')
    for name, text in configs.items():
        write_text(tmp_path / name / "config.json", text)
    assert embedding_width(tmp_path) == width
