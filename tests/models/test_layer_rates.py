from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from graft.config.sections import ArmSection
from graft.models.freeze import GroupAssignment, assign_groups
from graft.train.planning import resolve_plan

NAMES = (
    "embeddings.word.weight",
    "embeddings.norm.weight",
    *(f"encoder.layer.{i}.{part}.weight" for i in range(6) for part in ("query", "output")),
    "pooler.weight",
    "head.linear.weight",
)
PARAMETERS = {name: nn.Parameter(torch.zeros(2, 3)) for name in NAMES}
HEAD = frozenset({"head.linear.weight"})
TOP = "encoder.layer.[4-5]"


def assign(**values: Any) -> GroupAssignment:
    training = {"num_train_epochs": 4, "learning_rate": 1e-3, **values.pop("training", {})}
    arm = ArmSection.model_validate({"training": training, **values})
    return assign_groups(arm, PARAMETERS, (), HEAD, frozenset({"pooler.weight"}))


def rates(plan: GroupAssignment) -> dict[str, float]:
    return {group.name: group.learning_rate for group in plan.groups}


def group(name: str, *patterns: str, after: int = -1, **more: Any) -> dict[str, Any]:
    return {"name": name, "patterns": list(patterns), "unfreeze_after": after, **more}


def test_without_decay_groups_stay_whole() -> None:
    assert rates(assign()) == {"base": 1e-3, "head": 1e-3, "unused": 1e-3}


def test_a_head_has_its_own_rate() -> None:
    plan = assign(training={"head_learning_rate": 5e-3})
    assert rates(plan)["head"] == 5e-3
    assert rates(plan)["base"] == 1e-3
    of_head = {t.group for t in plan.tensors if t.name in HEAD}
    assert of_head == {"head"}


def test_rates_fall_from_the_top_layer_to_the_embeddings_and_spare_the_head() -> None:
    plan = assign(training={"lr_decay": 0.5, "head_learning_rate": 1e-2})
    expected = {f"layer.{i}": 1e-3 * 0.5 ** (5 - i) for i in range(6)}
    expected |= {"embeddings": 1e-3 * 0.5**6, "head": 1e-2}
    found = rates(plan)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert set(found) == {*expected, "unused"}
    assert {t.name: t.group for t in plan.tensors}["encoder.layer.3.query.weight"] == "layer.3"


def test_inside_a_group_the_topmost_layer_has_the_rate_of_the_group() -> None:
    freeze = [
        group("head", "head"),
        group("top", TOP, after=1, learning_rate=1e-4),
        group("rest", "encoder.layer.[0-3]", "embeddings", after=2, learning_rate=1e-5),
    ]
    plan = assign(freeze=freeze, training={"lr_decay": 0.5, "head_learning_rate": 1e-2})
    found = rates(plan)
    assert found["head"] == 1e-2
    assert found["top.layer.5"] == pytest.approx(1e-4)
    assert found["top.layer.4"] == pytest.approx(5e-5)
    assert found["rest.layer.3"] == pytest.approx(1e-5)
    assert found["rest.embeddings"] == pytest.approx(1e-5 * 0.5**4)
    after = {g.name: g.unfreeze_after for g in plan.groups}
    assert (after["head"], after["top.layer.4"], after["rest.layer.0"]) == (-1, 1, 2)
    assert plan.thaws == (1, 2)


def test_a_group_of_head_and_layers_keeps_the_rate_of_the_head() -> None:
    plan = assign(freeze=[group("high", "head", TOP)], training={"head_learning_rate": 1e-2})
    assert rates(plan)["high"] == 1e-3
    assert rates(plan)["high.head"] == 1e-2


def test_a_rate_that_the_recipe_gives_a_group_is_that_of_its_head_too() -> None:
    freeze = [group("head", "head", learning_rate=7e-3)]
    plan = assign(freeze=freeze, training={"head_learning_rate": 1e-2})
    assert rates(plan)["head"] == 7e-3


def test_groups_that_stay_frozen_are_not_divided() -> None:
    plan = assign(freeze=[group("rest", "embeddings", after=0)], training={"lr_decay": 0.9})
    assert {t.group for t in plan.tensors if t.name.startswith("embeddings")} == {"rest"}


def test_a_part_is_never_named_as_a_group_of_the_recipe() -> None:
    freeze = [group("embeddings", "embeddings.word")]
    plan = assign(freeze=freeze, training={"lr_decay": 0.5})
    names = [group.name for group in plan.groups]
    assert len(names) == len(set(names))
    of = {tensor.name: tensor.group for tensor in plan.tensors}
    assert of["embeddings.word.weight"] == "embeddings"
    assert of["embeddings.norm.weight"] == "base.embeddings"


def test_the_plan_holds_a_schedule_for_every_part() -> None:
    values = {"training": {"num_train_epochs": 4, "lr_decay": 0.5, "learning_rate": 1e-3}}
    arm = ArmSection.model_validate(
        {**values, "freeze": [group("top", TOP, after=1), group("head", "head")]}
    )
    assignment = assign_groups(arm, PARAMETERS, (), HEAD, frozenset())
    plan = resolve_plan(arm, assignment, rows=64)
    trained = {g.name for g in plan.groups if g.unfreeze_after}
    assert set(plan.rates) == trained
    one, other = plan.rates["top.layer.5"], plan.rates["top.layer.4"]
    assert other == pytest.approx([0.5 * rate for rate in one])
    assert max(one) == pytest.approx(1e-3)
    assert all(tensor.group in {g.name for g in plan.groups} for tensor in plan.tensors)


def test_a_head_may_be_named_beside_an_adapter() -> None:
    names = {**PARAMETERS, "layer.0.lora_A.default.weight": nn.Parameter(torch.zeros(2, 3))}
    arm = ArmSection.model_validate({"method": "lora", "freeze": [group("head", "head")]})
    plan = assign_groups(arm, names, (), HEAD, frozenset())
    joined = {tensor.name for tensor in plan.tensors if tensor.joins == 0}
    assert joined == {"head.linear.weight", "layer.0.lora_A.default.weight"}
