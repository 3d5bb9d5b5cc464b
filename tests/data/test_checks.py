"""Bad values are named by row; good ones get clean types."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.data.checks import check_rows


def check(**columns):
    frame = pd.DataFrame(
        {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    )
    return check_rows(frame, np.arange(1, len(frame) + 1))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1),
        ("1", 1),
        (" 0.5 ", 0.5),
        (0.25, 0.25),
        (True, 1),
        (np.float32(0.5), 0.5),
        ("1e-1", 0.1),
    ],
)
def test_numbers(value, number):
    clean, bad = check(label=[value])
    assert not bad
    assert clean["label"].tolist() == [number]


@pytest.mark.parametrize("value", ["yes", "", None, math.nan, math.inf, "nan", "1_0", [1], {}])
def test_what_is_no_number_is_named(value):
    clean, bad = check(label=[0, value])
    assert [item.row for item in bad] == [2]
    assert "not a number" in bad[0].what
    assert len(clean) == 1


def test_range_is_told_and_nothing_is_rescaled():
    clean, bad = check(label=[0, 5, 2.5, 1])
    assert clean["label"].tolist() == [0, 1]
    assert [item.row for item in bad] == [2, 3]
    assert bad[0].what == "label is 5, outside 0..1"
    assert "run from 0 to 5; 2 rows are outside" in bad[0].fix


@pytest.mark.parametrize("value", ["", "  \n", "\u200b", None, math.nan, 3, 2.5, ["a"]])
def test_texts_must_be_texts(value):
    clean, bad = check(sentence1=["ok", value], sentence2=["ok", "ok"])
    assert [item.row for item in bad] == [2]
    assert bad[0].what.startswith("sentence1 is")
    assert clean["sentence1"].tolist() == ["ok"]


def test_a_row_with_two_faults_tells_both():
    clean, bad = check(sentence1=[""], label=["yes"])
    assert len(bad) == 2
    assert clean.empty


def test_slices_and_groups_become_words():
    clean, bad = check(kind=["a", None, 3.0, 3], group=[1, 2.0, "x", True])
    assert not bad
    assert clean["kind"].tolist() == ["a", "(missing)", "3", "3"]
    assert clean["group"].tolist() == ["1", "2", "x", "True"]
    assert [item.row for item in check(group=["a", None, " "])[1]] == [2, 3]


def test_times_are_numbers_or_iso_dates():
    clean, bad = check(time=["2024-05-31", "2024-06-01T12:00:00+02:00", "31.05.2024"])
    assert [item.row for item in bad] == [3]
    assert clean["time"].is_monotonic_increasing
    clean, bad = check(time=["3", 4, 5.5])
    assert not bad
    assert clean["time"].tolist() == [3, 4, 5.5]


cell = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


@given(texts=st.lists(cell, min_size=1, max_size=6), label=cell)
def test_every_row_is_clean_or_named(texts, label):
    clean, bad = check(sentence1=texts, label=[label] * len(texts))
    assert {item.row for item in bad}.isdisjoint(clean.index + 1)
    assert len({item.row for item in bad}) + len(clean) == len(texts)
    assert all(isinstance(text, str) and text.strip() for text in clean["sentence1"])
    assert clean["label"].between(0, 1).all()


def test_graded_labels_are_scaled_by_the_range_that_the_recipe_gives():
    frame = pd.DataFrame({"sentence1": ["a"] * 3, "sentence2": ["b"] * 3, "label": [0, 2.5, 5]})
    clean, bad = check_rows(frame, np.arange(1, 4), (0.0, 5.0))
    assert (clean["label"].tolist(), bad) == ([0.0, 0.5, 1.0], [])
    _, bad = check_rows(frame, np.arange(1, 4))
    assert [item.row for item in bad] == [2, 3]
    assert "set data.label_range (the labels run from 0 to 5" in bad[0].fix


def test_a_number_too_large_for_any_float_is_no_label():
    frame = pd.DataFrame(
        {"sentence1": ["a"], "sentence2": ["b"], "label": pd.Series([10**400], dtype=object)}
    )
    clean, bad = check_rows(frame, np.array([1]))
    assert clean.empty
    assert "not a number" in bad[0].what
