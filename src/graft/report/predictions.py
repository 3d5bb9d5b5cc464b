"""Test predictions as the charts read them: one frame per run, unusable rows left out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

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
