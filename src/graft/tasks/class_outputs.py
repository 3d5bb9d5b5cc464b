"""From what a head or an estimator says of rows to the prediction columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from graft.core.facts import MULTI_LABEL, REGRESSION, RowFacts
from graft.metrics.label_sets import probability_columns
from graft.metrics.probabilities import class_columns, probabilities_of
from graft.models.heads import ClassifierLayout
from graft.tasks.protocol import Array


def answers(outputs: Array, problem_type: str) -> dict[str, Array]:
    """Return the prediction columns of probabilities, or of predicted numbers.

    Args:
        outputs: Probabilities of shape (rows, classes), or numbers of shape (rows, 1).
        problem_type: What the label is.
    """
    if problem_type == REGRESSION:
        return {"score": outputs[:, 0].copy()}
    found = probability_columns if problem_type == MULTI_LABEL else class_columns
    columns: dict[str, Array] = dict(found(outputs))
    return columns


def outputs_of(columns: Mapping[str, Array], facts: RowFacts) -> Array:
    """Return what `answers` made the prediction columns of.

    Example:
        >>> outputs_of({"score": np.array([0.25])}, RowFacts(classes=("no", "yes")))
        array([[0.75, 0.25]])
    """
    if facts.regression:
        return np.asarray(columns["score"], dtype=np.float64)[:, None]
    if facts.multi_label:
        return np.stack([columns[f"p_{place}"] for place in range(len(facts.classes))], axis=1)
    found: Array = probabilities_of(columns, len(facts.classes))
    return found


def answered(logits: Tensor, layout: ClassifierLayout) -> dict[str, Array]:
    """Return the prediction columns of the logits of a head.

    Args:
        logits: `[rows, outputs]`.
        layout: What they stand for.
    """
    wide = logits.double()
    if layout.problem_type == REGRESSION:
        outputs = wide * layout.target_scale + layout.target_mean
    elif layout.problem_type == MULTI_LABEL:
        outputs = torch.sigmoid(wide)
    else:
        outputs = torch.softmax(wide, dim=1)
    return answers(outputs.cpu().numpy(), layout.problem_type)
