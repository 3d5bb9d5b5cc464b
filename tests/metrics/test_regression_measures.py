"""The measures of a regression, against scikit-learn and their own properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from graft.core.facts import REGRESSION, RowFacts
from graft.metrics.labelled import measures_of
from graft.metrics.regression import REGRESSION_MEASURES


def columns(rows=60, seed=1, unit=100.0, noise=0.5):
    rng = np.random.default_rng(seed)
    labels = unit * (5 + rng.normal(size=rows))
    return {"label": labels, "score": labels + unit * noise * rng.normal(size=rows)}


def values_of(found):
    return {m.metric.name: m.compute(found) for m in REGRESSION_MEASURES}


def test_they_are_those_of_scikit_learn_and_scipy():
    found = columns()
    scores, labels = found["score"], found["label"]
    assert values_of(found) == {
        "r2": pytest.approx(sklearn_metrics.r2_score(labels, scores)),
        "rmse": pytest.approx(sklearn_metrics.root_mean_squared_error(labels, scores)),
        "mae": pytest.approx(sklearn_metrics.mean_absolute_error(labels, scores)),
        "spearman": pytest.approx(stats.spearmanr(scores, labels).statistic),
        "pearson": pytest.approx(stats.pearsonr(scores, labels).statistic),
    }


@given(st.floats(0.01, 1e4), st.floats(-1e4, 1e4))
def test_the_unit_of_the_label_changes_errors_alone(scale, shift):
    plain = columns()
    turned = {name: scale * values + shift for name, values in plain.items()}
    before, after = values_of(plain), values_of(turned)
    for name in ("r2", "spearman", "pearson"):
        assert after[name] == pytest.approx(before[name], abs=1e-6)
    for name in ("rmse", "mae"):
        assert after[name] == pytest.approx(scale * before[name], rel=1e-6)


def test_the_mean_of_the_rows_has_no_r2_and_no_order():
    found = columns()
    found["score"] = np.full(60, found["label"].mean())
    values = values_of(found)
    assert values["r2"] == pytest.approx(0.0)
    assert values["spearman"] is values["pearson"] is None


def test_equal_labels_have_errors_but_no_r2():
    found = {"label": np.full(9, 3.0), "score": np.arange(9.0)}
    values = values_of(found)
    assert values["r2"] is None
    assert values["mae"] == pytest.approx(np.abs(np.arange(9) - 3).mean())


def test_facts_lead_to_them():
    assert measures_of(RowFacts(problem_type=REGRESSION)) is REGRESSION_MEASURES
