from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from graft.config.loading import load_recipe
from graft.config.problems import known_keys
from graft.config.recipe import Recipe
from graft.config.sections import ArmSection
from graft.core.errors import RecipeError

GOOD: dict[str, Any] = {
    "name": "x",
    "data": {"train": "t.csv"},
    "training": {"learning_rate": 1e-3, "num_train_epochs": 3},
    "arms": {"standard": None, "lora": {"method": "lora", "training": {"learning_rate": 2e-4}}},
}


def problems_of(source: object, overrides: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(source, overrides)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_five_mistakes_give_five_lines_each_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "name: x\n"
        "task: pairz\n"
        "data:\n"
        "  train: a.csv\n"
        "  colums: {}\n"
        "training:\n"
        "  learning_rat: 2e-5\n"
        "  num_train_epochs: many\n"
        "arms:\n"
        "  standard: {}\n"
        "  lora: {method: lorra}\n"
    )
    found = problems_of(path)
    assert len(found) == 5
    for part in (
        "r.yaml line 2, task: received 'pairz'",
        "line 5, data.colums: unknown key 'colums'. Fix: did you mean 'columns'?",
        "line 7, training.learning_rat: unknown key 'learning_rat'. Fix: did you mean 'learning_r",
        "line 8, training.num_train_epochs: received 'many'",
        "line 11, arms.lora.method: received 'lorra'",
    ):
        assert any(part in line for line in found), (part, found)


def test_arms_inherit_and_override() -> None:
    recipe = load_recipe(GOOD).recipe
    assert recipe.arms["standard"].training.learning_rate == 1e-3
    assert recipe.arms["lora"].training.learning_rate == 2e-4
    assert recipe.arms["lora"].training.num_train_epochs == 3


def test_the_source_is_not_changed() -> None:
    before = copy.deepcopy(GOOD)
    load_recipe(GOOD, ["arms.standard.method=head", "seed=7"])
    assert before == GOOD


def test_the_resolved_recipe_loads_to_the_same_recipe() -> None:
    loaded = load_recipe(GOOD, ["seed=7"])
    assert load_recipe(yaml.safe_load(loaded.text)).recipe == loaded.recipe


def test_every_value_has_an_origin(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "name: x\ndata: {train: t.csv}\n"
        "training:\n  learning_rate: 0.1\n"
        "arms:\n  a: {method: head}\n"
    )
    origins = load_recipe(path, ["seed=7"]).origins
    assert origins["seed"] == "--set"
    assert origins["arms.a.training.learning_rate"] == "line 4 (for all arms)"
    assert origins["arms.a.method"] == "line 6"
    assert origins["arms.a.training.weight_decay"] == "default"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"gates": [{"run": "a", "metric": "f1"}]}, "a minimum or a maximum"),
        ({"gates": [{"run": "nobody", "metric": "f1", "minimum": 0.1}]}, "names 'nobody'"),
        ({"baselines": ["tfidf"]}, "must hold 'base'"),
        ({"accept": {"leakage": " "}}, "gives no reason"),
        ({"training": {"warmup_steps": 1.5}}, "must be a whole number"),
        ({"training": {"eval_strategy": "steps"}}, "eval_steps is not given"),
        ({"arms": {"base": {}}}, "is an arm and a baseline"),
        ({"arms": {}}, "arms"),
        ({"control": "random_init", "method": "lora"}, "merged into the pretrained"),
    ],
)
def test_impossible_combinations_are_refused(change: dict[str, Any], part: str) -> None:
    assert any(part in line for line in problems_of({**GOOD, **change}))


def test_a_mistake_in_a_shared_section_is_told_once() -> None:
    found = problems_of({**GOOD, "training": {"learning_rate": -1}, "arms": {"a": {}, "b": {}}})
    assert len(found) == 1


@pytest.mark.parametrize("override", ["seed", "=3", "name.x.y=1", "seed=[1"])
def test_a_bad_override_is_named(override: str) -> None:
    assert override in problems_of(GOOD, (override,))[0]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: 1\na: 2\n", "'a' stands twice (first in line 1)"),
        ("a: [1\n", "is not YAML"),
        ("- 1\n", "holds no keys"),
        ("", "holds no keys"),
    ],
)
def test_broken_yaml_is_named(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    assert part in problems_of(path)[0]


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    assert "there is no such file" in problems_of(tmp_path / "none.yaml")[0]
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in problems_of(tmp_path / "b.yaml")[0]


def test_known_keys_follow_the_model() -> None:
    assert known_keys(("data", "split")) == ["method", "validation", "test"]
    assert set(ArmSection.model_fields) - {"title"} <= set(known_keys(())) | {"title"}
    assert set(Recipe.model_fields) <= set(known_keys(()))


def test_every_shipped_recipe_loads() -> None:
    places = [*Path("examples").glob("*.yaml"), *Path("src/graft/config/presets").glob("*.yaml")]
    assert len(places) >= 3
    for place in places:
        assert load_recipe(place).recipe.arms, place


def recipe_text(*lines: str) -> str:
    return "\n".join(["name: x", "data: {train: t.csv}", *lines]) + "\n"


@pytest.mark.parametrize(
    ("lines", "key", "needs"),
    [
        (["arms: {a: {lora: {r: 4}}}"], "line 3, arms.a.lora.r", "method: lora"),
        (["lora: {r: 4}", "arms: {a: {}, b: {}}"], "line 3, lora.r", "method: lora"),
        (
            ["arms: {a: {training: {power: 3}}}"],
            "line 3, arms.a.training.power",
            "lr_scheduler_type: polynomial",
        ),
        (
            ["training: {eval_steps: 7}", "arms: {a: {}}"],
            "line 3, training.eval_steps",
            "eval_strategy: steps",
        ),
        (
            ["training: {unfreeze_lr_factor: 0.5}", "arms: {a: {}}"],
            "line 3, training.unfreeze_lr_factor",
            "unfreeze_after above 0",
        ),
    ],
)
def test_an_option_that_nothing_reads_stops_before_anything_runs(
    tmp_path: Path, lines: list[str], key: str, needs: str
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(recipe_text(*lines), encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    (problem,) = caught.value.problems
    assert problem.where == f"r.yaml {key}"
    assert needs in problem.fix


def test_an_option_for_all_arms_goes_to_those_that_read_it(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    lines = ["lora: {r: 4}", "arms: {full: {}, low: {method: lora}}"]
    path.write_text(recipe_text(*lines), encoding="utf-8")
    loaded = load_recipe(path)
    assert (loaded.recipe.arms["full"].lora.r, loaded.recipe.arms["low"].lora.r) == (8, 4)
    again = tmp_path / "resolved.yaml"
    again.write_text(loaded.text, encoding="utf-8")
    assert load_recipe(again).text == loaded.text


def test_a_default_that_is_spelt_out_needs_no_reader(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(recipe_text("arms: {a: {lora: {r: 8}}}"), encoding="utf-8")
    assert load_recipe(path).recipe.arms["a"].method == "full"
