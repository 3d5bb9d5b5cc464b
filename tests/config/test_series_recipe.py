"""What a recipe for series may say, and what nothing would read."""

from __future__ import annotations

from typing import Any

import pytest

from graft.config.loading import load_recipe
from graft.config.recipe import Recipe
from graft.config.series import OWN_BASE
from graft.core.errors import RecipeError


def loaded(**more: Any) -> Recipe:
    plain = {"name": "x", "task": "series", "data": {"train": "a.ts"}, "arms": {"all": {}}}
    return load_recipe({**plain, **more}).recipe


def test_without_a_base_the_encoder_of_the_recipe_is_the_base() -> None:
    recipe = loaded(arms={"all": {}, "other": {"base": {"model": "folder"}}})
    assert recipe.base.model == recipe.arms["all"].base.model == OWN_BASE
    assert recipe.arms["other"].base.model == "folder"
    assert recipe.makes_base
    assert not loaded(base={"model": "folder"}).makes_base
    assert recipe.arms["all"].loss == "cross_entropy"
    assert recipe.baselines == ("majority", "euclidean", "dtw", "features", "rocket", "base")


def test_the_resolved_recipe_loads_again_as_it_is() -> None:
    first = loaded(encoder={"kind": "gru", "width": 8, "bidirectional": False})
    assert load_recipe(first.model_dump(mode="json")).recipe == first


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        ({"width": 30}, "width 30 is no multiple of heads 4"),
        ({"kind": "lstm", "width": 7}, "width 7 is odd"),
        ({"kind": "tcn", "kernel": 4}, "kernel 4 is even"),
        ({"kind": "mamba"}, "kind"),
        ({"dropuot": 0.1}, "did you mean 'dropout'"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(encoder: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        loaded(encoder=encoder)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"encoder": {"kernel": 5}}, "encoder.kernel.* needs encoder.kind: tcn"),
        ({"encoder": {"kind": "tcn", "heads": 2}}, "encoder.heads.* needs encoder.kind: transform"),
        ({"encoder": {"bidirectional": False}}, "needs encoder.kind: lstm or gru"),
        ({"encoder": {"width": 32}, "base": {"model": "folder"}}, "needs .* no base.model"),
        ({"task": "pairs", "encoder": {"width": 32}}, "needs task: series"),
    ],
)
def test_an_option_that_nothing_reads_is_an_error(more: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        loaded(**more)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"arms": {"a": {"method": "lora"}}}, "method lora: encoders of series are small"),
        ({"classifier": {"texts": "towers"}}, "a series has no texts"),
        ({"classifier": {"pooling": "cls"}}, "classifier.pooling cls: of series one of"),
        ({"base": {"model": "f", "max_seq_length": 9}}, "a series is read whole"),
        ({"arms": {"a": {"loss": "cosent"}}}, "cosent is no loss of series"),
        ({"baselines": ["base", "tfidf"]}, "'tfidf' is no baseline of series"),
    ],
)
def test_what_series_do_not_have_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        loaded(**more)


def test_texts_are_not_pooled_like_series() -> None:
    arms = {"a": {"classifier": {"pooling": "last"}}}
    data = {"train": "a.csv", "texts": ["t"]}
    with pytest.raises(RecipeError, match=r"classifier\.pooling last: of classification"):
        load_recipe({"name": "x", "task": "classification", "data": data, "arms": arms})
