"""Evidence is read from files; what is missing is named, what is damaged is an error."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graft.audits.contract import run_checks
from graft.audits.evidence import read_data_evidence, read_evidence, trainings_of
from graft.audits.registry import ARM_CHECKS
from graft.core.errors import RunFolderError
from graft.core.findings import Status


def test_a_missing_file_is_named_and_leaves_the_field_empty(healthy, experiment):
    base = healthy("full").base_folder
    experiment.run("tuned").ledger.unlink()
    evidence = read_evidence(experiment, "tuned", base, lambda frame: None, "full")
    assert evidence.ledger is None
    assert evidence.missing == {"ledger": "tuned/ledger.json is missing"}
    findings = {f.name: f for f in run_checks(ARM_CHECKS, evidence, {})}
    assert findings["movement"].status == Status.not_run
    assert "tuned/ledger.json is missing" in findings["movement"].summary
    assert findings["load_ledger"].status == Status.passed


@pytest.mark.parametrize("field", ["plan", "load", "ledger"])
def test_a_damaged_json_file_is_an_error(healthy, experiment, field):
    base = healthy("full").base_folder
    getattr(experiment.run("tuned"), field).write_text("{")
    with pytest.raises(RunFolderError, match=f"{field}.json"):
        read_evidence(experiment, "tuned", base, lambda frame: None, "full")


def test_damaged_predictions_are_an_error(healthy, experiment):
    base = healthy("full").base_folder
    experiment.run("tuned").predictions("test").write_bytes(b"PAR1 torn")
    with pytest.raises(RunFolderError, match=r"test\.parquet.*run the stage again"):
        read_evidence(experiment, "tuned", base, lambda frame: None, "full")


def test_another_arm_without_predictions_is_not_compared_in_silence(healthy, experiment):
    base = healthy("full").base_folder
    experiment.run("other").predictions("test").unlink()
    evidence = read_evidence(experiment, "tuned", base, lambda frame: None, "full")
    findings = {f.name: f for f in run_checks(ARM_CHECKS, evidence, {})}
    assert findings["differs_from_other_arms"].status == Status.not_run
    assert "other/predictions/test.parquet" in findings["differs_from_other_arms"].summary


def test_arms_are_those_of_the_index_or_else_those_with_a_plan(healthy, experiment):
    healthy("full")
    (experiment.root / "stale").mkdir()
    (experiment.root / "stale" / "plan.json").write_text("{}")
    assert trainings_of(experiment) == ("tuned", "other")
    experiment.index.unlink()
    assert trainings_of(experiment) == ("other", "stale", "tuned")


def test_data_can_be_read_before_any_training(experiment):
    evidence = read_data_evidence(experiment)
    assert evidence.report is not None
    assert evidence.seen == {}
    assert evidence.missing == {}


def test_the_only_arm_has_nothing_to_differ_from(healthy):
    evidence = replace(healthy("full"), others={})
    findings = {f.name: f for f in run_checks(ARM_CHECKS, evidence, {})}
    finding = findings["differs_from_other_arms"]
    assert (finding.status, finding.summary) == (Status.not_applicable, "It is the only arm.")
