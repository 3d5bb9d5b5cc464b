"""Faults of a fusion, planted where its parts are trained, merged and saved."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from faults.graft_runs import ARM, graft_run
from faults.zoo import Planted, Registry, sabotage
from graft.evaluate.fusion import Fusion
from graft.runs import folds, fusion, stages
from tiny_models import colour_rows

fault = Registry()

STACKED = {"arm": ARM, "members": ["table"], "folds": 2}
ROWS = {
    "task": "classification",
    "baselines": ["base", "majority", "table"],
    "data": {"texts": ["title", "note"], "table": ["size", "shop"], "slices": ["shop"]},
}


def class_frames(classes: int = 2, train: int = 96, test: int = 48) -> dict[str, pd.DataFrame]:
    """Return training and test rows of two texts and a table."""
    frames = {"train": colour_rows(train, 1, classes), "test": colour_rows(test, 2, classes)}
    names = np.array(["red", "green", "blue"])
    return {
        split: frame.drop(columns="row").assign(label=names[frame["label"].astype(int)])
        for split, frame in frames.items()
    }


def fused_run(
    folder: Path, during: contextlib.AbstractContextManager[Any], **section: Any
) -> Planted:
    """Run an experiment with one arm and one fusion; `during` holds all the while."""
    with during:
        return graft_run(
            folder, rows=class_frames(), fusion={"fused": {**STACKED, **section}}, **ROWS
        )


@fault("DAT-28", "stacking_folds")
def parts_that_know_the_rows_they_are_stacked_on(folder: Path) -> Planted:
    """In every fold the arm is trained on all training rows, those of the fold included."""

    def on_everything(prepare: Any) -> Any:
        return lambda experiment, arm, _: prepare(experiment, arm, stages.read_rows(experiment))

    return fused_run(folder, sabotage(folds, "prepare_arm", on_everything))


@fault("EVL-08", "fusion_reloads")
def a_fusion_saved_with_another_intercept(folder: Path) -> Planted:
    """The saved regression of the stack is not the one that predicted in memory."""

    def shifted(save: Any) -> Any:
        def write(place: Path, task: Any, facts: Any, fused: Fusion, *more: Any) -> None:
            moved = replace(fused, intercepts=tuple(value + 1 for value in fused.intercepts))
            save(place, task, facts, moved, *more)

        return write

    return fused_run(folder, sabotage(fusion, "save_fusion", shifted))


@fault("EVL-06", "fusion_differs")
def a_fusion_that_passes_its_first_part_on(folder: Path) -> Planted:
    """The table is fitted, and never merged into the prediction."""

    @contextlib.contextmanager
    def first_part() -> Iterator[None]:
        with sabotage(Fusion, "predict", lambda _: lambda self, parts: parts[self.parts[0]]):
            yield

    return fused_run(folder, first_part())
