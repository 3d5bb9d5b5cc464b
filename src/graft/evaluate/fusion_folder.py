"""The artefact of a fusion: its members and weights, and which model gives the text part."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from graft.core.errors import ModelError, Problem
from graft.core.facts import RowFacts
from graft.core.files import MANIFEST, manifest_problems, read_json, sha256_file, write_json
from graft.evaluate.fusion import Fusion
from graft.metrics.probabilities import class_columns, probabilities_of
from graft.tasks.class_baselines import FittedBaseline, row_columns
from graft.tasks.protocol import Array, Task

STACKER = "stacker.json"
# What these baselines need beyond the types that skops builds without being asked. A partial of
# any other function would be named, and refused, by itself. The nodes of a tree are taken as they
# are, so a forged file can crash the process: load only folders whose maker you trust.
TRUSTED = (
    "functools.partial",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)


@dataclass(frozen=True)
class FusionFolder:
    """What a fusion's folder says of itself.

    Args:
        task: Kind of task.
        facts: Columns and classes.
        fusion: The weights of the parts.
        text: Part that the text model gives.
        text_model: Folder of this model, seen from the fusion's folder.
        text_sha256: SHA-256 of its manifest.
        members: Parts that the saved members give.
    """

    task: str
    facts: RowFacts
    fusion: Fusion
    text: str
    text_model: str
    text_sha256: str
    members: tuple[str, ...]


def is_fusion(folder: Path) -> bool:
    """Return True if the folder is the artefact of a fusion."""
    return (folder / STACKER).is_file()


def save_fusion(
    folder: Path,
    task: Task,
    facts: RowFacts,
    fusion: Fusion,
    text: tuple[str, Path],
    members: Mapping[str, FittedBaseline],
) -> None:
    """Write members as skops files and everything else as JSON; the text model stays where it is.

    Args:
        folder: Where to write, beside the place where it will lie in the end.
        task: The kind of task.
        facts: Columns and classes.
        fusion: The weights.
        text: Part that the text model gives, and the model's folder.
        members: Part to the fitted baseline that gives it.
    """
    from skops.io import dump  # noqa: PLC0415 - slow to import, for one kind of artefact

    (folder / "members").mkdir()
    for name, member in members.items():
        dump(member.estimator, folder / "members" / f"{name}.skops")
    name, model = text
    said = FusionFolder(
        task=task.name,
        facts=facts,
        fusion=fusion,
        text=name,
        text_model=Path(os.path.relpath(model, folder)).as_posix(),
        text_sha256=sha256_file(model / MANIFEST),
        members=tuple(members),
    )
    write_json(folder / STACKER, said)


@dataclass(frozen=True)
class LoadedFusion:
    """A fusion as it was saved.

    Args:
        said: What its folder says.
        model: Folder of the text model.
        members: Part to the fitted baseline that gives it.
    """

    said: FusionFolder
    model: Path
    members: Mapping[str, FittedBaseline]


def load_fusion(folder: Path) -> LoadedFusion:
    """Return a saved fusion, all but its text model loaded.

    Args:
        folder: The fusion's folder.

    Raises:
        ModelError: A file is missing, changed, or holds a type that is not known to be safe.
    """
    problems = manifest_problems(folder)
    if problems:
        raise ModelError(str(folder), problems)
    said = read_json(folder / STACKER, FusionFolder)
    model = (folder / said.text_model).resolve()
    _check_text_model(model, said)
    inputs = row_columns(said.facts)
    members = {
        name: FittedBaseline(_load(folder / "members" / f"{name}.skops"), said.facts, inputs)
        for name in said.members
    }
    return LoadedFusion(said, model, members)


def predict_fusion(folder: Path, rows: pd.DataFrame, task: Task) -> dict[str, Array]:
    """Return the prediction columns of a saved fusion, every part of it loaded from disk.

    Args:
        folder: The fusion's folder.
        rows: Rows with texts and table columns.
        task: The kind of task, bound to the facts.

    Raises:
        ModelError: A file is missing, changed, or holds a type that is not known to be safe.
    """
    loaded = load_fusion(folder)
    said, classes = loaded.said, len(loaded.said.facts.classes)
    parts: dict[str, Array] = {
        said.text: probabilities_of(task.predict_folder(loaded.model, rows, None), classes)
    }
    for name, member in loaded.members.items():
        parts[name] = member.outputs(rows)
    columns: dict[str, Array] = dict(class_columns(said.fusion.predict(parts)))
    return columns


def _check_text_model(model: Path, said: FusionFolder) -> None:
    problems = manifest_problems(model)
    if not problems and sha256_file(model / MANIFEST) != said.text_sha256:
        what = f"is another model than the one that was fused as '{said.text}'"
        problems = [Problem(str(model), what, "fuse again")]
    if problems:
        raise ModelError("text model of the fusion", problems)


def _load(file: Path) -> Any:  # noqa: ANN401 - any estimator of scikit-learn
    """Return a saved estimator; types beyond those of skops and `TRUSTED` are not built."""
    from skops.io import load  # noqa: PLC0415 - slow to import, for one kind of artefact
    from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415

    try:
        return load(file, trusted=TRUSTED)
    except UntrustedTypesFoundException as error:
        problem = Problem(str(file), f"holds types that are not trusted: {error}", "fuse again")
        raise ModelError("member of the fusion", [problem]) from None
