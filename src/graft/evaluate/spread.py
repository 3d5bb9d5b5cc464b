"""How much of their space embeddings use: the measure of a collapse."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from graft.core.probes import Spread
from graft.core.roles import Split
from graft.data.series import COLUMN as SERIES
from graft.tasks.protocol import Array

MOST_TEXTS = 2000


def text_spread(rows: pd.DataFrame, columns: Mapping[str, Array]) -> Spread:
    """Return the spread of the embeddings of the test rows; a text counts once.

    Args:
        rows: Rows with `row`, `split` and what was embedded.
        columns: Prediction columns of the rows; those of two dimensions are embeddings of the
            column that they are named after.
    """
    test = (rows["split"] == Split.test).to_numpy()
    vectors: dict[str, Array] = {}
    for role, values in columns.items():
        if values.ndim == 2:
            vectors.update(zip(shown_inputs(rows[test], role), values[test], strict=True))
    return spread_of(np.array(list(vectors.values())[:MOST_TEXTS]))


def shown_inputs(rows: pd.DataFrame, role: str) -> pd.Series[str]:
    """Return what was embedded as words: a text itself, the id of the row of anything else.

    Args:
        rows: Rows with `row`, and their texts if they have any.
        role: Column that was embedded.
    """
    return rows["row"] if role == SERIES else rows[role]


def spread_of(vectors: Array) -> Spread:
    """Return how much of their space `[texts, dimension]` embeddings use.

    The effective rank is that of Roy & Vetterli (2007). With fewer than two texts both figures
    are 0.

    Example:
        >>> spread_of(np.eye(4)).mean_cosine, round(spread_of(np.eye(4)).effective_rank, 6)
        (0.0, 4.0)
    """
    if len(vectors) < 2:
        return Spread(len(vectors), 0.0, 0.0, 0)
    count, dimension = vectors.shape
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    total = float(np.square(units.sum(axis=0)).sum())
    weights = np.linalg.svd(units, compute_uv=False)
    shares = weights / weights.sum()
    shares = shares[shares > 0]
    return Spread(
        texts=count,
        mean_cosine=(total - count) / (count * (count - 1)),
        effective_rank=math.exp(-float((shares * np.log(shares)).sum())),
        dimension=dimension,
    )
