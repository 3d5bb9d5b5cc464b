import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.core.errors import DataError
from graft.core.facts import RowFacts
from graft.metrics.labelled import measures_of
from graft.metrics.probabilities import (
    BINS,
    bin_of,
    cheapest_threshold,
    class_columns,
    probabilities_of,
    probability_names,
    reliability,
)


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(0, 9))
def test_probabilities_come_back_from_their_columns(seed, classes, rows):
    found = np.random.default_rng(seed).dirichlet(np.ones(classes), rows)
    columns = class_columns(found.reshape(rows, classes))
    np.testing.assert_allclose(probabilities_of(columns, classes), found, atol=1e-15)
    assert all(column.shape == (rows,) for column in columns.values())


def test_more_than_two_classes_have_a_decision_and_two_have_not():
    assert list(class_columns(np.array([[0.3, 0.7]]))) == ["score"]
    found = class_columns(np.array([[0.4, 0.4, 0.2]]))
    assert list(found) == ["score", "predicted", "p_0", "p_1", "p_2"]
    assert (found["predicted"][0], found["score"][0]) == (0.0, 0.4)  # the first of equals
    assert probability_names(["p_10", "p_x", "p", "row"]) == ["p_10"]


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 2, 2)])
def test_other_shapes_are_refused_with_the_shape(shape):
    with pytest.raises(DataError, match=str(shape[0])):
        class_columns(np.zeros(shape))


def test_columns_of_another_number_of_classes_are_refused():
    with pytest.raises(DataError, match="of 3 classes, not 2"):
        probabilities_of(class_columns(np.full((4, 3), 1 / 3)), 2)
    with pytest.raises(DataError, match="of 0 classes"):
        probabilities_of({"label": np.zeros(2)})


def expected_cost(scores, labels, threshold, false_positive, false_negative):
    decided = scores >= threshold
    return (
        false_positive * (decided & (labels == 0)).sum()
        + false_negative * (~decided & (labels == 1)).sum()
    )


@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=25),
    st.floats(0.1, 10),
    st.floats(0.1, 10),
)
def test_no_threshold_is_cheaper(rows, false_positive, false_negative):
    scores = np.array([score / 10 for score, _ in rows])
    labels = np.array([float(label) for _, label in rows])
    found = cheapest_threshold(scores, labels, false_positive, false_negative)
    costs = [
        expected_cost(scores, labels, threshold, false_positive, false_negative)
        for threshold in [-1.0, *np.linspace(0, 1.1, 221), 2.0]
    ]
    own = expected_cost(scores, labels, found, false_positive, false_negative)
    assert own == pytest.approx(min(costs))


def test_of_equally_cheap_thresholds_the_middle_one_wins():
    # Cuts behind the first, third and fifth row make two errors each, all others more.
    scores, labels = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 0, 1, 0, 1, 0]
    assert cheapest_threshold(scores, labels, 1, 1) == pytest.approx(0.65)
    assert cheapest_threshold(scores[:4], labels[:4], 1, 1) == pytest.approx(0.85)


def test_errors_that_cost_more_are_made_less(rng):
    labels = (np.arange(300) % 2).astype(float)
    scores = np.clip(0.5 * labels + rng.normal(0.25, 0.2, 300), 0, 1)
    thresholds = [cheapest_threshold(scores, labels, 1, cost) for cost in (0.1, 1, 10)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) == 3


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_rows_of_one_class_are_all_decided_for_it(label):
    scores = np.array([0.0, 0.4, 1.0])
    threshold = cheapest_threshold(scores, np.full(3, label), 1, 1)
    assert ((scores >= threshold) == bool(label)).all()


def test_rows_without_scores_are_refused():
    with pytest.raises(DataError, match="not finite"):
        cheapest_threshold([0.1, np.nan], [0, 1], 1, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 10**6))
def test_reliability_bins_hold_every_row_and_give_the_calibration_error(scores, seed):
    score = np.array(scores)
    columns = {
        "score": score,
        "label": np.random.default_rng(seed).integers(0, 2, len(score)).astype(float),
        "threshold": np.full(len(score), 0.5),
    }
    bins = reliability(columns)
    assert sum(item.rows for item in bins) == len(score) and len(bins) == BINS
    gaps = [abs(b.confidence - b.frequency) * b.rows for b in bins if b.rows]
    kinds = {m.metric.name: m for m in measures_of(RowFacts(classes=("a", "b")))}
    error = kinds["calibration_error"].compute(columns)
    assert error == pytest.approx(sum(gaps) / len(score), abs=1e-12)
    places = bin_of(score)
    assert all(
        bins[place].low <= s <= bins[place].high for s, place in zip(score, places, strict=True)
    )
