"""Roles are filled by name or by custom, never by a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.core.errors import DataError
from graft.data.columns import CUSTOMARY, assign_columns


@pytest.mark.parametrize(
    "columns",
    [
        ("sentence1", "sentence2", "score"),
        ("text_1", "text_2", "label"),
        ("anchor", "positive", "labels"),
        ("premise", "hypothesis", "scores"),
        ("query", "answer", "label"),
        ("query", "document", "label"),
        ("question1", "question2", "Label"),
    ],
)
def test_customary_names(columns):
    assigned = assign_columns(columns, {}, "f")
    assert tuple(assigned.values()) == columns


@given(columns=st.permutations(["text_1", "text_2", "label", "group", "date", "extra"]))
def test_order_of_the_columns_plays_no_part(columns):
    assert assign_columns(columns, {}, "f") == {
        "sentence1": "text_1",
        "sentence2": "text_2",
        "label": "label",
        "group": "group",
        "time": "date",
    }


def test_the_recipe_wins_over_custom():
    columns = ["text1", "text2", "label", "answer", "mine"]
    wanted = {"sentence2": "mine", "score": "label"}
    assert assign_columns(columns, wanted, "f") == {
        "sentence1": "text1",
        "sentence2": "mine",
        "label": "label",
    }


def test_two_candidates_are_refused_with_the_line_to_add():
    with pytest.raises(DataError) as caught:
        assign_columns(["text1", "text2", "score", "label"], {}, "f.csv")
    (problem,) = caught.value.problems
    assert problem.what == "the columns ['score', 'label'] could each be 'label'"
    assert problem.fix == "add to the recipe: data: {columns: {label: score}}"


def test_all_problems_at_once():
    wanted = {"sentence1": "txet1", "sentense2": "b", "label": "y", "score": "y"}
    with pytest.raises(DataError) as caught:
        assign_columns(["text1", "b", "y"], wanted, "f.csv")
    told = "\n".join(map(str, caught.value.problems))
    assert "has no column 'txet1'. Fix: did you mean 'text1'?" in told
    assert "data.columns.sentense2: is no role. Fix: did you mean 'sentence2'?" in told
    assert "names 'label' again" in told
    assert "no column is known to be 'sentence2'; the columns are ['text1', 'b', 'y']" in told


def test_one_column_cannot_play_two_roles():
    with pytest.raises(DataError, match=r"column 'a' has the roles \['sentence1', 'sentence2'\]"):
        assign_columns(["a", "label"], {"sentence1": "a", "sentence2": "a"}, "f")


def test_a_customary_name_belongs_to_one_role():
    names = [name for known in CUSTOMARY.values() for name in known]
    assert len(names) == len(set(names))
