"""Decisions and scores of a model on labelled rows, from its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graft.audits.folders.answers import Answers
from graft.audits.folders.rows import Rows
from graft.core.errors import NotApplicableError
from graft.tasks.protocol import Array

DECIMALS = 3  # to which a score counts as the same


@dataclass(frozen=True, eq=False)
class Decisions:
    """What a model decides.

    Args:
        values: `[rows]`: the class, or the rounded score.
        scores: `[rows, classes]` logits, or `[rows, 1]` scores.
        margins: `[rows]`: how much the outputs would have to change for another decision.
        names: Names of the classes; empty for scores.
    """

    values: Array
    scores: Array
    margins: Array
    names: tuple[str, ...]


def decisions(answers: Answers, rows: Rows) -> Decisions:
    """Return what the model decides on the rows.

    Raises:
        NotApplicableError: Its outputs are no numbers, or decide nothing: token logits, or
            embeddings of one text.
    """
    outputs = answers.outputs.astype(np.float64)
    if not np.isfinite(outputs).all():
        raise NotApplicableError("the model's outputs hold NaN or infinity")
    if answers.kind == "labels" and outputs.shape[1] > 1:
        ordered = np.sort(outputs, axis=1)
        # Two logits can move towards each other.
        margins = (ordered[:, -1] - ordered[:, -2]) / 2
        return Decisions(outputs.argmax(axis=1), outputs, margins, answers.labels)
    if answers.kind == "embedding" and len(rows.texts[0]) == 2:
        scores = cosines(outputs)[:, None]
    elif answers.kind == "labels":
        scores = outputs
    else:
        raise NotApplicableError("the model's outputs decide nothing on such rows")
    values = np.round(scores[:, 0], DECIMALS)
    to_edge = 0.5 * 10.0**-DECIMALS - np.abs(scores[:, 0] - values)
    return Decisions(values, scores, to_edge, ())


def cosines(pairs: Array) -> Array:
    """Return the cosine of the two embeddings that lie side by side in each row.

    Example:
        >>> cosines(np.array([[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]])).tolist()
        [1.0, 0.0]
    """
    one, other = np.split(pairs, 2, axis=1)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / np.maximum(norms, 1e-12))


def positions(labels: Sequence[object], names: Sequence[str]) -> Array | None:
    """Return the class of each label, by its name or its number; None if one is no class.

    Example:
        >>> positions(["blue", "red"], ("red", "blue")).tolist()
        [1, 0]
    """
    by_name = {name.casefold(): place for place, name in enumerate(names)}
    found = [by_name.get(str(label).casefold()) for label in labels]
    if None in found:
        whole = [label for label in labels if isinstance(label, int) and 0 <= label < len(names)]
        if len(whole) < len(labels):
            return None
        found = list(whole)
    return np.array(found)
