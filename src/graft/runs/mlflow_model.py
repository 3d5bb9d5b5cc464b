"""A Sentence-Transformers folder as an MLflow model: the files as they are, and a description.

The files are copied, not loaded and saved again: what is logged is the artefact that was
evaluated, byte for byte, and no weight has to be in memory.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, Schema, TensorSpec

from graft.core.layout import RunPaths
from graft.runs.tracked import TrackedRun, TrackingJob

# Where MLflow's own loader of Sentence-Transformers models looks for the files.
MODEL_DATA = "model.sentence_transformer"
_FLAVOUR = "sentence_transformers"


def log_model(
    client: MlflowClient, job: TrackingJob, experiment: str, run: TrackedRun, run_id: str
) -> str:
    """Log the model of `run` as an output of the MLflow run `run_id` and return its id.

    `mlflow.sentence_transformers.load_model` and `mlflow.pyfunc.load_model` load it; the second
    maps a list of texts to their embeddings.
    """
    folder = RunPaths(Path(run.folder)).model
    # MLflow takes none of these characters in the name of a model.
    name = re.sub(r"[/:.%\"']", "_", run.name)
    logged = client.create_logged_model(
        experiment, name=name, source_run_id=run_id, tags=run.tags, params=run.params
    )
    described = Model(
        artifact_path=logged.artifact_location,
        run_id=run_id,
        model_id=logged.model_id,
        model_uuid=logged.model_id,
        signature=_signature(folder),
        model_size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )
    described.add_flavor(_FLAVOUR, code=None)
    # What `mlflow.pyfunc.add_to_model` writes; importing it costs seconds and warnings.
    described.add_flavor(
        "python_function",
        loader_module=f"mlflow.{_FLAVOUR}",
        python_version=platform.python_version(),
        data=MODEL_DATA,
        env={"virtualenv": "python_env.yaml"},
    )
    with TemporaryDirectory() as stage:
        shutil.copytree(folder, Path(stage) / MODEL_DATA)
        described.save(str(Path(stage) / "MLmodel"))
        _write_environment(Path(stage), job.requirements)
        client.log_model_artifacts(logged.model_id, stage)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def _signature(folder: Path) -> ModelSignature:
    """One text per row in, one embedding per row out."""
    embedding = TensorSpec(np.dtype("float32"), (-1, embedding_width(folder)))
    return ModelSignature(inputs=Schema([ColSpec("string")]), outputs=Schema([embedding]))


def embedding_width(folder: Path) -> int:
    """Return the length of the embeddings of a model folder; -1 if its files do not tell."""
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    for module in reversed(modules):
        place = folder / module["path"] / "config.json"
        known: dict[str, Any] = (
            json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
        )
        for key in ("out_features", "embedding_dimension", "word_embedding_dimension"):
            if isinstance(known.get(key), int):
                return int(known[key])
    return -1


def _write_environment(stage: Path, requirements: tuple[str, ...]) -> None:
    """Name the packages that load the model, without MLflow importing it to find out."""
    (stage / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))
    # JSON is YAML; MLflow reads this file to build an environment.
    environment = {
        "python": platform.python_version(),
        "build_dependencies": ["pip"],
        "dependencies": ["-r requirements.txt"],
    }
    (stage / "python_env.yaml").write_text(json.dumps(environment))
