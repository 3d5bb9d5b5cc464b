"""The measures of several labels, against scikit-learn and their own properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from graft.core.facts import MULTI_LABEL, RowFacts
from graft.core.seeds import generator
from graft.metrics.class_counts import of_each_class
from graft.metrics.decisions import correct
from graft.metrics.label_sets import decided_labels, probability_columns, true_labels
from graft.metrics.labelled import measures_of
from graft.metrics.measures import compute_samples, with_derived
from graft.metrics.multi_label import multi_label_measures
from graft.metrics.resampling import resample
from graft.metrics.significance import permutation


def columns(rows=120, labels=4, seed=1, skill=1.0, threshold=0.4):
    rng = np.random.default_rng(seed)
    true = rng.random((rows, labels)) < np.linspace(0.15, 0.5, labels)
    logits = skill * (2.0 * true - 1) + rng.normal(size=true.shape)
    found = 1 / (1 + np.exp(-logits))
    return {
        "label": true.sum(axis=1).astype(float),
        **{f"y_{k}": true[:, k].astype(float) for k in range(labels)},
        **probability_columns(found),
        "threshold": np.full(rows, threshold),
    }


def values_of(found):
    labels = sum(name.startswith("y_") for name in found)
    return {m.metric.name: m.compute(found) for m in multi_label_measures(labels)}


@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_of_scikit_learn(seed):
    found = columns(seed=seed)
    true, decided = true_labels(found), decided_labels(found)
    shares = np.stack([found[f"p_{k}"] for k in range(4)], axis=1)
    macro = sklearn_metrics.average_precision_score(true, shares, average="macro")
    expected = {
        "macro_average_precision": macro,
        "micro_f1": sklearn_metrics.f1_score(true, decided, average="micro"),
        "macro_f1": sklearn_metrics.f1_score(true, decided, average="macro"),
        "exact_match": sklearn_metrics.accuracy_score(true, decided),
        "hamming_loss": sklearn_metrics.hamming_loss(true, decided),
        "log_loss": np.mean([sklearn_metrics.log_loss(true[:, k], shares[:, k]) for k in range(4)]),
        "brier": np.mean((shares - true) ** 2),
    }
    measured = values_of(found)
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value), name


def test_resamples_of_all_measures_are_the_measures_of_the_drawn_rows():
    found, rng = columns(rows=40), np.random.default_rng(3)
    measures = multi_label_measures(4)
    indices = rng.integers(0, 40, size=(5, 40))
    whole = with_derived(measures, found)
    drawn = {name: values[indices] for name, values in whole.items()}
    for item in measures:
        many = compute_samples(item, drawn, 5)
        alone = [item.compute({n: v[row] for n, v in found.items()}) for row in indices]
        np.testing.assert_allclose(many, np.array(alone, dtype=float), err_msg=item.metric.name)


def test_equal_probabilities_are_decided_together():
    found = columns()
    rough = {n: np.round(v, 1) if n.startswith("p_") else v for n, v in found.items()}
    true, shares = true_labels(rough), np.stack([rough[f"p_{k}"] for k in range(4)], axis=1)
    expected = sklearn_metrics.average_precision_score(true, shares, average="macro")
    assert values_of(rough)["macro_average_precision"] == pytest.approx(expected)
    constant = {**found, **{f"p_{k}": np.full(120, 0.3) for k in range(4)}}
    value = values_of(constant)["macro_average_precision"]
    assert value == pytest.approx(true_labels(found).mean())


def test_a_label_that_no_row_has_plays_no_part_in_the_mean():
    found = columns()
    none = {**found, "y_4": np.zeros(120), "p_4": np.full(120, 0.1)}
    name = "macro_average_precision"
    assert values_of(none)[name] == pytest.approx(values_of(found)[name])


def test_better_probabilities_are_better_by_every_measure():
    good, bad = values_of(columns(skill=3.0)), values_of(columns(skill=0.2))
    for item in multi_label_measures(4):
        name, up = item.metric.name, item.metric.higher_is_better
        if name != "calibration_error":
            assert (good[name] > bad[name]) == up, name


def test_a_permutation_tells_runs_apart_and_equal_ones_not():
    good, bad = columns(skill=2.0), columns(skill=0.2)
    for item in multi_label_measures(4)[:5]:
        rng = generator(1, "test", item.metric.name)
        p = permutation(item, [good], [bad], rng=rng, resamples=200)
        assert p is not None
        assert p < 0.05, item.metric.name
        assert permutation(item, [good], [good], rng=rng, resamples=50) == 1.0


def test_a_missing_probability_is_not_measured():
    found = columns()
    found["p_2"] = np.where(np.arange(120) == 5, np.nan, found["p_2"])
    assert set(values_of(found).values()) == {None}


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(2, 40), st.integers(0, 1000))
def test_they_stay_in_their_ranges(labels, rows, seed):
    found = columns(rows, labels, seed)
    for item in multi_label_measures(labels):
        value = item.compute(found)
        assert value is None or item.metric.low <= value <= (item.metric.high or np.inf)


def test_a_row_is_right_if_every_label_is():
    found = columns()
    right = (true_labels(found) == decided_labels(found)).all(axis=1)
    np.testing.assert_array_equal(correct(found), right)
    assert values_of(found)["exact_match"] == pytest.approx(right.mean())


def test_each_label_has_scores_of_its_own():
    found = columns()
    scores = of_each_class(found, ("a", "b", "c", "d"))
    true, decided = true_labels(found), decided_labels(found)
    for k, score in enumerate(scores):
        expected = sklearn_metrics.f1_score(true[:, k], decided[:, k])
        assert score.f1 == pytest.approx(expected)
        assert (score.support, score.predicted) == (true[:, k].sum(), decided[:, k].sum())


def test_facts_lead_to_them_and_intervals_hold_the_value():
    facts = RowFacts(classes=("a", "b", "c", "d"), problem_type=MULTI_LABEL)
    assert measures_of(facts) is multi_label_measures(4)
    found = columns()
    drawn = resample(measures_of(facts), {"run": found}, 200, generator(1, "interval"))["run"]
    for name, value in values_of(found).items():
        if name != "calibration_error":  # chance adds to it in every resample
            assert np.quantile(drawn[name], 0.01) < value < np.quantile(drawn[name], 0.99), name
