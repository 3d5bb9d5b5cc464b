"""Test predictions as the charts read them: one frame per run, unusable rows left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graft.core.facts import RowFacts
from graft.metrics.decisions import decisions
from graft.report.palette import RunStyle

Frames = Mapping[str, pd.DataFrame]
Styles = Mapping[str, RunStyle]
FILES = "<run>/predictions/test.parquet"


def scored(frames: Frames) -> dict[str, pd.DataFrame]:
    """Return the frames that have a score and a label, without rows where either is missing."""
    usable = {}
    for name, frame in frames.items():
        if {"score", "label"} <= set(frame.columns):
            rows = frame.dropna(subset=["score", "label"])
            if len(rows):
                usable[name] = rows.reset_index(drop=True)
    return usable


def is_binary(frames: Frames) -> bool:
    """Return True if every label is 0 or 1."""
    return all(frame["label"].isin([0, 1]).all() for frame in frames.values())


def is_probability(frames: Frames) -> bool:
    """Return True if every score is a number between 0 and 1."""
    return all(frame["score"].between(0, 1).all() for frame in frames.values())


def decided(frame: pd.DataFrame) -> NDArray[np.int64] | None:
    """Return the class that each row is decided to be, None if nothing was decided.

    Args:
        frame: `predicted` among more than two classes, `score` and `threshold` of two.

    Example:
        >>> decided(pd.DataFrame({"score": [0.2, 0.7], "threshold": [0.4, 0.4]})).tolist()
        [0, 1]
    """
    found = decisions(columns_of(frame))
    return None if found is None or np.isnan(found).any() else found.astype(np.int64)


def columns_of(frame: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return what measures read of the frame: label, score, threshold and decision."""
    names = [name for name in ("label", "score", "threshold", "predicted") if name in frame]
    return {name: frame[name].to_numpy(dtype=np.float64) for name in names}


def readable(frame: pd.DataFrame, facts: RowFacts, slices: Sequence[str]) -> pd.DataFrame:
    """Return the frame without table columns: what is left of strings is texts and slices.

    Args:
        frame: Predictions with all columns of the rows.
        facts: What is known of the columns; without texts the frame stays as it is.
        slices: Slice columns.
    """
    if not facts.texts:
        return frame
    kept = {"row", "label", "score", "threshold", "predicted", "leaked", *facts.texts, *slices}
    return frame[[name for name in frame.columns if name in kept]]
