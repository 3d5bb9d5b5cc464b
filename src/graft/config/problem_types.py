"""What each kind of label takes: its losses, its primary metric, and which options fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from graft.core.facts import MULTI_LABEL, REGRESSION, SINGLE_LABEL

if TYPE_CHECKING:
    from graft.config.recipe import Recipe

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
# The first one is the default.
LOSSES: Mapping[str, tuple[str, ...]] = {
    SINGLE_LABEL: ("cross_entropy", "focal"),
    MULTI_LABEL: ("binary_cross_entropy", "focal"),
    REGRESSION: ("mse",),
}
PRIMARY: Mapping[str, str] = {MULTI_LABEL: "macro_average_precision", REGRESSION: "r2"}


def misfits(recipe: Recipe) -> list[str]:
    """Return what the recipe asks for that its `data.problem_type` does not have.

    Args:
        recipe: Recipe of a classification.
    """
    kind = recipe.data.problem_type
    if kind == SINGLE_LABEL:
        return []
    asked = {
        "data.positive": recipe.data.positive is not None,
        "evaluation.costs": recipe.evaluation.costs is not None,
        "fusion": bool(recipe.fusion),
        **{f"arms.{n}.rows_per_class": bool(a.rows_per_class) for n, a in recipe.arms.items()},
        **{
            f"arms.{name}.classifier.head_init class_means": True
            for name, arm in recipe.arms.items()
            if arm.classifier.head_init == "class_means"
        },
        **{f"baseline '{name}'": True for name in recipe.baselines if "@" in name},
    }
    wrong = [
        f"{key} needs data.problem_type: {SINGLE_LABEL}" for key, given in asked.items() if given
    ]
    if kind == REGRESSION:
        wrong += [
            f"arms.{name}.classifier.class_weight needs classes, and {REGRESSION} has none"
            for name, arm in recipe.arms.items()
            if arm.classifier.class_weight != "none"
        ]
    return wrong
