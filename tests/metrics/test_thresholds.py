import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from graft.core.errors import DataError
from graft.metrics.thresholds import (
    average_precision,
    best_cut,
    best_f1,
    counts,
    operating_point,
)

ROWS = st.lists(
    st.tuples(st.sampled_from([-0.2, 0.0, 0.1, 0.3, 0.30000000000000004, 0.9]), st.booleans()),
    min_size=2,
    max_size=14,
).filter(lambda rows: len({label for _, label in rows}) == 2)


def columns(rows):
    return np.array([score for score, _ in rows]), np.array([float(label) for _, label in rows])


def test_decisions_by_hand():
    point = operating_point([0.9, 0.6, 0.5, 0.4, 0.1], [1, 0, 0.5, 1, 0.4], threshold=0.5)
    # Decided positive: 0.9 (right), 0.6 (wrong), 0.5 (right, label 0.5 counts); missed: 0.4.
    assert (point.false_positives, point.false_negatives) == (1, 1)
    assert (point.f1, point.accuracy) == (pytest.approx(4 / 6), pytest.approx(3 / 5))
    assert (point.precision, point.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))


def test_what_has_no_denominator_is_none():
    assert operating_point([0.1, 0.2], [1, 0], 0.5).precision is None
    assert operating_point([0.1, 0.9], [0, 0], 0.5).recall is None
    assert operating_point([0.1, 0.2], [0, 0], 0.5).f1 is None
    assert operating_point([0.1, 0.2], [0, 0], 0.5).accuracy == 1.0


def test_best_f1_by_hand():
    point = best_f1([0.9, 0.8, 0.3, 0.2], [1, 0, 1, 0])
    # F1 of the first 1, 2, 3, 4 rows: 2/3, 1/2, 4/5, 2/3.
    assert point.f1 == 0.8
    assert point.threshold == 0.25
    assert (point.false_positives, point.false_negatives, point.recall) == (1, 0, 1.0)


@given(ROWS)
def test_no_threshold_at_all_beats_best_f1(rows):
    scores, labels = columns(rows)
    point = best_f1(scores, labels)
    tried = [operating_point(scores, labels, float(cut)) for cut in np.unique(scores)]
    best = max(other.f1 for other in tried)
    assert point.f1 == best
    assert point.false_positives == min(t.false_positives for t in tried if t.f1 == best)


@given(ROWS)
def test_the_threshold_of_best_f1_gives_its_figures_and_those_of_scikit_learn(rows):
    scores, labels = columns(rows)
    point = best_f1(scores, labels)
    assert operating_point(scores, labels, point.threshold) == point
    assert point.f1 == pytest.approx(f1_score(labels >= 0.5, scores >= point.threshold))


def test_among_equal_f1_the_fewest_false_positives_win():
    # The first row alone: 2/3. All five rows: 4/7. The first four: 4/6, equal to the first.
    point = best_f1([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 0, 1, 0])
    assert (point.false_positives, point.threshold) == (0, pytest.approx(0.85))


def test_neighbouring_floats_are_still_told_apart():
    low = 0.3
    point = best_f1([np.nextafter(low, 1), low], [1, 0])
    assert (point.false_positives, point.f1) == (0, 1.0)


def test_rows_of_one_class_are_refused_in_words():
    with pytest.raises(DataError, match="all 2 are negative"):
        best_f1([0.1, 0.2], [0, 0])
    with pytest.raises(DataError, match="all 1 are positive"):
        best_f1([0.1], [1])


def test_bad_input_names_every_problem():
    with pytest.raises(DataError) as caught:
        best_f1([0.1, np.nan], [1, 0, np.inf])
    assert len(caught.value.problems) == 3
    with pytest.raises(DataError, match=r"\(0,\)"):
        operating_point([], [], 0.5)


@given(ROWS)
def test_average_precision_equals_scikit_learn(rows):
    scores, labels = columns(rows)
    expected = average_precision_score(labels >= 0.5, scores)
    assert average_precision(scores, labels) == pytest.approx(expected)


def test_samples_side_by_side_equal_samples_one_by_one(rng):
    scores, labels = rng.integers(0, 5, (6, 15)) / 5, rng.integers(0, 2, (6, 15)) * 1.0
    labels[0] = 1.0
    thresholds, found = best_cut(scores, labels)
    assert np.isnan(thresholds[0])
    assert np.isnan([found.f1[0], found.false_negatives[0]]).all()
    for index in range(1, 6):
        point = best_f1(scores[index], labels[index])
        assert (point.threshold, point.f1) == (thresholds[index], found.f1[index])
    at = counts(scores, labels, np.full(15, 0.5))
    total = at.true_positives + at.false_positives + at.false_negatives + at.true_negatives
    np.testing.assert_array_equal(total, 15)


def test_a_million_rows_take_a_second_or_so(rng):
    labels = (rng.random(1_000_000) > 0.5).astype(float)
    began = time.perf_counter()
    best_f1(rng.random(1_000_000), labels)
    assert time.perf_counter() - began < 5
