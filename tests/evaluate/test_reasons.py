"""Words left out: the one that decides is found, and the rest of the text stays as it is."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.core.facts import RowFacts
from graft.core.reasons import ExplainedRow, WordEffect
from graft.evaluate import reasons
from graft.evaluate.reasons import chosen_rows, explain_rows, frequent_words, words_of
from graft.metrics.probabilities import class_columns

FACTS = RowFacts(("bio", "note"), classes=("no", "yes"))


def knows_nights(frame: pd.DataFrame) -> np.ndarray:
    """Odds of yes are tripled by `nights` in the bio and halved by `never` in either text."""
    odds = np.where(frame["bio"].str.contains("nights"), 3.0, 1.0)
    odds = odds * np.where((frame["bio"] + frame["note"]).str.contains("never"), 0.5, 1.0)
    return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)


def predicted(texts: list[tuple[str, str]], labels: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame(texts, columns=["bio", "note"])
    frame["row"] = [f"test:{place}" for place in range(len(frame))]
    return frame.assign(label=labels, threshold=0.5, **class_columns(knows_nights(frame)))


def test_effects_are_the_log_odds_that_a_word_carries():
    frame = predicted([("I like nights", "We never rest"), ("Days", "Any shift")], [1.0, 0.0])
    found = {row.row: row for row in explain_rows(frame, FACTS, knows_nights)}
    effects = {(word.column, word.word): word.effect for word in found["test:0"].words}
    assert effects["bio", "nights"] == pytest.approx(math.log(3))
    assert effects["note", "never"] == pytest.approx(-math.log(2))
    assert all(
        effect == pytest.approx(0)
        for (_, word), effect in effects.items()
        if word not in ("nights", "never")
    )
    first = found["test:0"]
    assert (first.label, first.decided, first.right) == ("yes", "yes", True)
    assert first.probability == pytest.approx(0.6)
    assert first.texts["note"][first.words[-1].start :] == "rest"


def test_of_the_words_beyond_the_limit_only_the_number_is_told(monkeypatch):
    monkeypatch.setattr(reasons, "MOST_WORDS", 10)
    frame = predicted([("word " * 40, "a short note")], [1.0])
    (row,) = explain_rows(frame, FACTS, knows_nights)
    assert row.untried == 33 and len(row.words) == 10
    assert sum(word.column == "note" for word in row.words) == 3


def test_rows_without_a_word_are_explained_by_none():
    (row,) = explain_rows(predicted([("", "?!")], [1.0]), FACTS, knows_nights)
    assert row.words == () and row.untried == 0


def test_rows_are_chosen_by_how_sure_and_how_right_they_are():
    scores = np.array([0.99, 0.98, 0.97, 0.96, 0.95, 0.02, 0.03, 0.51, 0.49, 0.9])
    labels = np.array([1, 1, 1, 1, 1, 1, 0, 1, 0, 0.0])
    found = chosen_rows(pd.DataFrame({"score": scores, "threshold": 0.5, "label": labels}))
    kinds = {kind: [n for n, k in found.items() if k == kind] for kind in set(found.values())}
    assert kinds[reasons.RIGHT] == [0, 1, 2, 6]
    assert kinds[reasons.WRONG] == [5, 9]
    assert kinds[reasons.UNDECIDED] == [7, 8, 4, 3]


def test_without_a_decision_nothing_is_chosen():
    assert chosen_rows(pd.DataFrame({"score": [0.5], "label": [1.0]})) == {}


def test_many_classes_need_no_threshold():
    shares = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.1, 0.8, 0.1]])
    frame = pd.DataFrame({"label": [0.0, 0.0, 2.0], **class_columns(shares)})
    assert chosen_rows(frame) == {0: reasons.RIGHT, 1: reasons.RIGHT, 2: reasons.WRONG}


@given(st.text(alphabet="ab'-. \t日本é", max_size=60))
def test_every_word_can_be_cut_out_and_nothing_else_goes(text):
    words = words_of(text)
    for start, word in words:
        assert text[start : start + len(word)] == word
        rest = reasons._Word(0, "note", start, word).out_of(text)
        assert "".join(rest.split()) == "".join((text[:start] + text[start + len(word) :]).split())


def row_of(decided: str, *effects: tuple[str, float]) -> ExplainedRow:
    words = tuple(WordEffect("note", 0, word, effect) for word, effect in effects)
    return ExplainedRow("r", reasons.RIGHT, decided, decided, 0.9, {"note": ""}, words, 0)


def test_frequent_words_count_rows_without_them_as_nothing():
    rows = [
        row_of("yes", ("Night", 1.0), ("night", 0.5)),
        row_of("yes", ("day", -0.2)),
        row_of("no"),
    ]
    found = frequent_words(rows)
    assert [(w.word, w.rows, w.of) for w in found] == [("night", 1, 2), ("day", 1, 2)]
    assert found[0].effect == pytest.approx(0.375) and found[1].effect == pytest.approx(-0.1)
