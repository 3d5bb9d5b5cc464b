"""Faults of a pretraining: masks that hide nothing, or too little, and rows that should not be."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from faults.zoo import Planted, Registry, listening, sabotage
from graft.core.findings import Status
from graft.models.series.pretraining import SeriesPretrainer
from graft.runs import pretraining, pretraining_rows
from graft.runs.experiment import bound, open_experiment
from graft.runs.pipeline import prepare_data
from graft.tasks import series_masks
from series_models import sine_rows

fault = Registry()
RECIPE: dict[str, Any] = {
    "name": "pretrained",
    "task": "series",
    "encoder": {"kind": "gru", "width": 24, "layers": 1, "normalisation": "series"},
    "arms": {"at_once": {}},
}
TRAINING = {"num_train_epochs": 12, "learning_rate": 1e-2, "per_device_train_batch_size": 16}


def labelled(count: int = 30) -> pd.DataFrame:
    """Return rows of two classes as a user gives them."""
    rows = sine_rows(count, 1)
    return rows.assign(label=["low", "high"] * (count // 2)).drop(columns="row")


def write_rows(rows: pd.DataFrame, file: Path) -> Path:
    """Write series as lists of time steps."""
    lists = [[[float(v) for v in step] for step in series] for series in rows["series"]]
    rows.drop(columns=["row", "series"], errors="ignore").assign(series=lists).to_parquet(file)
    return file


def pretraining_run(
    folder: Path,
    rows: pd.DataFrame | None = None,
    during: contextlib.AbstractContextManager[Any] = contextlib.nullcontext(),  # noqa: B008 - it holds nothing
    **section: Any,
) -> Planted:
    """Return what a real pretraining asked of its checks.

    Args:
        folder: An empty folder.
        rows: Rows without labels; 120 of their own if left out.
        during: What is sabotaged meanwhile.
        **section: More of the recipe's section.
    """
    train = write_rows(labelled(), folder / "train.parquet")
    windows = sine_rows(120, 2) if rows is None else rows
    file = write_rows(windows, folder / "windows.parquet")
    plain = {"unlabelled": str(file), "training": TRAINING, **section}
    recipe = {**RECIPE, "data": {"train": str(train)}, "pretrain": plain}
    experiment = open_experiment(recipe, root=folder / "runs")
    found = prepare_data(experiment)
    wanted = experiment.recipe.pretrain
    assert wanted is not None
    with listening() as asked, during:
        pretraining.pretrain(bound(experiment), wanted, found)
    return Planted(tuple(asked))


@fault("DAT-02", "supervision", "learned")
def mask_that_covers_nothing(folder: Path) -> Planted:
    """The masks are drawn and come out empty, so that the loss has nothing to be a mean over."""

    def empty(_: Any) -> Any:
        return lambda section, time, channels, chance: np.zeros((time, channels), dtype=bool)

    return pretraining_run(folder, during=sabotage(series_masks, "draw_mask", empty))


@fault("DAT-29", "hidden_values")
def mask_on_the_loss_alone(folder: Path) -> Planted:
    """The mask says where the loss is, but the encoder reads the series whole."""

    def seeing(forward: Any) -> Any:
        def look(model: Any, values: Any, lengths: Any, hidden: Any) -> Any:
            return forward(model, values, lengths, torch.zeros_like(hidden))

        return look

    return pretraining_run(folder, during=sabotage(SeriesPretrainer, "forward", seeing))


@fault("DAT-14", "leakage")
def held_out_rows_among_those_to_learn_from(folder: Path) -> Planted:
    """The rows that are held out are drawn after they were put among the others."""

    def both(of: Any) -> Any:
        def rows(found: Any, split: Any) -> Any:
            held_out = of(found, "validation").assign(split=split)
            return held_out if split == "validation" else pd.concat([of(found, split), held_out])

        return rows

    place = pretraining_rows.PretrainingRows
    return pretraining_run(folder, during=sabotage(place, "of", both))


@fault("DAT-14", "test_rows_seen", status=Status.warned)
def test_rows_without_their_labels(folder: Path) -> Planted:
    """All rows of the archive are pretrained on, those that are tested later among them."""
    rows = pd.concat([sine_rows(80, 2), labelled().drop(columns="label")], ignore_index=True)
    return pretraining_run(folder, rows)
