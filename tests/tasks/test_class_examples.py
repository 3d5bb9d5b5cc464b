from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from graft.config.sections import ArmSection
from graft.core.facts import UNKNOWN
from graft.core.probes import Reading
from graft.evaluate.predictions import predict
from graft.models.heads import TextClassifier, assert_classifier
from graft.models.locate import locate_base
from graft.tasks.class_examples import class_batch, class_examples, logits_of
from graft.tasks.classification import ClassificationTask
from graft.tasks.registry import task_of
from tiny_models import colour_facts, colour_rows

TASK = ClassificationTask(colour_facts(3))


def built(base: Path, rows: pd.DataFrame, seed: int = 0, **classifier: Any) -> TextClassifier:
    arm = ArmSection.model_validate({"loss": "cross_entropy", "classifier": classifier})
    model, _ = TASK.build(arm, locate_base(str(base)), seed, rows)
    return assert_classifier(model)


def test_equal_texts_of_a_batch_are_computed_once(colour_encoder: Path) -> None:
    rows = colour_rows(6, 1, 3).assign(title="red1", note="red2 red3")
    joint = class_batch(class_examples(built(colour_encoder, rows), rows))
    assert joint.texts is not None
    assert (len(joint.texts.ids), joint.places.tolist()) == (1, [0, 1, 2, 3, 4, 5])
    towers = class_batch(class_examples(built(colour_encoder, rows, texts="towers"), rows))
    assert towers.texts is not None
    assert (len(towers.texts.ids), len(towers.places)) == (2, 12)


def test_a_tower_without_a_text_is_zero_and_learns_nothing(colour_encoder: Path) -> None:
    rows = colour_rows(6, 1, 3).assign(title="")
    model = built(colour_encoder, rows, texts="towers")
    logits = logits_of(model, class_batch(class_examples(model, rows)))
    torch.autograd.backward(logits.square().sum())
    width = model.width
    assert not model.head.linear.weight.grad[:, :width].any()
    assert model.head.linear.weight.grad[:, width:].any()


def test_rows_without_any_text_are_predicted_from_the_table(colour_encoder: Path) -> None:
    rows = colour_rows(9, 1, 3).assign(title="", note=" ")
    model = built(colour_encoder, rows, texts="towers", table=True)
    examples = class_examples(model, rows)
    assert class_batch(examples).texts is None
    assert [TASK.tokens(example) for example in examples] == [0] * 9
    assert TASK.length(examples[0]) == 0
    assert TASK.positions(model, class_batch(examples)) == (0, 0)
    assert len(np.unique(predict(TASK, model, examples, 4)["p_0"])) > 1


def test_the_head_is_drawn_by_the_seed(colour_encoder: Path) -> None:
    rows = colour_rows(6, 1, 3)
    one, same, other = (built(colour_encoder, rows, seed).head.linear.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_table_knows_training_rows_alone(colour_encoder: Path) -> None:
    rows = colour_rows(12, 1, 3)
    model = built(colour_encoder, rows[rows["shop"] != "east"], table=True)
    assert "shop = east" not in model.features.names
    kept = rows.loc[rows["shop"] != "east", "label"]
    assert model.layout.class_rows == tuple(int((kept == k).sum()) for k in range(3))


def test_modules_of_the_base_that_are_left_out_are_said(colour_encoder: Path) -> None:
    rows = colour_rows(6, 1, 3)
    arm = ArmSection.model_validate({"loss": "cross_entropy"})
    _, report = TASK.build(arm, locate_base(str(colour_encoder)), 0, rows)
    assert report.left_out == ("2_Normalize",)
    pooled = ArmSection.model_validate({"loss": "cross_entropy", "classifier": {"pooling": "cls"}})
    model, report = TASK.build(pooled, locate_base(str(colour_encoder)), 0, rows)
    assert report.left_out == ("1_Pooling", "2_Normalize")
    reading = TASK.reading(model, [])
    assert reading == Reading({**reading.settings, "pooling": "cls", "normalised": False}, {})


def test_two_classes_are_decided_by_f1_or_by_cost_and_more_by_none() -> None:
    rows = pd.DataFrame({"score": [0.1, 0.4, 0.6, 0.9], "label": [0.0, 1.0, 0.0, 1.0]})
    binary = task_of("classification", colour_facts(2))
    assert binary.decide(rows) == pytest.approx(0.25, abs=0.15)
    dear = task_of("classification", colour_facts(2), (100.0, 1.0))
    assert (dear.decide(rows) or 0) > 0.6
    assert TASK.decide(rows) is None


def test_a_task_without_facts_knows_its_measures_and_baselines() -> None:
    task = task_of("classification", UNKNOWN)
    assert task.name == "classification"
    assert task.embedded == ()
    assert {"majority", "tfidf", "table", "tfidf_table", "base"} <= set(task.baselines)
    assert "balanced_accuracy" in {measure.metric.name for measure in task.measures}


def test_the_untouched_base_gives_one_embedding_a_row(colour_encoder: Path) -> None:
    rows = colour_rows(9, 1, 3)
    found = TASK.encode_base(locate_base(str(colour_encoder)), rows)
    assert set(found) == {"title"} == set(TASK.embedded)
    assert found["title"].shape == (9, 32)
    np.testing.assert_allclose(np.linalg.norm(found["title"], axis=1), 1, atol=1e-5)
