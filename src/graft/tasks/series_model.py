"""The model of a series task before training: the base, its new head, and what each is from."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import nn

from graft.config.sections import ArmSection
from graft.core.errors import ModelError, Problem
from graft.core.facts import RowFacts
from graft.core.origins import LoadReport
from graft.core.seeds import derive
from graft.data.series import COLUMN
from graft.models.locate import LocatedBase
from graft.models.report import Added, with_new_tensors
from graft.models.series.building import new_encoder
from graft.models.series.folders import load_series_encoder
from graft.models.series.modeling_series import SeriesClassifier, SeriesConfig
from graft.tasks.class_task import NEW_MODULES


def build_series_classifier(
    facts: RowFacts, arm: ArmSection, base: LocatedBase, seed: int, rows: pd.DataFrame
) -> tuple[SeriesClassifier, LoadReport]:
    """Return the encoder of the base with a new pooling and head, and where each tensor is from.

    The normalisation is that of the base. Without pretraining it is fitted to `rows` instead.

    Args:
        facts: Channels and classes.
        arm: The arm.
        base: The base model.
        seed: The experiment's seed.
        rows: Training rows.

    Raises:
        ModelError: The base cannot be loaded, or reads other channels.
    """
    encoder, report = load_series_encoder(base, arm.base)
    check_channels(encoder.config, facts.channels, base)
    config = _with_head(encoder.config, facts, arm, rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "head"))
        model = SeriesClassifier(config)
    sources: list[tuple[Added, str]] = [
        (lambda name: name.startswith(NEW_MODULES), "head: new, random")
    ]
    if arm.control == "random_init":
        encoder = new_encoder(encoder.config, list(rows[COLUMN]), derive(seed, "random_init"))
        sources.append((lambda name: True, "random_init: control without pretraining"))
    model.encoder = encoder
    model.eval()
    return model, with_new_tensors(report, model, sources)


def _with_head(
    config: SeriesConfig, facts: RowFacts, arm: ArmSection, rows: pd.DataFrame
) -> SeriesConfig:
    """Return the shape of the encoder with that of the classifier on top."""
    pooling = arm.classifier.pooling
    classes = dict(enumerate(facts.classes))
    more = {
        "pooling": config.pooling if pooling == "base" else pooling,
        "id2label": classes,
        "label2id": {name: place for place, name in classes.items()},
        "class_rows": [int((rows["label"] == place).sum()) for place in classes],
    }
    found: SeriesConfig = SeriesConfig.from_dict({**config.to_dict(), **more})
    return found


def check_channels(config: SeriesConfig, channels: Sequence[str], base: LocatedBase) -> None:
    """Return if the encoder reads these channels.

    Channels that are numbered because nobody named them fit any of the same number.

    Args:
        config: Shape of the encoder.
        channels: Channels of the rows.
        base: Where the encoder is from.

    Raises:
        ModelError: They are others, or stand in another order.
    """
    known, given = list(config.channel_names), list(channels)
    numbered = [f"channel_{place + 1}" for place in range(len(given))]
    same = known == given or numbered in (known, given) or not known
    if len(given) == config.channels and same:
        return
    what = f"reads the channels {known or config.channels}, the rows have {given}"
    fix = "give the rows the channels of the base, in its order, or take another base"
    raise ModelError(base.name, [Problem(str(base.folder), what, fix)])


def assert_series(model: nn.Module) -> SeriesClassifier:
    """Return `model` as the classifier that the task's `build` made."""
    if not isinstance(model, SeriesClassifier):
        raise TypeError(f"series need a SeriesClassifier, received {type(model).__name__}")
    return model
