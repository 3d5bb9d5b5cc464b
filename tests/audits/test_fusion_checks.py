"""The checks of a fusion fire on what is wrong, and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from graft.audits.contract import run_checks
from graft.audits.fusion import CHECKS, FusionEvidence
from graft.core.findings import Status
from graft.core.fusion import FusionRecord

RECORD = FusionRecord(
    arm="tuned",
    members=("table",),
    method="stacked",
    words="The log-odds count 0.90 from tuned and 0.30 from table, plus 0.00.",
    weights={},
    chosen_on="the training rows",
    rows=12,
    folds=3,
    losses={"tuned": 0.4, "table": 0.6},
    fused_loss=0.3,
)


def fold(place: int) -> pd.DataFrame:
    rows = [f"train:{index}" for index in range(12)]
    held = np.arange(12) // 2 % 3 == place
    groups = [f"g{index // 2}" for index in range(12)]
    return pd.DataFrame({"row": rows, "group": groups, "held": held, "trained": ~held})


@pytest.fixture
def evidence(healthy) -> FusionEvidence:
    run = healthy("full")
    shifted = run.test.assign(score=run.test["score"] + 0.2)
    parts = {"tuned": shifted, "table": run.test.assign(score=run.test["label"] / 2)}
    return FusionEvidence(run, RECORD, tuple(fold(place) for place in range(3)), parts)


def answer(evidence: FusionEvidence, name: str):
    return next(found for found in run_checks(CHECKS, evidence, {}) if found.name == name)


def test_a_healthy_fusion_passes_every_check(evidence):
    found = run_checks(CHECKS, evidence, {})
    assert {item.status for item in found} == {Status.passed}, [f.summary for f in found]
    assert len({item.name for item in found}) == len(found) == 7
    assert "nor a row of its group" in answer(evidence, "stacking_folds").summary


def seen_and_held(folds):
    folds[1].loc[2, "trained"] = True
    return "1 rows were trained on and predicted (train:2)"


def group_on_both_sides(folds):
    folds[0]["group"] = "same"
    return "1 groups stand on both sides (same)"


def row_held_twice(folds):
    folds[0].loc[2, ["held", "trained"]] = [True, False]
    return "1 rows were not held out exactly once (train:2)"


def row_never_held(folds):
    folds[0].loc[0, "held"] = False
    return "1 rows were not held out exactly once (train:0)"


def nothing_trained(folds):
    folds[2]["trained"] = False
    return "4 rows were predicted and 0 trained on"


def fold_lost(folds):
    del folds[2]
    return "There are 2 folds, 3 were asked for"


@pytest.mark.parametrize(
    "plant",
    [
        seen_and_held,
        group_on_both_sides,
        row_held_twice,
        row_never_held,
        nothing_trained,
        fold_lost,
    ],
    ids=lambda plant: plant.__name__,
)
def test_folds_that_are_not_honest_fail(evidence, plant):
    folds = [one.copy() for one in evidence.folds]
    said = plant(folds)
    found = answer(replace(evidence, folds=tuple(folds)), "stacking_folds")
    assert found.status is Status.failed
    assert said.lower() in found.summary.lower()


def test_rows_that_the_stacker_saw_beyond_the_folds_fail(evidence):
    more = replace(evidence, record=replace(RECORD, rows=15))
    found = answer(more, "stacking_folds")
    assert found.status is Status.failed and "saw 15" in found.summary


def test_an_average_has_no_folds(evidence):
    plain = replace(evidence, record=replace(RECORD, method="average"), folds=())
    assert answer(plain, "stacking_folds").status is Status.not_applicable


def test_a_fusion_that_is_one_of_its_parts_fails_unless_all_weight_lies_there(evidence):
    same = replace(evidence, parts={**evidence.parts, "tuned": evidence.run.test})
    found = answer(same, "fusion_differs")
    assert found.status is Status.failed and "'tuned' has exactly the same scores" in found.summary
    record = replace(RECORD, method="average", weights={"tuned": 1.0, "table": 0.0})
    found = answer(replace(same, record=record), "fusion_differs")
    assert found.status is Status.warned and "All weight lies on 'tuned'" in found.summary


def test_a_part_without_predictions_or_of_other_rows_fails(evidence):
    lost = replace(evidence, parts={"tuned": evidence.parts["tuned"]})
    assert "'table' has no predictions" in answer(lost, "fusion_differs").summary
    other = evidence.parts["tuned"].assign(row="x")
    apart = replace(evidence, parts={**evidence.parts, "tuned": other})
    found = answer(apart, "fusion_differs")
    assert found.status is Status.failed and "scored on other rows" in found.summary


def test_a_saved_fusion_that_predicts_something_else_fails(evidence):
    test = evidence.run.test.assign(score=evidence.run.test["score"] + 0.01)
    found = answer(replace(evidence, run=replace(evidence.run, test=test)), "fusion_reloads")
    assert found.status is Status.failed


def test_what_is_not_there_could_not_be_looked_at(evidence):
    bare = replace(evidence, record=None, run=replace(evidence.run, test=None, in_memory=None))
    for found in run_checks(CHECKS, bare, {}):
        assert found.status is Status.not_run, found.name
