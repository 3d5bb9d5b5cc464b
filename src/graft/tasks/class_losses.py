"""The losses of a classification, row by row, so that any division of a batch has the same sum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, log_softmax

from graft.config.sections import ArmSection
from graft.core.facts import MULTI_LABEL, REGRESSION
from graft.models.heads import ClassifierLayout

# Of the probability of a wrong class: below it the power of the focal loss has no finite slope.
_LEAST = 1e-12


def summed_loss(
    logits: Tensor, labels: Tensor, arm: ArmSection, layout: ClassifierLayout
) -> Tensor:
    """Return the loss of the rows, summed, each times the weight of its class.

    Of several labels it is the mean over the labels, each times the weight of its being there, or
    not. A number is compared in the unit of the head. The weights have a mean of 1 over the
    training rows, so the sum is divided by the number of rows with any weights: the mean over an
    epoch is the weighted mean, and the gradient does not depend on how the rows of a step are
    divided.

    Args:
        logits: `[rows, outputs]`.
        labels: Class or number of each row, `[rows]`, or 0 and 1 for each label `[rows, labels]`.
        arm: Its loss, label smoothing, gamma and class weights.
        layout: What the label is, and what is known of the training rows.
    """
    if layout.problem_type == REGRESSION:
        targets = (labels.double() - layout.target_mean) / layout.target_scale
        return ((logits[:, 0] - targets.to(logits.dtype)) ** 2).sum()
    if layout.problem_type == MULTI_LABEL:
        return _of_labels(logits, labels, arm, layout).mean(dim=1).sum()
    return _of_classes(logits, labels, arm, layout.class_rows).sum()


def _of_classes(
    logits: Tensor, labels: Tensor, arm: ArmSection, class_rows: Sequence[int]
) -> Tensor:
    classifier = arm.classifier
    if arm.loss == "focal":
        each = focal_losses(logits, labels, classifier.focal_gamma)
    else:
        smoothing = classifier.label_smoothing
        each = cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    if classifier.class_weight == "balanced":
        weights = torch.tensor(balanced_weights(class_rows), device=each.device)
        each = each * weights[labels]
    return each


def _of_labels(logits: Tensor, labels: Tensor, arm: ArmSection, layout: ClassifierLayout) -> Tensor:
    """Return the loss of each label of each row, `[rows, labels]`."""
    each = binary_cross_entropy_with_logits(logits, labels, reduction="none")
    if arm.loss == "focal":
        # The cross entropy is −log of the probability of what is true.
        wrong = (-torch.expm1(-each)).clamp(min=_LEAST)
        each = wrong**arm.classifier.focal_gamma * each
    if arm.classifier.class_weight == "balanced":
        weights = torch.tensor(
            [balanced_weights([layout.rows - held, held]) for held in layout.class_rows],
            device=each.device,
        )
        each = each * torch.where(labels > 0.5, weights[:, 1], weights[:, 0])
    return each


def focal_losses(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """Return −(1 − p)^γ · log p of each row, p being the probability of its class: `[rows]`.

    The focal loss (Lin et al. 2017) without its factor α, which is what class weights are.

    Example:
        >>> focal_losses(torch.zeros(1, 2), torch.tensor([0]), gamma=2.0)
        tensor([0.1733])
    """
    right = log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    wrong = (-torch.expm1(right)).clamp(min=_LEAST)
    return -(wrong**gamma) * right


def balanced_weights(class_rows: Sequence[int]) -> list[float]:
    """Return the weight of each class with which all classes count the same.

    Args:
        class_rows: Training rows of each class; a class without any has no row to be weighed.

    Example:
        >>> balanced_weights([30, 10])
        [0.6666666666666666, 2.0]
    """
    held = sum(1 for rows in class_rows if rows)
    return [sum(class_rows) / (held * rows) if rows else 1.0 for rows in class_rows]
