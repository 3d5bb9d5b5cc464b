"""The trained model of an arm, verified and ready to use."""

from __future__ import annotations

from pathlib import Path

from sentence_transformers import SentenceTransformer

from graft.core.errors import ModelError, Problem
from graft.core.files import manifest_problems
from graft.core.layout import RunPaths
from graft.models.encoder import quiet_transformers


def load(folder: Path | str) -> SentenceTransformer:
    """Return the model of an arm, after its files were compared with their hashes.

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
    if not (place / "modules.json").is_file():
        problem = Problem(str(given), "holds no model", "give the folder of a trained arm")
        raise ModelError(given.name, [problem])
    problems = manifest_problems(place)
    if problems:
        raise ModelError(given.name, problems)
    with quiet_transformers():
        return SentenceTransformer(str(place), device="cpu", local_files_only=True)
