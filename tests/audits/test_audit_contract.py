"""One suite for every check: silent, not applicable, not run, error, accepted."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from graft.audits.contract import Answer, Check, run_checks, unused_accepts
from graft.audits.evidence import DataEvidence
from graft.audits.registry import ARM_CHECKS, DATA_CHECKS, RECIPE_CHECKS
from graft.core.findings import Finding, Findings, Status
from graft.core.jsonable import dumps, from_plain, to_plain

EXPERIMENT_CHECKS = (*DATA_CHECKS, *RECIPE_CHECKS)
# Of arms that are no control.
CONTROL = "control_at_chance"
SILENT = {
    "full": {"adapter_equivalence", "merge_algebra"},
    "head": {"adapter_equivalence", "merge_algebra"},
    "lora": set(),
}
KEPT = {"name", "paths", "method", "control", "others", "missing", "primary", "seen"}


class Broken:
    """Something that no check can read."""


def emptied(evidence, value):
    changes = {f.name: value for f in fields(evidence) if f.name not in KEPT}
    changes["missing"] = {name: f"{name} was taken away" for name in changes}
    return replace(evidence, **changes)


def asked(healthy, check):
    """An arm that the check applies to."""
    control = "shuffled_labels" if check.name == CONTROL else "none"
    return replace(healthy("lora"), control=control)


@pytest.mark.parametrize("method", SILENT)
def test_healthy_runs_are_silent(healthy, method):
    findings = run_checks(ARM_CHECKS, healthy(method), {})
    wrong = [f for f in findings if f.status not in (Status.passed, Status.not_applicable)]
    assert wrong == []
    silent = {f.name: f.summary for f in findings if f.status == Status.not_applicable}
    assert "not the control" in silent.pop(CONTROL)
    assert set(silent) == SILENT[method]
    assert all(method in reason for reason in silent.values())


def test_healthy_data_are_silent(healthy_data):
    findings = run_checks(EXPERIMENT_CHECKS, healthy_data, {})
    assert {f.status for f in findings} == {Status.passed}
    assert {f.where for f in findings} == {"data"}


def test_findings_can_be_read_by_people_and_by_machines(healthy, healthy_data):
    findings = run_checks(ARM_CHECKS, healthy("lora"), {}) + run_checks(
        EXPERIMENT_CHECKS, healthy_data, {}
    )
    for finding in findings:
        assert finding.summary.endswith(".")
        assert finding.question.endswith("?")
        assert finding.evidence or finding.name == CONTROL
    plain = to_plain(Findings(findings))
    assert dumps(from_plain(Findings, plain)) == dumps(Findings(findings))


@pytest.mark.parametrize("check", ARM_CHECKS, ids=lambda check: check.name)
def test_an_arm_check_without_its_files_is_not_run(healthy, check):
    (finding,) = run_checks([check], emptied(asked(healthy, check), None), {})
    assert finding.status == Status.not_run
    assert "was taken away" in finding.summary


@pytest.mark.parametrize("check", EXPERIMENT_CHECKS, ids=lambda check: check.name)
def test_a_data_check_without_its_files_is_not_run(healthy_data, check):
    (finding,) = run_checks([check], emptied(healthy_data, None), {})
    assert finding.status == Status.not_run


@pytest.mark.parametrize("check", ARM_CHECKS, ids=lambda check: check.name)
def test_an_arm_check_that_breaks_fails_the_run(healthy, check):
    (finding,) = run_checks([check], emptied(asked(healthy, check), Broken()), {})
    assert finding.status == Status.error
    assert finding.blocks
    assert finding.evidence["exception"] in finding.summary


@pytest.mark.parametrize("check", EXPERIMENT_CHECKS, ids=lambda check: check.name)
def test_a_data_check_that_breaks_fails_the_run(healthy_data, check):
    (finding,) = run_checks([check], emptied(healthy_data, Broken()), {})
    assert finding.status == Status.error


def test_checks_have_pages_and_names_of_their_own():
    names = [check.name for check in (*ARM_CHECKS, *EXPERIMENT_CHECKS)]
    assert len(set(names)) == len(names)
    assert ARM_CHECKS[0].page == "docs/concepts/audits.md#k1"
    assert {check.id for check in (*ARM_CHECKS, *EXPERIMENT_CHECKS)} == {
        f"K{number}" for number in range(1, 17)
    }


def _answering(*answers):
    return Check("K1", "asked", "Is it?", lambda evidence: answers)


@pytest.mark.parametrize("key", ["asked", "K1"])
def test_an_accepted_finding_stays_failed_and_does_not_block(key):
    evidence = DataEvidence(None, None, {})
    check = _answering(Answer(Status.failed, "No."), Answer(Status.passed, "Yes."))
    failed, passed = run_checks([check], evidence, {key: "known since May"})
    assert (failed.status, failed.accepted, failed.blocks) == (
        Status.failed,
        "known since May",
        False,
    )
    assert passed.accepted == ""


def test_a_number_that_is_nan_is_an_error_of_the_check():
    check = _answering(Answer(Status.passed, "Yes.", {"value": float("nan")}))
    (finding,) = run_checks([check], DataEvidence(None, None, {}), {})
    assert finding.status == Status.error
    assert "evidence.value" in finding.summary


def test_accepting_what_does_not_exist_is_a_warning_with_the_nearest_name():
    finding = Finding("K6", "leakage", "?", Status.failed, "Yes.")
    accept = {"leakage": "known", "K6": "known", "leekage": "typo"}
    (unused,) = unused_accepts([finding], accept)
    assert unused.status == Status.warned
    assert unused.evidence["key"] == "leekage"
    assert unused.fix == "Did you mean leakage?"
