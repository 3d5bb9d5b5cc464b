"""What each way to split promises, on any rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.config.data import SplitSection
from graft.core.errors import DataError
from graft.core.facts import RowFacts
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


CLASSES = RowFacts(texts=("title", "review"), classes=tuple(f"c{i}" for i in range(9)))


def class_rows(count: int, seed: int = 0, sizes: list[int] | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    labels = rng.integers(9, size=count) if sizes is None else np.repeat(np.arange(9), sizes)
    count = len(labels)
    return pd.DataFrame(
        {
            "title": [f"title {i}" if i % 3 else "" for i in rng.integers(count, size=count)],
            "review": [f"these are words {i} enough" for i in rng.integers(count, size=count)],
            "label": labels.astype(float),
            "group": [f"g{i}" for i in rng.integers(max(count // 5, 5), size=count)],
            "time": rng.random(count),
        }
    )


@pytest.mark.parametrize("method", ["stratified", "grouped", "by_text", "by_time"])
def test_every_method_deals_out_classes(method):
    frame = class_rows(300)
    dealt = deal(frame, SplitSection(method=method), 1, BOTH, CLASSES)
    assert set(dealt) == {"train", "validation", "test"}
    assert abs((dealt == "test").sum() - 60) <= (20 if method == "by_text" else 2)


def test_each_class_keeps_its_share_however_many_there_are():
    frame = class_rows(0, sizes=[100, 100, 90, 80, 70, 60, 50, 40, 10])
    frame["review"] = [f"no two of these are equal {i}" for i in range(600)]
    dealt = deal(frame, SplitSection(test=0.2, validation=0), 1, (Split.test,), CLASSES)
    held = frame["label"][dealt == "test"].value_counts().sort_index().to_numpy()
    assert held.sum() == 120
    assert np.abs(held - [20, 20, 18, 16, 14, 12, 10, 8, 2]).max() <= 1


@given(
    sizes=st.lists(st.integers(1, 12), min_size=9, max_size=9),
    test=st.floats(0.1, 0.9),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_no_class_loses_its_last_training_row(sizes, test, seed):
    frame = class_rows(0, sizes=sizes, seed=seed)
    try:
        dealt = deal(frame, SplitSection(test=test), seed, BOTH, CLASSES)
    except DataError as error:
        assert "would be empty" in str(error)
        return
    assert set(frame["label"][dealt == "train"]) == set(range(9))


def test_a_missing_text_links_no_rows():
    frame = pd.DataFrame({"title": ["", "", "A b!", "x"], "review": ["a b", "c", "d", ""]})
    assert text_components(frame, CLASSES).tolist() == [0, 1, 0, 2]


def test_equal_short_titles_are_dealt_apart_and_equal_reviews_together():
    facts = RowFacts(("title", "review"), ("age",), classes=("n", "y"))
    long = "the very same long review"
    frame = pd.DataFrame(
        {
            "title": ["Love it"] * 40,
            "review": [""] * 20 + [long] * 20,
            "age": np.arange(40.0),
            "label": [0.0, 1.0] * 20,
        }
    )
    dealt = deal(frame, SplitSection(test=0.5, validation=0), 1, (Split.test,), facts)
    assert len(set(dealt[:20])) == 2
    assert len(set(dealt[20:])) == 1
