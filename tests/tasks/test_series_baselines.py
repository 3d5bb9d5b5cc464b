"""Yardsticks for series: what they learn, what they must not depend on, what they do with gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.metrics.probabilities import probabilities_of
from graft.tasks.nearest_neighbour import NearestNeighbour, shares, stretched, warped
from graft.tasks.protocol import BaselineRows
from graft.tasks.random_convolutions import fit_convolutions
from graft.tasks.series_baselines import SERIES_BASELINES
from graft.tasks.series_features import summary_features
from graft.tasks.series_shapes import levels_of, resampled
from series_models import wave_facts, wave_rows

LEARNING = ("euclidean", "dtw", "features", "rocket")


def rows(classes: int = 3) -> BaselineRows:
    train, test = wave_rows(60, 1, classes), wave_rows(45, 2, classes)
    return BaselineRows(train, test, lambda _: {}, seed=7, facts=wave_facts(classes))


def accuracy(name: str, given_rows: BaselineRows) -> float:
    columns = SERIES_BASELINES[name].predict(given_rows)
    found = probabilities_of(columns, len(given_rows.facts.classes)).argmax(axis=1)
    return float((found == given_rows.predicted["label"]).mean())


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", LEARNING)
def test_each_learns_what_majority_cannot(name: str, classes: int) -> None:
    found = rows(classes)
    assert accuracy(name, found) > 0.8
    assert accuracy("majority", found) < 0.6


@pytest.mark.parametrize("name", ["majority", *LEARNING])
def test_shares_are_of_every_class_and_sum_to_one(name: str) -> None:
    one = rows()
    lacking = replace(one, train=one.train[one.train["label"] != 1].reset_index(drop=True))
    for found in (one, lacking):
        columns = SERIES_BASELINES[name].predict(found)
        probabilities = probabilities_of(columns, 3)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert np.isfinite(probabilities).all()
    assert (probabilities[:, 1] == 0).all()


@pytest.mark.parametrize("name", ["majority", *LEARNING])
def test_one_class_alone_is_the_answer_to_everything(name: str) -> None:
    one = rows(2)
    alone = replace(one, train=one.train[one.train["label"] == 1].reset_index(drop=True))
    assert (SERIES_BASELINES[name].predict(alone)["score"] == 1).all()


@pytest.mark.parametrize("name", LEARNING)
def test_units_of_a_channel_play_no_role_and_nothing_given_is_changed(name: str) -> None:
    one = rows()
    before = [values.copy() for values in one.train["series"]]

    def in_other_units(frame: pd.DataFrame) -> pd.DataFrame:
        units = np.array([1024.0, 0.25], dtype=np.float32)  # exact in float32
        return frame.assign(series=[values * units for values in frame["series"]])

    other = replace(one, train=in_other_units(one.train), predicted=in_other_units(one.predicted))
    found, again = (SERIES_BASELINES[name].predict(given_rows) for given_rows in (one, other))
    np.testing.assert_allclose(found["score"], again["score"], rtol=1e-6)
    for values, kept in zip(one.train["series"], before, strict=True):
        np.testing.assert_array_equal(values, kept)


def test_a_training_row_is_its_own_nearest_neighbour() -> None:
    one = rows()
    found = replace(one, predicted=one.train)
    assert accuracy("euclidean", found) == accuracy("dtw", found) == 1


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(2, 30))
@settings(max_examples=25, deadline=None)
def test_warped_distances_are_symmetric_and_never_above_the_euclidean(
    seed: int, first: int, second: int
) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(first, 2)), rng.normal(size=(second, 2))
    there, back = warped([one], [other])[0, 0], warped([other], [one])[0, 0]
    assert np.isfinite(there)
    assert there == pytest.approx(back)
    assert warped([one], [one])[0, 0] == 0
    same = rng.normal(size=(first, 2))
    assert warped([one], [same])[0, 0] <= stretched(first)([one], [same])[0, 0] + 1e-9


def test_time_warping_sees_through_a_shift_that_the_euclidean_distance_does_not() -> None:
    wave = np.sin(np.linspace(0, 6, 60))[:, None]
    shifted = np.roll(wave, 2, axis=0)
    assert warped([wave], [shifted])[0, 0] < 0.5 * stretched(60)([wave], [shifted])[0, 0]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=5))
def test_the_class_of_the_nearest_has_the_largest_share(nearest: list[float]) -> None:
    found = shares(np.array([nearest]))[0]
    assert found.sum() == pytest.approx(1)
    assert found[int(np.argmin(nearest))] == found.max()


def test_the_nearest_neighbour_knows_only_classes_that_a_row_has() -> None:
    train = [np.zeros((3, 1)), np.ones((3, 1))]
    model = NearestNeighbour(train, np.array([0, 2]), stretched(3))
    assert model.classes_.tolist() == [0, 2]
    assert model.predict_proba([np.full((3, 1), 0.9)]).argmax() == 1


def test_gaps_lie_on_the_line_between_their_neighbours() -> None:
    nan = np.nan
    levels = levels_of([np.array([[0.0, nan], [2.0, nan]])])
    found = levels.of([np.array([[nan, nan], [0.0, 5.0], [nan, nan], [2.0, nan]])])[0]
    assert found[:, 0].tolist() == [-1.0, -1.0, 0.0, 1.0]
    assert np.isfinite(found).all()
    assert levels.of([np.array([[nan, nan]])])[0].tolist() == [[0.0, 0.0]]


def test_stretching_keeps_both_ends() -> None:
    series = [np.array([[1.0], [5.0], [2.0]]), np.array([[3.0]])]
    found = resampled(series, 7)
    assert found[0, [0, -1], 0].tolist() == [1.0, 2.0]
    assert (found[1] == 3).all()


@pytest.mark.parametrize("length", [1, 2, 3, 40])
def test_features_are_finite_for_short_and_flat_series(length: int) -> None:
    flat, ramp = np.ones((length, 2)), np.arange(2.0 * length).reshape(length, 2)
    found = summary_features([flat, ramp])
    assert np.isfinite(found).all()
    assert found[:, 0].tolist() == [length, length]


def test_convolutions_are_drawn_by_the_seed_and_see_no_level() -> None:
    series = levels_of(list(wave_rows(20, 1)["series"])).of(list(wave_rows(20, 1)["series"]))
    one, same, other = (fit_convolutions(series, 15, seed).of(series) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert ((one >= 0) & (one <= 1)).all()
    assert one.shape[1] >= 2500


def test_very_many_training_rows_are_drawn_and_that_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graft.tasks.series_baselines._MOST_PAIRS", 45 * 20)
    assert accuracy("dtw", rows()) > 0.6
    assert "compares with 20 of 60 training rows" in caplog.text
