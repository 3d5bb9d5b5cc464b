"""The trained model of an arm, verified and ready to use."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from sentence_transformers import SentenceTransformer

from graft.core.errors import ModelError, Problem
from graft.core.files import manifest_problems
from graft.core.layout import RunPaths
from graft.core.roles import Split
from graft.models.encoder import quiet_transformers
from graft.models.heads import is_classifier, load_classifier
from graft.models.series.folders import is_series_classifier, load_series_classifier
from graft.models.series.modeling_series import SeriesClassifier
from graft.runs.classifier import Classifier


def load(folder: Path | str) -> SentenceTransformer | Classifier | SeriesClassifier:
    """Return the model of an arm, after its files were compared with their hashes.

    Of pairs that is a `SentenceTransformer`; of a classification a `Classifier`, whose `predict`
    takes rows; of series a `SeriesClassifier`, a model of Transformers.

    Args:
        folder: The arm's folder (`runs/x/lora`) or its model folder (`runs/x/lora/model`).

    Raises:
        ModelError: There is no model, or a file is missing or differs from its hash.

    Example:
        >>> load("runs/none/lora")
        Traceback (most recent call last):
        ...
        graft.core.errors.ModelError: ...
    """
    given = Path(folder)
    place = RunPaths(given).model if RunPaths(given).model.is_dir() else given
    of_series = is_series_classifier(place)
    if not (of_series or (place / "modules.json").is_file()):
        problem = Problem(str(given), "holds no model", "give the folder of a trained arm")
        raise ModelError(given.name, [problem])
    problems = manifest_problems(place)
    if problems:
        raise ModelError(given.name, problems)
    if of_series:
        return load_series_classifier(place)
    if is_classifier(place):
        return Classifier(load_classifier(place), decision_threshold(given))
    with quiet_transformers():
        return SentenceTransformer(str(place), device="cpu", local_files_only=True)


def decision_threshold(model: Path) -> float | None:
    """Return the decision threshold of the run behind the model, None if there is none."""
    root = model if RunPaths(model).model.is_dir() else model.parent
    paths = RunPaths(root)
    for place in (paths.predictions(Split.test), paths.in_memory(Split.test)):
        if place.is_file() and "threshold" in pq.read_schema(place).names:
            known = pd.read_parquet(place, columns=["threshold"])["threshold"].dropna()
            return float(known.iloc[0]) if len(known) else None
    return None
