"""What each way to split promises, on any rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.config.recipe import SplitSection
from graft.core.errors import DataError
from graft.core.roles import Split
from graft.data.normal_form import input_keys, normalise
from graft.data.splits import deal, text_components

BOTH = (Split.validation, Split.test)


def rows(count: int, seed: int = 0, texts: int = 10_000, graded: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label = rng.random(count) if graded else (rng.random(count) < 0.3).astype(float)
    return pd.DataFrame(
        {
            "sentence1": [f"Text {i}" for i in rng.integers(texts, size=count)],
            "sentence2": [f"other {i}!" for i in rng.integers(texts, size=count)],
            "label": label,
            "group": [f"g{i}" for i in rng.integers(max(count // 5, 5), size=count)],
            "time": rng.random(count),
        }
    )


def sides(frame: pd.DataFrame, method: str = "stratified", seed: int = 1, **shares) -> np.ndarray:
    return deal(frame, SplitSection(method=method, **shares), seed, BOTH)


@given(seed=st.integers(0, 999), count=st.integers(40, 200), graded=st.booleans())
@settings(max_examples=25, deadline=None)
def test_shares_are_met_and_seeded(seed, count, graded):
    frame = rows(count, seed, graded=graded)
    dealt = sides(frame, seed=seed)
    assert abs((dealt == "test").sum() - 0.2 * count) <= 2
    assert abs((dealt == "validation").sum() - 0.08 * count) <= 3
    assert (dealt == sides(frame, seed=seed)).all()


def test_another_seed_deals_otherwise():
    assert (sides(rows(200), seed=1) != sides(rows(200), seed=2)).any()


def test_test_rows_do_not_depend_on_the_validation_share():
    frame = rows(200)
    one, other = sides(frame, validation=0.1), sides(frame, validation=0.3)
    assert ((one == "test") == (other == "test")).all()


@pytest.mark.parametrize("graded", [False, True])
def test_stratified_keeps_the_label_distribution(graded):
    frame = rows(1000, graded=graded)
    dealt = sides(frame)
    means = frame.groupby(dealt)["label"].mean()
    assert means.max() - means.min() < 0.04


@given(seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_equal_inputs_stay_together(seed):
    frame = rows(120, seed, texts=6)
    keys = pd.Series(
        [" ".join(key) for key in input_keys(frame, ("sentence1", "sentence2"), normal=True)]
    )
    assert (pd.Series(sides(frame, seed=seed)).groupby(keys).nunique() == 1).all()


@given(seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_no_group_on_two_sides(seed):
    frame = rows(150, seed)
    dealt = pd.Series(sides(frame, "grouped", seed))
    assert (dealt.groupby(frame["group"]).nunique() == 1).all()
    assert set(dealt) == {"train", "validation", "test"}


@given(seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_no_text_on_two_sides(seed):
    frame = rows(150, seed, texts=400)
    dealt = sides(frame, "by_text", seed)
    homes: dict[str, set[str]] = {}
    for column in ("sentence1", "sentence2"):
        for text, side in zip(frame[column], dealt, strict=True):
            homes.setdefault(normalise(text), set()).add(side)
    assert all(len(found) == 1 for found in homes.values())


def test_components_follow_chains():
    frame = pd.DataFrame({"sentence1": list("abdx"), "sentence2": list("bcey")})
    assert text_components(frame).tolist() == [0, 0, 1, 2]


def test_the_youngest_are_test_then_validation():
    frame = rows(100)
    dealt = sides(frame, "by_time")
    times = frame["time"].groupby(dealt)
    assert times.max()["train"] <= times.min()["validation"]
    assert times.max()["validation"] <= times.min()["test"]
    assert (dealt == "test").sum() == 20


def test_validation_share_zero_gives_none():
    assert set(sides(rows(50), validation=0)) == {"train", "test"}


def test_only_validation_is_carved_where_a_test_file_is_given():
    dealt = deal(rows(50), SplitSection(), 1, (Split.validation,))
    assert (dealt == "validation").sum() == 5
    assert "test" not in dealt


def test_empty_split_is_an_error_with_counts():
    with pytest.raises(DataError, match=r"share of 0\.1 of 3 rows for validation is 0 rows"):
        deal(rows(3), SplitSection(), 1, (Split.validation,))


def test_one_component_that_swallows_everything():
    frame = rows(50).assign(sentence1="the same")
    with pytest.raises(DataError, match="there are 1, the largest has 50 rows"):
        sides(frame, "by_text")


def test_missing_role_is_an_error():
    for method, role in (("grouped", "group"), ("by_time", "time")):
        with pytest.raises(DataError, match=f"data.columns.{role}"):
            sides(rows(50).drop(columns=role), method)
