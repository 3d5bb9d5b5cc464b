import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.core.errors import DataError
from graft.core.scores import Metric
from graft.metrics.measures import (
    Measure,
    chunks,
    compute_samples,
    measure,
    ranked,
    row_count,
    standardised,
    unchanged,
)

TIME = Metric("mean_s", "Mean time", False, 0.0, None, "s", "Mean of time.", "")


def mean_time() -> Measure:
    return measure(TIME, lambda time: time.mean(axis=-1), reads=("time",), exchange=("time",))


def test_the_batched_path_gives_what_compute_gives_sample_by_sample(rng):
    times = rng.random((7, 4))
    expected = [mean_time().compute({"time": row}) for row in times]
    assert compute_samples(mean_time(), {"time": times}, 7) == pytest.approx(expected)


def test_a_measure_without_a_batched_path_is_computed_sample_by_sample():
    def largest_unless_negative(columns):
        value = float(columns["time"].max())
        return None if value < 0 else value

    slow = Measure(TIME, largest_unless_negative, ("time",), unchanged)
    values = compute_samples(slow, {"time": np.array([[1.0, 3.0], [-2.0, -1.0]])}, 2)
    np.testing.assert_array_equal(values, [3.0, np.nan])


@pytest.mark.parametrize("times", [[], [1.0, np.nan], [1.0, np.inf]])
def test_no_rows_and_values_that_are_not_finite_are_undefined(times):
    assert mean_time().compute({"time": np.array(times)}) is None


def test_preparing_keeps_the_other_columns_and_the_originals():
    columns = {"score": np.array([0.3, 0.1]), "label": np.array([1, 0])}
    for prepare in (unchanged, ranked, standardised):
        prepared = prepare(columns)
        assert prepared["label"] is columns["label"]
    np.testing.assert_array_equal(columns["score"], [0.3, 0.1])


@given(st.floats(0.1, 100), st.floats(-100, 100))
def test_standardised_scores_do_not_depend_on_scale_and_offset(scale, offset):
    scores = np.array([0.1, 0.5, 0.9, 0.2])
    moved = standardised({"score": scores * scale + offset})["score"]
    np.testing.assert_allclose(moved, standardised({"score": scores})["score"], atol=1e-6)


def test_a_constant_score_is_standardised_to_zeros():
    np.testing.assert_allclose(standardised({"score": np.full(3, 0.1)})["score"], 0, atol=1e-12)


def test_columns_of_different_lengths_are_refused_with_their_lengths():
    with pytest.raises(DataError, match=r"'score': 2, 'label': 3"):
        row_count({"score": np.zeros(2), "label": np.zeros(3)})
    with pytest.raises(DataError):
        row_count({})


@given(st.integers(0, 5000), st.integers(1, 400_000))
def test_chunks_cover_every_sample_once_and_stay_small(samples, rows):
    slices = list(chunks(samples, rows))
    assert [i for part in slices for i in range(samples)[part]] == list(range(samples))
    assert all((part.stop - part.start) * rows <= max(2**18, rows) for part in slices)
    assert list(chunks(samples, 0)) == []
