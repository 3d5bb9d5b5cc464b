"""Checks on predictions of several labels and of numbers: silent on good ones, loud on bad ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from graft.audits.agreement import compare
from graft.audits.artefact import CHECKS as ARTEFACT
from graft.audits.chance import CHECKS as CHANCE
from graft.audits.contract import run_checks
from graft.audits.degenerate import CHECKS as DEGENERATE
from graft.audits.distinct import CHECKS as DISTINCT
from graft.audits.evidence import DataEvidence
from graft.audits.tables import DATA_CHECKS
from graft.config.data import DataSection
from graft.core.facts import MULTI_LABEL, REGRESSION, RowFacts
from graft.core.findings import Status
from graft.data.loading import dataset_from_frames
from graft.evaluate.scoring import prediction_columns
from graft.metrics.label_sets import probability_columns
from graft.metrics.labelled import measures_of
from tiny_models import amount_rows, tag_rows

ROWS, UNIT = 80, 50_000.0
FACTS = {
    MULTI_LABEL: RowFacts(("t",), classes=("red", "tall", "new"), problem_type=MULTI_LABEL),
    REGRESSION: RowFacts(("t",), problem_type=REGRESSION),
}


def predictions(kind, skill=2.0, seed=0):
    rng = np.random.default_rng(seed)
    rows = [f"test:{index}" for index in range(ROWS)]
    fixed = np.random.default_rng(9)
    if kind == REGRESSION:
        labels = UNIT * (10 + fixed.normal(size=ROWS))
        score = labels.mean() + skill * (labels - labels.mean()) + UNIT * rng.normal(size=ROWS)
        return pd.DataFrame({"row": rows, "label": labels, "score": score})
    true = fixed.random((ROWS, 3)) < 0.4
    found = 1 / (1 + np.exp(-skill * (2 * true - 1) - rng.normal(size=true.shape)))
    truth = {f"y_{k}": true[:, k].astype(float) for k in range(3)}
    frame = pd.DataFrame({"row": rows, "label": true.sum(axis=1).astype(float), **truth})
    return frame.assign(**probability_columns(found), threshold=0.5)


@pytest.fixture(params=FACTS)
def kind(request):
    return request.param


@pytest.fixture
def asked(healthy, kind):
    def ask(test, *checks, base=None, **more):
        facts = FACTS[kind]
        name = "r2" if kind == REGRESSION else "macro_average_precision"
        measure = next(m for m in measures_of(facts) if m.metric.name == name)
        run = healthy("full")
        run = replace(
            run,
            data=replace(run.data, facts=facts),
            test=test,
            base=predictions(kind, 0.7, 1) if base is None else base,
            primary=lambda frame: measure.compute(prediction_columns(frame)),
            primary_name=name,
            others={},
            **more,
        )
        return {
            found.name: found for found in run_checks(checks or (*DEGENERATE, *CHANCE), run, {})
        }

    return ask


def scores(test):
    return [name for name in test if name == "score" or name.startswith("p_")]


def test_a_model_that_knows_the_labels_passes(asked, kind):
    found = asked(predictions(kind))
    names = ("varied_predictions", "label_order", "beyond_chance")
    assert {found[name].status for name in names} == {Status.passed}


def test_one_answer_for_all_fails(asked, kind):
    test = predictions(kind)
    same = test.assign(**{name: test[name].mean() for name in scores(test)})
    found = asked(same)["varied_predictions"]
    assert found.status is Status.failed
    assert "get the same score" in found.summary


def test_a_constant_is_told_by_the_unit_of_the_label(asked, kind):
    if kind == MULTI_LABEL:
        pytest.skip("probabilities have no unit")
    test = predictions(kind)
    rounding = 1e-3 * np.random.default_rng(1).random(ROWS)
    found = asked(test.assign(score=test["score"].mean() + rounding))
    assert found["varied_predictions"].status is Status.failed


def test_labels_the_wrong_way_round_fail(asked, kind):
    test = predictions(kind)
    turned = {"p_1": 1 - test["p_1"]} if kind == MULTI_LABEL else {"score": -test["score"]}
    found = asked(test.assign(**turned))["label_order"]
    assert found.status is Status.failed
    assert ("'tall' is ranked least well" in found.summary) == (kind == MULTI_LABEL)


def test_what_knows_nothing_is_no_better_than_chance(asked, kind):
    found = asked(predictions(kind, skill=0.0))["beyond_chance"]
    assert found.status is Status.warned
    assert "chance" in found.summary


def test_shuffled_labels_stay_whole(asked, kind):
    """Chance is that of dealing out the rows' own labels, so it is never worse than guessing."""
    evidence = asked(predictions(kind))["beyond_chance"].evidence
    assert evidence["permutations"] > 100
    assert evidence["shuffled_high"] < evidence["value"]


def test_the_artefact_is_compared_in_the_unit_of_the_label(asked, kind):
    test = predictions(kind)
    size = UNIT if kind == REGRESSION else 1.0
    near = test.assign(**{name: test[name] + 2e-5 * size for name in scores(test)})
    far = test.assign(**{name: test[name] + 1e-3 * size for name in scores(test)})
    equal, differs = ARTEFACT[0], DISTINCT[0]
    assert equal.name == "artefact_equivalence"
    assert asked(near, equal, in_memory=test)[equal.name].status is Status.passed
    found = asked(far, equal, in_memory=test)[equal.name]
    assert found.status is Status.failed
    found = asked(near, differs, base=test)[differs.name]
    assert "No score differs from the base" in found.summary


def test_a_decision_on_any_label_counts():
    test = predictions(MULTI_LABEL)
    moved = test.assign(p_2=np.where(np.arange(ROWS) < 5, 1 - test["p_2"], test["p_2"]))
    found = compare(test, moved, 1e-4)
    assert (found.decided, len(found.flipped), found.differing) == (ROWS, 5, 5)


def frame_of(kind):
    if kind == REGRESSION:
        return amount_rows(300, 1).drop(columns="row")
    rows = tag_rows(300, 1)
    names = ("red", "blue", "green")
    labels = [[n for k, n in enumerate(names) if row[f"y_{k}"]] for _, row in rows.iterrows()]
    return rows[["note", "title", "size", "shop"]].assign(label=labels)


def table_checks(kind, rows, *more):
    table = ("size", "shop", *more)
    section = DataSection(train="memory", problem_type=kind, texts=("note",), table=table)
    dataset, report = dataset_from_frames(rows, section, 1, task="classification")
    evidence = DataEvidence(report, dataset.frame, {})
    return {found.name: found for found in run_checks(DATA_CHECKS, evidence, {})}


def test_an_honest_table_is_left_in_peace(kind):
    found = table_checks(kind, frame_of(kind))["target_leakage"]
    assert found.status is Status.passed
    measure = "rank correlation" if kind == REGRESSION else "ROC-AUC"
    assert measure in found.summary


def test_a_column_that_tells_the_label_fails(kind):
    rows = frame_of(kind)
    if kind == REGRESSION:
        leak = rows["label"].rank() / 10 + np.random.default_rng(1).random(len(rows))
        told = "leak alone predicts the label with rank correlation"
    else:
        leak = pd.Series(["green" in labels for labels in rows["label"]]).map(str)
        told = "leak alone predicts the label 'green' with ROC-AUC 1.00"
    found = table_checks(kind, rows.assign(leak=leak), "leak")["target_leakage"]
    assert found.status is Status.failed
    assert found.summary.startswith(told)
