"""Importance of columns: what is read counts, the rest does not, and nothing is asked twice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from graft.core.facts import MULTI_LABEL, REGRESSION, RowFacts
from graft.evaluate import importance
from graft.evaluate.importance import PERMUTATIONS, Part, Subject, permutation_importance
from graft.metrics.labelled import measures_of

FACTS = RowFacts(("note",), ("size", "noise"), ("shop",), ("no", "yes"))
MEASURES = {measure.metric.name: measure for measure in measures_of(FACTS)}


def rows(count: int = 300) -> pd.DataFrame:
    chance = np.random.default_rng(5)
    size = chance.normal(size=count)
    return pd.DataFrame(
        {
            "note": [f"note {index}" for index in range(count)],
            "size": size,
            "noise": chance.normal(size=count),
            "shop": chance.choice(["a", "b"], count),
            "label": (size + chance.normal(size=count) > 0).astype(float),
        }
    )


def by_size(frame: pd.DataFrame) -> np.ndarray:
    yes = 1 / (1 + np.exp(-2 * frame["size"].to_numpy()))
    return np.stack([1 - yes, yes], axis=1)


def asked(metric: str = "roc_auc", reads=("size", "noise"), seed: int = 1, predict=by_size):
    part = Part(predict, frozenset(reads))
    subject = Subject({"table": part}, lambda parts: parts["table"], FACTS, 0.5)
    return permutation_importance(subject, rows(), MEASURES[metric], seed)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_what_decides_counts_whatever_the_direction_of_the_metric(metric):
    found = asked(metric)
    first, second = found.columns
    assert (first.column, second.column) == ("size", "noise")
    assert first.drop > 0 and 0 < first.low < first.drop < first.high
    assert (second.drop, second.low, second.high) == pytest.approx((0, 0, 0))
    assert found.value == MEASURES[metric].compute(
        Subject({}, lambda _: by_size(rows()), FACTS, 0.5).columns(rows(), {})
    )


def test_a_column_that_nothing_reads_is_not_asked():
    assert [item.column for item in asked(reads=("size",)).columns] == ["size"]


def test_the_seed_decides_and_the_rows_stay_as_they_were():
    before = rows()
    assert asked(seed=1) == asked(seed=1)
    assert asked(seed=1).columns[0].drop != asked(seed=2).columns[0].drop
    pd.testing.assert_frame_equal(rows(), before)


def test_only_parts_that_read_the_column_are_asked_again():
    calls = dict.fromkeys(("text", "table"), 0)

    def counted(name):
        def predict(frame: pd.DataFrame) -> np.ndarray:
            calls[name] += len(frame)
            return by_size(frame)

        return predict

    parts = {
        "text": Part(counted("text"), frozenset({"note"})),
        "table": Part(counted("table"), frozenset({"size"})),
    }
    subject = Subject(parts, lambda found: (found["text"] + found["table"]) / 2, FACTS, 0.5)
    permutation_importance(subject, rows(), MEASURES["roc_auc"], 1)
    assert calls == dict.fromkeys(calls, 300 * (1 + PERMUTATIONS))


def test_texts_too_long_to_be_asked_are_named_and_not_measured(monkeypatch):
    monkeypatch.setattr(importance, "MOST_CHARACTERS", 1000)
    found = {item.column: item for item in asked(reads=("note", "size")).columns}
    assert found["note"].drop is None and found["note"].rows == 0
    assert "could be predicted" in found["note"].note
    assert found["size"].drop > 0


def test_a_metric_that_is_undefined_gives_no_number():
    part = Part(by_size, frozenset({"size"}))
    subject = Subject({"table": part}, lambda parts: parts["table"], FACTS)
    one = rows().assign(label=1.0)
    found = permutation_importance(subject, one, MEASURES["roc_auc"], 1)
    assert found.value is None and found.columns[0].drop is None and not found.measured


def test_several_labels_and_numbers_are_asked_by_their_own_measures():
    frame = rows().assign(y_0=lambda f: f["label"], y_1=1.0, threshold=0.5)
    several = RowFacts(("note",), ("size", "noise"), (), ("a", "b"), MULTI_LABEL)
    number = RowFacts(("note",), ("size", "noise"), problem_type=REGRESSION)
    for facts, metric, outputs in (
        (several, "micro_f1", lambda f: np.stack([by_size(f)[:, 1], np.ones(len(f))], axis=1)),
        (number, "rmse", lambda f: f["size"].to_numpy()[:, None]),
    ):
        measure = next(m for m in measures_of(facts) if m.metric.name == metric)
        labelled = frame.assign(label=frame["size"]) if facts.regression else frame
        part = Part(outputs, frozenset({"size", "noise"}))
        subject = Subject({"x": part}, lambda parts: parts["x"], facts, 0.5)
        found = {i.column: i for i in permutation_importance(subject, labelled, measure, 1).columns}
        assert found["size"].low > 0 and found["noise"].drop == pytest.approx(0)
