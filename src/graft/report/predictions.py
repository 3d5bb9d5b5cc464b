"""Test predictions as the charts read them: one frame per run, unusable rows left out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graft.core.facts import RowFacts
from graft.metrics.decisions import correct, decisions
from graft.metrics.label_sets import has_label_sets, label_probabilities, true_labels
from graft.metrics.probabilities import probability_names
from graft.report.palette import RunStyle

Frames = Mapping[str, pd.DataFrame]
Styles = Mapping[str, RunStyle]
FILES = "<run>/predictions/test.parquet"
# The columns that measures read.
_OF_MEASURES = re.compile(r"label|score|threshold|predicted|[py]_[0-9]+")


def scored(frames: Frames) -> dict[str, pd.DataFrame]:
    """Return the frames that have a score and a label, without rows where either is missing.

    Of several labels the probabilities stand for the score.
    """
    usable = {}
    for name, frame in frames.items():
        several = has_label_sets(frame.columns)
        needed = ["label", *(probability_names(frame.columns) if several else ["score"])]
        if set(needed) <= set(frame.columns):
            rows = frame.dropna(subset=needed)
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
    """Return what measures read of the frame: labels, scores, threshold and decision."""
    names = [name for name in frame.columns if _OF_MEASURES.fullmatch(name)]
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
    kept = {"row", "leaked", *facts.texts, *slices}
    found = [name for name in frame.columns if name in kept or _OF_MEASURES.fullmatch(name)]
    return frame[found]


def pooled(frame: pd.DataFrame) -> pd.DataFrame:
    """Return several labels as rows of their own: the probability of each, and whether it is there.

    A frame of another kind stays as it is.

    Example:
        >>> frame = pd.DataFrame({"p_0": [0.2], "p_1": [0.9], "y_0": [0.0], "y_1": [1.0]})
        >>> pooled(frame).to_dict("list")
        {'score': [0.2, 0.9], 'label': [0.0, 1.0]}
    """
    if not has_label_sets(frame.columns):
        return frame
    columns = columns_of(frame)
    return pd.DataFrame(
        {
            "score": label_probabilities(columns).ravel(),
            "label": true_labels(columns).ravel().astype(float),
        }
    )


def decides(frame: pd.DataFrame) -> bool:
    """Return True if every row of the frame was decided."""
    columns = columns_of(frame)
    known = all(np.isfinite(values).all() for values in columns.values())
    return known and correct(columns) is not None
