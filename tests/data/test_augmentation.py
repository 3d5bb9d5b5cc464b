"""Altered copies of training rows: what they keep, and that nothing else is touched."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graft.config.augmentation import AugmentSection
from graft.config.loading import load_recipe
from graft.core.augmentation import Augmentation
from graft.core.errors import RecipeError
from graft.core.jsonable import from_plain, to_plain
from graft.data.augmentation import (
    altered,
    augmented_rows,
    jitter,
    scaling,
    time_warp,
    window_slice,
)

SERIES = st.tuples(st.integers(1, 40), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-1e3, 1e3))
)
EACH = {
    "jitter": lambda series, rng: jitter(series, 0.3, rng),
    "scaling": lambda series, rng: scaling(series, 0.3, rng),
    "time_warp": lambda series, rng: time_warp(series, 0.5, rng),
    "window_slice": lambda series, rng: window_slice(series, 0.7, rng),
}


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", EACH)
@given(series=SERIES, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_copy_has_the_shape_of_its_series_and_leaves_it_alone(name, series, seed):
    before = series.copy()
    copy = EACH[name](series, rng(seed))
    assert copy.shape == series.shape
    assert np.array_equal(series, before)
    assert np.isfinite(copy).all()
    assert np.array_equal(copy, EACH[name](series, rng(seed)))


@pytest.mark.parametrize("name", ["time_warp", "window_slice"])
@given(series=SERIES, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_time_alone_changes_no_value_beyond_those_there_are(name, series, seed):
    copy = EACH[name](series, rng(seed))
    tolerance = 1e-9 * np.abs(series).max(initial=1)
    assert (copy >= series.min(axis=0) - tolerance).all()
    assert (copy <= series.max(axis=0) + tolerance).all()


def test_noise_is_measured_by_each_channel():
    series = np.stack([rng(2).normal(size=5000), 100 * rng(3).normal(size=5000)], axis=1)
    noise = jitter(series, 0.1, rng()) - series
    assert np.allclose(noise.std(axis=0) / series.std(axis=0), 0.1, rtol=0.05)


def test_gaps_stay_gaps_and_spread_no_farther_than_one_step():
    series = rng().normal(size=(50, 2))
    series[20:25, 0] = np.nan
    for name in ("jitter", "scaling"):
        assert np.array_equal(np.isnan(EACH[name](series, rng())), np.isnan(series))
    for name in ("time_warp", "window_slice"):
        gaps = np.isnan(EACH[name](series, rng()))
        assert 1 <= gaps[:, 0].sum() <= 20
        assert not gaps[:, 1].any()


def rows(count: int = 12) -> pd.DataFrame:
    series = pd.Series([rng(n).normal(size=(9, 2)).astype("f4") for n in range(count)])
    ids = [f"train:{n}" for n in range(count)]
    labels = [float(n % 3 == 0) for n in range(count)]
    return pd.DataFrame({"row": ids, "split": "train", "label": labels, "series": series})


SECTION = AugmentSection(copies=2, jitter=0.05, scaling=0.1, time_warp=0.2, window_slice=0.9)


def test_copies_stand_behind_the_rows_with_ids_and_counts_of_their_own():
    before = rows()
    more, added = augmented_rows(before, SECTION, 1, ("no", "yes"))
    assert more.iloc[:12].equals(before)
    assert more["row"].is_unique
    assert more["row"].tolist()[12:14] == ["train:0#1", "train:1#1"]
    assert more["label"].tolist() == before["label"].tolist() * 3
    assert {cell.dtype for cell in more["series"]} == {np.dtype(np.float32)}
    assert added.rows == {"no": 8, "yes": 4}
    assert added.copies == {"no": 16, "yes": 8}
    assert added.added == 24
    assert added.sources == tuple(before["row"])
    assert added.alterations == {
        "window_slice": 0.9, "time_warp": 0.2, "scaling": 0.1, "jitter": 0.05,
    }  # fmt: skip
    assert from_plain(Augmentation, to_plain(added)) == added


def test_a_copy_depends_on_the_seed_and_its_id_alone():
    whole, _ = augmented_rows(rows(), SECTION, 1, ("no", "yes"))
    part, _ = augmented_rows(rows().iloc[[3, 5]], SECTION, 1, ("no", "yes"))
    other, _ = augmented_rows(rows(), SECTION, 2, ("no", "yes"))

    def of(frame: pd.DataFrame) -> np.ndarray:
        return frame.set_index("row")["series"]["train:5#2"]

    assert np.array_equal(of(whole), of(part))
    assert not np.array_equal(of(whole), of(other))
    assert not np.array_equal(of(whole), whole.set_index("row")["series"]["train:5#1"])


def test_an_alteration_that_is_off_draws_nothing():
    series = rows()["series"][0]
    copy = altered(series, AugmentSection(scaling=0.2), rng())
    assert np.allclose(copy / series, (copy / series)[0, 0], rtol=1e-4)


def recipe(augment: dict, task: str = "series"):
    arms = {"a": {"augment": augment}}
    data = {"train": "t"} | ({"texts": ["x"]} if task == "classification" else {})
    return load_recipe({"name": "x", "task": task, "arms": arms, "data": data}).recipe


def test_an_arm_says_what_is_altered():
    assert recipe({"jitter": 0.1}).arms["a"].augment == AugmentSection(jitter=0.1)
    with pytest.raises(RecipeError, match="copies would be unaltered"):
        recipe({"copies": 3})
    with pytest.raises(RecipeError, match=r"arms\.a\.augment needs task: series"):
        recipe({"jitter": 0.1}, "classification")
