"""Encoders and classifiers of series on disk: loaded with the origin of every tensor, and saved.

The classes are those of `modeling_series`, whatever code lies in a folder: nothing that comes with
a model is run. Whether that code is this one is told by its hash.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch

from graft.config.sections import BaseSection
from graft.core.errors import ModelError, Problem
from graft.core.files import sha256_file
from graft.core.origins import LoadReport
from graft.models.encoder import quiet_transformers, readable
from graft.models.locate import LocatedBase
from graft.models.origins import backbone_name, check_before_load, compared_with_files
from graft.models.series import modeling_series
from graft.models.series.modeling_series import (
    SeriesClassifier,
    SeriesConfig,
    SeriesEncoder,
    SeriesModel,
)

# What a classifier of series calls its encoder.
ENCODER = "encoder"
_CODE = Path(inspect.getfile(modeling_series))


def load_series_encoder(
    base: LocatedBase, section: BaseSection
) -> tuple[SeriesEncoder, LoadReport]:
    """Return the encoder of `base` in float32 on the processor, in evaluation mode.

    Every tensor is compared with the file, bit for bit; the report names them as they are called
    in a classifier, `encoder.` first.

    Args:
        base: Folder of an encoder, or of a classifier, whose encoder is taken.
        section: Its section of the recipe.

    Raises:
        ModelError: The folder holds no encoder of series; or names every tensor that is missing,
            left over or of another shape and that the recipe does not allow.
    """
    config = read_config(base.folder)
    with readable(base.folder), torch.device("meta"):
        skeleton = SeriesEncoder(config)
    check_before_load(base.folder, skeleton, section.allow)
    with readable(base.folder), quiet_transformers():
        encoder = SeriesEncoder.from_pretrained(base.folder, config=config, dtype=torch.float32)
    encoder.eval()
    names = encoder.state_dict()
    state = {f"{ENCODER}.{name}": tensor for name, tensor in names.items()}

    def name_of(_: str, key: str) -> str:
        return f"{ENCODER}.{backbone_name(key, names, encoder)}"

    report = compared_with_files(encoder, state, base, name_of, section.allow)
    return encoder, report


def load_series_classifier(folder: Path) -> SeriesClassifier:
    """Return the classifier in `folder`, in evaluation mode.

    Raises:
        ModelError: The folder holds no classifier of series, or not all of its tensors.
    """
    config = read_config(folder)
    if not is_series_classifier(folder):
        problem = Problem(str(folder), "holds an encoder without a head", "give a trained arm")
        raise ModelError(folder.name, [problem])
    with readable(folder), torch.device("meta"):
        skeleton = SeriesClassifier(config)
    check_before_load(folder, skeleton, ())
    with readable(folder), quiet_transformers():
        model: SeriesClassifier = SeriesClassifier.from_pretrained(
            folder, config=config, dtype=torch.float32
        )
    model.eval()
    return model


def read_config(folder: Path) -> SeriesConfig:
    """Return the shape of the encoder or classifier in `folder`.

    Raises:
        ModelError: The folder holds no model of series.
    """
    with readable(folder):
        kind = _plain_config(folder).get("model_type")
        if kind == SeriesConfig.model_type:
            config: SeriesConfig = SeriesConfig.from_pretrained(folder)
            return config
    problem = Problem(
        str(folder / "config.json"),
        f"describes a model of type '{kind}', not '{SeriesConfig.model_type}'",
        "give the folder of an encoder of series, or leave base.model out",
    )
    raise ModelError(folder.name, [problem])


def is_series_classifier(folder: Path) -> bool:
    """Return True if `save_series` wrote a classifier into the folder."""
    if not (folder / "config.json").is_file():
        return False
    return SeriesClassifier.__name__ in (_plain_config(folder).get("architectures") or ())


def _plain_config(folder: Path) -> dict[str, Any]:
    plain = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return plain if isinstance(plain, dict) else {}


def save_series(model: SeriesModel, folder: Path) -> None:
    """Write the encoder or classifier as a Transformers folder with the code that loads it."""
    with quiet_transformers():
        model.save_pretrained(folder)


def code_hash(folder: Path | None = None) -> str:
    """Return the SHA-256 of the code that a folder's users run, of Graft's own without a folder."""
    place = _CODE if folder is None else folder / _CODE.name
    return sha256_file(place) if place.is_file() else "missing"
