from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from graft.config.sections import ArmSection
from graft.core.facts import MULTI_LABEL, REGRESSION
from graft.models.heads import ClassifierLayout
from graft.tasks.class_losses import balanced_weights, focal_losses, summed_loss


def arm(loss: str = "cross_entropy", **classifier: Any) -> ArmSection:
    return ArmSection.model_validate({"loss": loss, "classifier": classifier})


def held(*class_rows: int) -> ClassifierLayout:
    """The layout of a classifier with so many training rows of each class."""
    return ClassifierLayout(("a", "b", "c", "d"), ("text",), "joint", "", class_rows=class_rows)


def batch(classes: int = 4, rows: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(rows, classes, generator=generator)
    return logits, torch.arange(rows) % classes


@given(st.lists(st.integers(0, 50), min_size=2, max_size=9).filter(any))
def test_balanced_weights_have_a_mean_of_one_and_make_classes_equal(counts: list[int]) -> None:
    weights = balanced_weights(counts)
    shares = [count * weight for count, weight in zip(counts, weights, strict=True) if count]
    assert sum(shares) == pytest.approx(sum(counts))
    assert max(shares) == pytest.approx(min(shares))


def test_without_options_it_is_the_cross_entropy() -> None:
    logits, labels = batch()
    expected = cross_entropy(logits, labels, reduction="sum")
    torch.testing.assert_close(summed_loss(logits, labels, arm(), held(3, 3, 3, 3)), expected)


def test_label_smoothing_is_that_of_torch() -> None:
    logits, labels = batch()
    expected = cross_entropy(logits, labels, reduction="sum", label_smoothing=0.2)
    found = summed_loss(logits, labels, arm(label_smoothing=0.2), held(3, 3, 3, 3))
    torch.testing.assert_close(found, expected)


def test_balanced_classes_weigh_each_row_by_its_class() -> None:
    logits, labels = batch()
    weights = torch.tensor(balanced_weights([30, 10, 5, 5]))
    expected = (cross_entropy(logits, labels, reduction="none") * weights[labels]).sum()
    found = summed_loss(logits, labels, arm(class_weight="balanced"), held(30, 10, 5, 5))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_the_focal_loss_is_its_formula(gamma: float) -> None:
    logits, labels = batch()
    right = torch.softmax(logits, dim=1)[range(len(labels)), labels]
    expected = -((1 - right) ** gamma) * right.log()
    torch.testing.assert_close(focal_losses(logits, labels, gamma), expected)


def test_a_small_gamma_leaves_the_cross_entropy() -> None:
    logits, labels = batch()
    expected = cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(focal_losses(logits, labels, 1e-6), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 2.0])
def test_the_focal_loss_of_a_certain_row_has_a_finite_gradient(gamma: float) -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    torch.autograd.backward(focal_losses(logits, torch.tensor([0]), gamma).sum())
    assert logits.grad is not None
    assert np.isfinite(logits.grad.numpy()).all()


def test_the_focal_loss_turns_to_the_hard_rows() -> None:
    logits = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    easy, hard = focal_losses(logits, torch.tensor([0, 0]), 2.0)
    plain_easy, plain_hard = cross_entropy(logits, torch.tensor([0, 0]), reduction="none")
    assert easy / hard < 0.01 * plain_easy / plain_hard


def label_batch() -> tuple[torch.Tensor, torch.Tensor, ClassifierLayout]:
    """Twelve rows of four labels, the second rare."""
    logits, _ = batch()
    labels = torch.zeros(12, 4)
    labels[::2, 0], labels[:2, 1], labels[3:, 2] = 1, 1, 1
    layout = replace(held(6, 2, 9, 0), problem_type=MULTI_LABEL, rows=12)
    return logits, labels, layout


def test_several_labels_have_the_mean_of_their_binary_cross_entropies() -> None:
    logits, labels, layout = label_batch()
    expected = binary_cross_entropy_with_logits(logits, labels) * len(labels)
    found = summed_loss(logits, labels, arm("binary_cross_entropy"), layout)
    torch.testing.assert_close(found, expected)


def test_the_focal_loss_of_labels_is_its_formula() -> None:
    logits, labels, layout = label_batch()
    found = torch.sigmoid(logits)
    right = torch.where(labels > 0, found, 1 - found)
    expected = (-((1 - right) ** 3) * right.log()).mean(dim=1).sum()
    torch.testing.assert_close(
        summed_loss(logits, labels, arm("focal", focal_gamma=3.0), layout), expected
    )


def test_balanced_labels_count_as_much_where_they_are_as_where_they_are_not() -> None:
    _, labels, layout = label_batch()
    wrong = torch.zeros_like(labels)  # every decision is as wrong as any other
    balanced = arm("binary_cross_entropy", class_weight="balanced")
    for label in range(3):
        only = replace(layout, classes=("a",), class_rows=layout.class_rows[label : label + 1])
        there = labels[:, label] > 0
        parts = [
            summed_loss(wrong[rows][:, :1], labels[rows][:, label : label + 1], balanced, only)
            for rows in (there, ~there)
        ]
        torch.testing.assert_close(parts[0], parts[1])


def test_a_number_is_compared_in_the_unit_of_the_head() -> None:
    labels = torch.tensor([500.0, 700.0, 900.0], dtype=torch.float64)
    layout = ClassifierLayout((), ("text",), "joint", "", problem_type=REGRESSION)
    layout = replace(layout, target_mean=700.0, target_scale=200.0)
    right = torch.tensor([[-1.0], [0.0], [1.0]])
    assert summed_loss(right, labels, arm("mse"), layout) == 0
    assert summed_loss(right + 0.5, labels, arm("mse"), layout) == pytest.approx(3 * 0.25)
