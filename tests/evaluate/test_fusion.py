"""Several predictions of the same rows become one."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.core.errors import DataError
from graft.core.jsonable import from_plain, to_plain
from graft.evaluate.fusion import Fusion, average, folds, log_loss, stack


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def parts_of(rng, rows, classes, skills):
    """Parts that know the label more or less, each with noise of its own."""
    labels = rng.permutation(np.arange(rows) % classes)
    parts = {}
    for name, skill in skills.items():
        logits = rng.normal(size=(rows, classes))
        logits[np.arange(rows), labels] += skill
        found = np.exp(logits)
        parts[name] = found / found.sum(axis=1, keepdims=True)
    return parts, labels


def halves(parts, labels):
    half = len(labels) // 2
    first = {name: found[:half] for name, found in parts.items()}
    return (
        first,
        labels[:half],
        {name: found[half:] for name, found in parts.items()},
        labels[half:],
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_two_parts_with_news_of_their_own_give_more_than_each(rng, classes):
    parts, labels = parts_of(rng, 1200, classes, {"text": 1.5, "table": 1.0})
    first, seen, rest, unseen = halves(parts, labels)
    fused = stack(first, seen, seed=1).predict(rest)
    mean = average(first, seen).predict(rest)
    best = min(log_loss(found, unseen) for found in rest.values())
    assert log_loss(fused, unseen) < best
    assert log_loss(mean, unseen) < best


@pytest.mark.parametrize("classes", [2, 4])
def test_on_shuffled_labels_a_stack_does_not_beat_chance(rng, classes):
    parts, labels = parts_of(rng, 1200, classes, {"text": 1.5, "table": 1.0})
    first, _, rest, _ = halves(parts, labels)
    dealt = rng.permutation(labels)
    fused = stack(first, dealt[:600], seed=1).predict(rest)
    assert log_loss(fused, dealt[600:]) > np.log(classes) - 0.02
    assert (fused.argmax(axis=1) == dealt[600:]).mean() < 1 / classes + 0.07


@pytest.mark.parametrize("classes", [2, 3])
def test_a_part_that_knows_nothing_is_not_listened_to(rng, classes):
    parts, labels = parts_of(rng, 2000, classes, {"text": 2.0, "noise": 0.0})
    assert dict(zip(*_weights(average(parts, labels)), strict=True))["noise"] <= 0.1
    fusion = stack(parts, labels, seed=1)
    silent = {**parts, "noise": np.full_like(parts["noise"], 1 / classes)}
    assert np.abs(fusion.predict(parts) - fusion.predict(silent)).mean() < 0.05
    assert "text" in fusion.words and "noise" in fusion.words


def _weights(fusion):
    return fusion.parts, fusion.weights


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 4), st.sampled_from(["stacked", "average"]))
def test_a_fusion_gives_probabilities_and_survives_json(seed, classes, method):
    rng = np.random.default_rng(seed)
    parts, labels = parts_of(rng, 60, classes, {"a": 1.0, "b": 0.5, "c": 0.0})
    fusion = stack(parts, labels, seed) if method == "stacked" else average(parts, labels)
    found = fusion.predict(parts)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    loaded = from_plain(Fusion, json.loads(json.dumps(to_plain(fusion))))
    np.testing.assert_array_equal(loaded.predict(parts), found)
    assert loaded.words == fusion.words and fusion.words.endswith(".")


@pytest.mark.parametrize("seen", [(0, 2), (1, 2, 3)])
def test_a_class_without_a_row_gets_no_probability(rng, seen):
    parts, _ = parts_of(rng, 80, 4, {"a": 1.0, "b": 1.0})
    labels = np.array(seen)[np.arange(80) % len(seen)]
    fusion = stack(parts, labels, seed=1)
    found = fusion.predict(parts)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found[:, [place for place in range(4) if place not in seen]] == 0).all()
    assert fusion.words.endswith("mean of classes.")


def test_weights_on_the_best_part_are_found_exactly(rng):
    parts, labels = parts_of(rng, 400, 2, {"a": 1.0, "b": 1.0})
    parts["a"] = np.eye(2)[labels] * 0.98 + 0.01
    assert average(parts, labels).weights == (1.0, 0.0)
    assert average(parts, labels).words == "The mean of 1.00 of a and 0.00 of b."


def test_rows_of_one_class_cannot_be_stacked(rng):
    parts, _ = parts_of(rng, 20, 2, {"a": 1.0})
    with pytest.raises(DataError, match="all 20 rows are of class"):
        stack(parts, np.ones(20), seed=1)


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 4), st.booleans())
def test_every_row_has_one_fold_and_groups_stay_together(seed, count, classes, grouped):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(60) % classes).astype(float)
    rows = pd.DataFrame({"label": labels})
    if grouped:
        rows["group"] = [f"g{index // 3}" for index in range(60)]
    found = folds(rows, count, seed)
    assert sorted(set(found.tolist())) == list(range(count))
    np.testing.assert_array_equal(found, folds(rows, count, seed))
    if grouped:
        assert rows.assign(fold=found).groupby("group")["fold"].nunique().max() == 1
    else:
        shares = pd.crosstab(found, labels)
        assert (shares.max() - shares.min() <= 1).all()


def test_a_rare_class_is_no_obstacle_but_too_few_rows_are():
    rows = pd.DataFrame({"label": [0.0] * 20 + [1.0]})
    assert len(folds(rows, 5, seed=1)) == 21
    with pytest.raises(DataError, match=r"3 rows of the largest class, for 5 folds"):
        folds(rows.head(3), 5, seed=1)
    same = rows.assign(group="one")
    with pytest.raises(DataError, match="1 groups"):
        folds(same, 2, seed=1)
