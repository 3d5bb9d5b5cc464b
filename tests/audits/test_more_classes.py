"""Checks on predictions of more than two classes: by the predicted class and all probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from graft.audits.agreement import compare
from graft.audits.chance import CHECKS as CHANCE
from graft.audits.contract import run_checks
from graft.audits.degenerate import CHECKS as DEGENERATE
from graft.core.facts import RowFacts
from graft.core.findings import Status
from graft.evaluate.scoring import prediction_columns
from graft.metrics.labelled import measures_of
from graft.metrics.probabilities import class_columns

CLASSES, ROWS = 4, 80


def predictions(skill: float, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    labels = np.arange(ROWS) % CLASSES
    logits = rng.normal(size=(ROWS, CLASSES))
    logits[np.arange(ROWS), labels] += skill
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = [f"test:{index}" for index in range(ROWS)]
    return pd.DataFrame({"row": rows, "label": labels.astype(float), **class_columns(found)})


def primary(frame: pd.DataFrame) -> float | None:
    kinds = measures_of(RowFacts(classes=("a", "b", "c", "d")))
    balanced = next(kind for kind in kinds if kind.metric.name == "balanced_accuracy")
    return balanced.compute(prediction_columns(frame))


@pytest.fixture
def answers(healthy):
    def ask(test: pd.DataFrame, base: pd.DataFrame | None = None):
        run = replace(
            healthy("full"),
            test=test,
            base=predictions(0.5, seed=1) if base is None else base,
            primary=primary,
            primary_name="balanced_accuracy",
        )
        return {found.name: found for found in run_checks((*DEGENERATE, *CHANCE), run, {})}

    return ask


def test_a_model_that_knows_the_classes_passes(answers):
    found = answers(predictions(3.0))
    assert found["varied_predictions"].status is Status.passed
    assert "80 test rows of 4 classes are decided for 4" in found["varied_predictions"].summary
    assert found["beyond_chance"].status is Status.passed
    assert found["label_order"].status is Status.not_applicable
    assert "no order" in found["label_order"].summary


def test_one_class_for_every_row_fails_however_the_probabilities_vary(answers):
    one = predictions(3.0).assign(predicted=2.0)
    found = answers(one)["varied_predictions"]
    assert found.status is Status.failed and "the same answer" in found.summary
    same_score = predictions(3.0).assign(score=0.5)
    assert answers(same_score)["varied_predictions"].status is Status.passed


def test_labels_dealt_out_at_random_are_no_better_than_chance(answers):
    test = predictions(3.0)
    rng = np.random.default_rng(3)
    found = answers(test.assign(label=rng.permutation(test["label"].to_numpy())))
    assert found["beyond_chance"].status is Status.warned
    assert found["beyond_chance"].summary.startswith("No better than chance")


def test_classes_that_were_mixed_up_are_worse_than_chance(answers):
    test = predictions(5.0)
    found = answers(test.assign(predicted=(test["predicted"] + 1) % CLASSES))
    assert found["beyond_chance"].status is Status.warned
    assert found["beyond_chance"].summary.startswith("Worse than chance")


def test_agreement_looks_at_the_probabilities_of_all_classes():
    left = predictions(3.0)
    equal = compare(left, left, 1e-4)
    assert (equal.largest, equal.differing, equal.flipped) == (0.0, 0, ())
    assert equal.decided == ROWS and equal.same_rows
    # The two least probable classes change places; score and decision stay.
    right = left.copy()
    names = [f"p_{place}" for place in range(CLASSES)]
    values = right[names].to_numpy(copy=True)
    lowest = np.argsort(values[0])[:2]
    values[0, lowest] = values[0, lowest[::-1]]
    right[names] = values
    found = compare(left, right, 1e-4)
    assert found.differing == 1 and found.flipped == ()
    assert found.largest == pytest.approx(abs(values[0, lowest[0]] - values[0, lowest[1]]))
    assert found.worst[0][0] == "test:0"


def test_agreement_counts_rows_that_are_decided_otherwise():
    left = predictions(3.0)
    right = left.assign(predicted=np.where(left["row"] == "test:7", 9.0, left["predicted"]))
    assert compare(left, right, 1e-4).flipped == ("test:7",)


def test_a_probability_that_is_not_finite_is_named():
    left = predictions(3.0)
    right = left.assign(p_1=np.where(left["row"] == "test:7", np.nan, left["p_1"]))
    assert compare(left, right, 1e-4).not_finite == ("test:7",)
