"""From the embeddings of two texts to the prediction columns of a pair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from torch import Tensor

from graft.tasks.protocol import Array


def pair_columns(
    rows: pd.DataFrame, encode: Callable[[list[str]], Array | Tensor]
) -> dict[str, Array]:
    """Return score and both embeddings of each row; equal texts are encoded once.

    Args:
        rows: Rows with `sentence1` and `sentence2`.
        encode: Texts to their embeddings `[texts, dimension]`.

    Example:
        >>> rows = pd.DataFrame({"sentence1": ["a", "a"], "sentence2": ["b", "a"]})
        >>> pair_columns(rows, lambda texts: np.eye(2)[: len(texts)])["score"].tolist()
        [0.0, 1.0]
    """
    texts = pd.unique(pd.concat([rows["sentence1"], rows["sentence2"]]))
    vectors = np.asarray(encode(list(texts)), dtype=np.float64)
    place = {text: index for index, text in enumerate(texts)}
    first = vectors[[place[text] for text in rows["sentence1"]]]
    second = vectors[[place[text] for text in rows["sentence2"]]]
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    score = (first * second).sum(axis=1) / np.maximum(norms, 1e-12)
    return {"score": score, "sentence1": first, "sentence2": second}
