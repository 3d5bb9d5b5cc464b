"""What a tracker is told is what the run folder holds, under names that all runs share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.core.costs import RunCost
from graft.core.files import append_jsonl, write_json, write_text
from graft.core.layout import RunPaths
from graft.core.roles import Role, Split
from graft.core.scores import Score, ScoreBook, Scores
from graft.runs.tracked import (
    LONGEST_VALUE,
    Point,
    TrackedRun,
    cost_metrics,
    cut,
    fingerprint,
    flatten,
    run_files,
    score_metrics,
    training_metrics,
)

LEAVES = st.none() | st.booleans() | st.integers() | st.text()
KEYS = st.text(st.characters(categories=["L", "N"]), min_size=1)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


@given(st.dictionaries(KEYS, TREES))
def test_flattened_values_are_short_texts(tree):
    for key, value in flatten(tree).items():
        assert isinstance(key, str)
        assert len(value) <= LONGEST_VALUE


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, LEAVES, min_size=1), min_size=1))
def test_flattening_loses_no_leaf(tree):
    expected = {f"{outer}.{inner}" for outer, leaves in tree.items() for inner in leaves}
    assert set(flatten(tree)) == expected


@given(st.text(max_size=2 * LONGEST_VALUE))
def test_cut_changes_only_what_is_too_long(text):
    assert len(cut(text)) <= LONGEST_VALUE
    assert cut(text) == text if len(text) <= LONGEST_VALUE else cut(text).endswith("…")


def test_empty_values_stay_visible():
    assert flatten({"freeze": [], "accept": {}, "seed": None}) == {
        "freeze": "[]",
        "accept": "{}",
        "seed": "null",
    }


def book(name: str, role: Role) -> ScoreBook:
    items = (Score("spearman", 0.5, 0.4, 0.6, 40), Score("roc_auc", None, None, None, 40, "why"))
    places = [(Split.test, "all"), (Split.test, "clean"), (Split.test, "kind=<b>")]
    places.append((Split.validation, "all"))
    return ScoreBook(tuple(Scores(name, role, split, subset, items) for split, subset in places))


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    found = RunPaths(tmp_path / "lora")
    write_json(found.scores, book("lora", Role.arm))
    return found


def test_scores_have_intervals_and_missing_values_are_named(paths):
    expected = {}
    for place in ("test", "test_clean", "final_validation"):
        expected |= {f"{place}_spearman": 0.5, f"{place}_spearman_low": 0.4}
        expected |= {f"{place}_spearman_high": 0.6, f"{place}_roc_auc": None}
    assert score_metrics(paths) == expected


def test_arms_and_baselines_share_the_names(paths, tmp_path):
    base = RunPaths(tmp_path / "base")
    write_json(base.scores, book("base", Role.baseline))
    assert set(score_metrics(base)) == set(score_metrics(paths))


def test_the_artefact_never_shares_a_name_with_the_training_curve(paths):
    # MLflow shows the last value of a name: a curve would hide the value of the kept weights.
    append_jsonl(
        paths.history,
        {"kind": "evaluation", "step": 3, "metrics": {"validation_spearman": 0.2, "x": None}},
    )
    curve = {point.name for point in training_metrics(paths)}
    assert curve == {"validation_spearman"}
    assert not curve & set(score_metrics(paths))


def test_steps_become_loss_gradient_and_one_rate_per_group(paths):
    rates = {"adapter": 2e-4, "head": 1e-3}
    append_jsonl(
        paths.history,
        {"kind": "step", "step": 1, "loss": 0.5, "grad_norm": None, "rates": rates},
    )
    assert list(training_metrics(paths)) == [
        Point("train_loss", 1, 0.5),
        Point("learning_rate_adapter", 1, 2e-4),
        Point("learning_rate_head", 1, 1e-3),
    ]


def test_a_baseline_has_neither_curves_nor_costs(paths):
    assert list(training_metrics(paths)) == []
    assert cost_metrics(paths) == {}


def test_costs_that_were_not_measured_are_left_out(paths):
    write_json(paths.cost, RunCost(1.5, 0.5, 1000, None, 200, None, "a processor"))
    assert cost_metrics(paths) == {
        "train_seconds": 1.5,
        "predict_seconds": 0.5,
        "peak_memory_bytes": 1000.0,
        "artefact_bytes": 200.0,
    }


def test_only_files_that_exist_are_kept(paths):
    assert run_files(paths) == (paths.scores,)
    write_text(paths.predictions(Split.test), "rows")
    write_text(paths.in_memory(Split.test), "rows")
    assert run_files(paths) == (paths.scores, paths.predictions(Split.test))


def test_the_fingerprint_follows_content_and_not_time(paths):
    run = TrackedRun("lora", str(paths.root), {"seed": "1"}, {"graft.verdict": "better"})
    before = fingerprint(run)
    write_json(paths.cost, RunCost(1.5, 0.5, 1000, None, 200, None, "a processor"))
    assert fingerprint(run) == before
    others = [
        TrackedRun("lora", run.folder, {"seed": "2"}, run.tags),
        TrackedRun("lora", run.folder, run.params, {"graft.verdict": "worse"}),
    ]
    assert before not in map(fingerprint, others)
    write_text(paths.scores, json.dumps({"items": []}))
    assert fingerprint(run) != before
