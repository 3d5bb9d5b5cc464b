"""K13 of a control: what several trainings on noise score, held against chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from graft.audits.chance import CHECKS
from graft.audits.contract import run_checks
from graft.core.facts import RowFacts
from graft.core.findings import Status
from graft.evaluate.scoring import prediction_columns
from graft.metrics.labelled import measures_of

ROWS = 400
KNOWING = (0.8, 0.82, 0.79, 0.81, 0.8)
MEASURES = measures_of(RowFacts(classes=("no", "yes")))
AUC = next(measure for measure in MEASURES if measure.metric.name == "roc_auc")


def control(auc: float, seed: int) -> pd.DataFrame:
    """Test rows that a training ranks with about this area under the curve."""
    rng = np.random.default_rng(seed)
    labels = np.arange(ROWS) % 2
    score = labels * np.sqrt(2) * norm.ppf(auc) + rng.normal(size=ROWS)
    rows = [f"test:{index}" for index in range(ROWS)]
    return pd.DataFrame({"row": rows, "label": labels.astype(float), "score": score})


@pytest.fixture
def found(healthy):
    def ask(areas, *, metric="roc_auc", sign=1.0, name="full"):
        frames = [control(auc, seed) for seed, auc in enumerate(areas)]
        run = replace(
            healthy("full"),
            name=name,
            control="shuffled_labels",
            test=frames[0],
            others={f"full/seed-{n}": frame for n, frame in enumerate(frames) if n},
            primary=lambda frame: sign * AUC.compute(prediction_columns(frame)),
            primary_name=metric,
        )
        return {f.name: f for f in run_checks(CHECKS, run, {})}["control_at_chance"]

    return ask


def test_what_the_demo_found_is_chance(found):
    """Five seeds of its control; the first alone lies outside the interval over rows."""
    answer = found((0.607, 0.509, 0.582, 0.527, 0.591))
    assert answer.status is Status.passed
    assert answer.evidence["seeds"] == 5
    assert answer.evidence["chance"] == pytest.approx(0.5, abs=0.01)


def test_controls_that_learned_noise_raise_no_alarm(found):
    rng = np.random.default_rng(7)
    for _ in range(40):
        assert found(np.clip(0.5 + 0.06 * rng.normal(size=5), 0.2, 0.8)).status is Status.passed


def test_a_control_that_knows_the_truth_fails(found):
    answer = found(KNOWING)
    assert answer.status is Status.failed
    assert answer.evidence["p"] < 0.001
    assert "true labels" in answer.fix


def test_worse_than_chance_is_no_advantage(found):
    assert found((0.2, 0.21, 0.19, 0.2, 0.2)).status is Status.passed


def test_less_is_better_of_an_error(found):
    """The same control fails by a metric of which less is better, once its sign is turned."""
    assert found(KNOWING, metric="log_loss", sign=-1.0).status is Status.failed
    assert found(KNOWING, metric="log_loss").status is Status.passed


@pytest.mark.parametrize(("seeds", "said"), [(1, "there is only 1"), (4, "there are only 4")])
def test_a_few_trainings_cannot_tell(found, seeds, said):
    answer = found([0.9] * seeds)
    assert answer.status is Status.not_applicable
    assert said in answer.summary


def test_the_first_seed_answers_for_all(found):
    answer = found([0.5] * 5, name="full/seed-1")
    assert answer.status is Status.not_applicable
    assert "first seed" in answer.summary
