"""Which options fit which kind of label, and what a recipe gets that names none."""

from __future__ import annotations

from typing import Any

import pytest

from graft.config.loading import load_recipe
from graft.core.errors import RecipeError
from graft.core.facts import MULTI_LABEL, REGRESSION, SINGLE_LABEL


def recipe(kind: str | None = None, **more: Any) -> dict[str, Any]:
    data = {"train": "rows.csv", "texts": ["note"], **more.pop("data", {})}
    if kind is not None:
        data["problem_type"] = kind
    return {"name": "x", "task": "classification", "data": data, "arms": {"a": {}}, **more}


def told(plain: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(plain)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "loss", "primary"),
    [
        (None, "cross_entropy", "balanced_accuracy"),
        (SINGLE_LABEL, "cross_entropy", "balanced_accuracy"),
        (MULTI_LABEL, "binary_cross_entropy", "macro_average_precision"),
        (REGRESSION, "mse", "r2"),
    ],
)
def test_loss_and_primary_follow_the_label(kind: str | None, loss: str, primary: str) -> None:
    found = load_recipe(recipe(kind)).recipe
    assert (found.arms["a"].loss, found.evaluation.primary) == (loss, primary)
    assert found.evaluation.reference == "base"


@pytest.mark.parametrize("kind", [MULTI_LABEL, REGRESSION])
def test_everything_that_needs_one_class_a_row_is_refused_at_once(kind: str) -> None:
    asked = recipe(
        kind,
        data={"positive": "yes", "table": ["age"]},
        evaluation={"costs": {"false_positive": 1, "false_negative": 2}},
        baselines=["base", "base@5", "table"],
        fusion={"both": {"arm": "a"}},
        arms={"a": {"rows_per_class": 5, "loss": "cross_entropy"}},
    )
    found = told(asked)
    for part in (
        "data.positive needs",
        "evaluation.costs needs",
        "fusion needs",
        "arms.a.rows_per_class needs",
        "baseline 'base@5' needs",
        f"arms.a: cross_entropy is no loss of {kind}",
    ):
        assert part in found


def test_class_weights_need_classes() -> None:
    weighed = {"arms": {"a": {"classifier": {"class_weight": "balanced"}}}}
    assert "class_weight needs classes" in told(recipe(REGRESSION, **weighed))
    load_recipe(recipe(MULTI_LABEL, **weighed))


def test_a_separator_is_read_of_several_labels_alone() -> None:
    load_recipe(recipe(MULTI_LABEL, data={"label_separator": ";"}))
    assert f"it needs problem_type: {MULTI_LABEL}" in told(
        recipe(REGRESSION, data={"label_separator": ";"})
    )


def test_one_spelling_is_taken_and_pairs_have_none() -> None:
    found = told(recipe("multi_label"))
    assert "choose 'single_label_classification', 'multi_label_classification' or 'regression'" in (
        found
    )
    pairs = {"name": "x", "data": {"train": "t.csv", "problem_type": REGRESSION}, "arms": {"a": {}}}
    assert "it needs task: classification" in told(pairs)


class TestTableAlone:
    def test_it_compares_the_baselines_of_the_table_with_majority(self) -> None:
        alone = recipe(data={"texts": [], "table": ["age"]}, arms={})
        found = load_recipe(alone).recipe
        assert found.baselines == ("majority", "table")
        assert found.evaluation.reference == "majority"

    def test_an_arm_has_nothing_to_adapt(self) -> None:
        found = told(recipe(data={"texts": [], "table": ["age"]}))
        assert "an arm adapts an encoder of texts" in found
        assert "`arms: {}`" in found

    def test_texts_need_an_arm_and_rows_need_columns(self) -> None:
        assert "arms is empty; give at least one" in told(recipe(arms={}))
        assert "data.texts and data.table are empty" in told(recipe(data={"texts": []}, arms={}))

    def test_baselines_of_texts_are_refused(self) -> None:
        alone = recipe(data={"texts": [], "table": ["age"]}, arms={}, baselines=["base", "tfidf"])
        found = told(alone)
        assert "'base' needs data.texts" in found
        assert "'tfidf' needs data.texts" in found
