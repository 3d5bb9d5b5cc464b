from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from graft.config.sections import ArmSection
from graft.core.errors import RecipeError
from graft.models.freeze import GroupAssignment, assign_groups
from graft.train.planning import resolve_plan

NAMES = (
    "embeddings.word.weight",
    *(f"encoder.layer.{i}.{part}" for i in range(12) for part in ("query.weight", "query.bias")),
    "pooler.weight",
)
PARAMETERS = {name: nn.Parameter(torch.zeros(2, 3)) for name in NAMES}


def arm(**values: Any) -> ArmSection:
    return ArmSection.model_validate({"training": {"num_train_epochs": 4}, **values})


def assign(section: ArmSection, tied: tuple[tuple[str, ...], ...] = ()) -> GroupAssignment:
    return assign_groups(section, PARAMETERS, tied, frozenset(), frozenset({"pooler.weight"}))


def group(name: str, *patterns: str, after: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": name, "patterns": list(patterns), "unfreeze_after": after, **more}


def test_layer_1_is_not_layer_10() -> None:
    plan = assign(arm(freeze=[group("low", "layer.1")]))
    frozen = {tensor.name for tensor in plan.tensors if tensor.group == "low"}
    assert frozen == {"encoder.layer.1.query.weight", "encoder.layer.1.query.bias"}


@pytest.mark.parametrize(("after", "joins"), [(-1, 0), (0, None), (2, 1)])
def test_the_three_meanings_of_unfreeze_after(after: int, joins: int | None) -> None:
    plan = assign(arm(freeze=[group("low", "embeddings", after=after)]))
    assert {t.joins for t in plan.tensors if t.group == "low"} == {joins}


def test_what_the_forward_pass_never_reads_stays_frozen() -> None:
    plan = assign(arm())
    assert [t.name for t in plan.tensors if t.joins is None] == ["pooler.weight"]


@pytest.mark.parametrize(
    ("section", "part"),
    [
        (arm(freeze=[group("g", "layr.1")]), "pattern 'layr.1' matches no tensor"),
        (arm(freeze=[group("g", "layer.99")]), "pattern 'layer.99' matches no tensor"),
        (
            arm(freeze=[group("g", "layer.1"), group("h", "query")]),
            "encoder.layer.1.query.weight is in the groups ['g', 'h']",
        ),
        (arm(freeze=[group("g", "layer", after=4)]), "it would never thaw"),
        (arm(freeze=[group("g", "*")]), "nothing is trainable in the first epoch"),
        (arm(method="lora", freeze=[group("g", "layer.0")]), "which a LoRA arm keeps frozen"),
    ],
)
def test_a_wrong_plan_is_refused_in_words(section: ArmSection, part: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(part)):
        assign(section)


def test_tied_tensors_stay_together() -> None:
    tied = (("embeddings.word.weight", "encoder.layer.0.query.weight"),)
    with pytest.raises(RecipeError, match="tied tensors"):
        assign(arm(freeze=[group("g", "embeddings")]), tied)
    assign(arm(freeze=[group("g", "embeddings", "encoder.layer.0")]), tied)


def test_a_thaw_damps_the_running_rates_and_starts_the_new_group_at_its_own() -> None:
    section = arm(
        freeze=[group("low", "embeddings", after=2, learning_rate=1e-5)],
        training={
            "num_train_epochs": 4,
            "learning_rate": 1e-3,
            "lr_scheduler_type": "constant",
            "warmup_steps": 0,
            "per_device_train_batch_size": 5,
        },
    )
    plan = resolve_plan(section, assign(section), rows=10)
    assert [(phase.first_step, phase.steps) for phase in plan.phases] == [(0, 4), (4, 4)]
    assert plan.rates["base"] == pytest.approx([1e-3] * 4 + [3e-4] * 4)
    assert plan.rates["low"] == pytest.approx([0.0] * 4 + [1e-5] * 4)


def test_a_group_that_thaws_late_gets_a_whole_schedule() -> None:
    section = arm(freeze=[group("low", "embeddings", after=3)])
    plan = resolve_plan(section, assign(section), rows=320)
    assert max(plan.rates["low"]) == pytest.approx(section.training.learning_rate, rel=0.1)


@given(
    st.integers(1, 200),
    st.integers(1, 16),
    st.integers(1, 4),
    st.lists(st.integers(1, 3), max_size=2),
)
def test_phases_cover_every_step_once(
    rows: int, size: int, accumulation: int, thaws: list[int]
) -> None:
    groups = [group(f"g{i}", f"layer.{i}", after=after) for i, after in enumerate(thaws)]
    training = {
        "num_train_epochs": 4,
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": accumulation,
        "warmup_steps": 0,
    }
    section = arm(freeze=groups, training=training)
    plan = resolve_plan(section, assign(section), rows)
    steps = [s for p in plan.phases for s in range(p.first_step, p.first_step + p.steps)]
    assert steps == list(range(plan.total_steps))
    assert all(len(rates) == plan.total_steps for rates in plan.rates.values())
    assert [p.trainable for p in plan.phases] == sorted(p.trainable for p in plan.phases)


def test_a_warm_up_longer_than_the_training_is_refused() -> None:
    section = arm(training={"num_train_epochs": 1, "warmup_steps": 100})
    with pytest.raises(RecipeError, match="100 warm-up steps, but only 2 steps in all"):
        resolve_plan(section, assign(section), rows=32)
