"""`graft diagnose` on two trainings: what they share, how probable that is, and why."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

import diagnosis_models as models
from graft.core.files import write_json
from graft.core.findings import Status


@pytest.fixture
def heads(folders, tmp_path):
    """Two classifiers that share a body and differ by the head that was trained on it."""
    places = [tmp_path / name for name in ("first", "second")]
    for seed, place in enumerate(places, start=1):
        models.tune_classifier(folders.classifier, place, seed=seed, only_head=True)
    return places


def test_a_base_and_what_was_made_of_it_are_one_training(look, folders):
    found = look(folders.body, folders.tuned_body)
    assert models.status(found, "two_trainings") == Status.not_applicable
    found = look(folders.language, folders.lora)
    assert models.status(found, "two_trainings") == Status.not_applicable


def test_two_heads_on_one_body_are_told_without_rows(look, heads):
    finding = models.finding(look(*heads), "two_trainings")
    assert finding.status == Status.warned
    assert "below the head are equal, bit for bit, only the head differs" in finding.summary
    assert "predictions were not compared" in finding.summary


def test_with_labelled_rows_the_agreement_has_a_probability(look, heads, texts):
    found = look(*heads, data=texts)
    finding = models.finding(found, "two_trainings")
    shown = finding.evidence["sameness"]["consistency"]
    assert shown["rows"] == 60
    assert f"both right or both wrong on {shown['agreeing']} of 60" in finding.summary
    if shown["log10_probability"] < -2:
        assert finding.status == Status.failed
        assert "body_frozen" in models.causes(found)


def test_two_runs_are_asked_with_their_plans_and_predictions(look, healthy, tmp_path):
    evidence = healthy("full")
    own, other = evidence.paths, evidence.runs["other"]
    for run in (own, other):
        (run.model / "config.json").write_text("{}")
    found = look(own.root, other.root)
    finding = models.finding(found, "two_trainings")
    assert finding.status == Status.passed
    assert "'demo/tuned' and 'demo/other' are two models" in finding.summary
    shutil.rmtree(other.model)
    shutil.copytree(own.model, other.model)
    for run in (own, other):
        write_json(run.ledger, replace(evidence.ledger, phases=evidence.ledger.phases[:1]))
    found = look(own.root, other.root)
    finding = models.finding(found, "two_trainings")
    assert finding.status == Status.failed
    assert "phase 1 of 'demo/tuned' took no step" in finding.summary
    assert models.causes(found)[0] == "thaw_not_reached"
    cause = found.causes[0]
    assert cause.fix and "two_trainings then finds other weights" in cause.expect
