"""From what a head or an estimator says of rows to the prediction columns."""

from __future__ import annotations

import torch
from torch import Tensor

from graft.core.facts import MULTI_LABEL, REGRESSION
from graft.metrics.label_sets import probability_columns
from graft.metrics.probabilities import class_columns
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
