"""What a recipe may ask of a pretraining, and what would never be read."""

from __future__ import annotations

import pytest

from graft.config.loading import load_recipe
from graft.config.pretraining import PretrainSection
from graft.core.errors import RecipeError

RECIPE = {"name": "x", "task": "series", "data": {"train": "rows.ts"}, "arms": {"at_once": {}}}


def test_a_new_encoder_is_trained_longer_and_faster_than_a_finished_one():
    section = PretrainSection(training={"num_train_epochs": 3})
    assert section.training.num_train_epochs == 3
    assert section.training.learning_rate == PretrainSection().training.learning_rate == 1e-3


def test_the_resolved_recipe_loads_again(tmp_path):
    loaded = load_recipe({**RECIPE, "pretrain": {"objectives": {"forecast": 2.0}}})
    file = tmp_path / "r.yaml"
    file.write_text(loaded.text, encoding="utf-8")
    assert load_recipe(file).recipe == loaded.recipe


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "pairs"}, "pretrain needs task: series"),
        ({"base": {"model": "somewhere"}}, "no base.model"),
        ({"pretrain": {"objectives": {"forecast": 1.0}, "mask": {"share": 0.5}}}, "nothing reads"),
        ({"pretrain": {"temperature": 0.5}}, "nothing reads"),
        ({"pretrain": {"forecast_steps": 4}}, "nothing reads"),
        ({"pretrain": {"mask": {"kind": "random", "length": 3}}}, "nothing reads"),
        ({"pretrain": {"objectives": {"reconstruction": 0.0}}}, "above 0"),
        ({"pretrain": {"objectives": {"denoising": 1.0}}}, "denoising"),
        ({"pretrain": {"training": {"eval_strategy": "no"}}}, "chosen by validation"),
        ({"arms": {"pretraining": {}}}, "rename the run"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(change, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe({**RECIPE, "pretrain": {}, **change})
