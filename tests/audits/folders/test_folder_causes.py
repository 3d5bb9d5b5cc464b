"""Every fault has a cause with a remedy, and causes come in the order in which they explain."""

from __future__ import annotations

import re
from pathlib import Path

import graft.audits.folders as package
from graft.audits.contract import run_checks
from graft.audits.folders.causes import Faults, causes_of
from graft.audits.folders.known import CAUSES
from graft.audits.folders.registry import FOLDER_CHECKS
from graft.core.findings import Finding, Status

SOURCES = sorted(Path(package.__file__).parent.glob("*.py"))


def test_every_cause_that_a_check_names_is_known_and_every_known_one_is_named():
    text = "\n".join(p.read_text(encoding="utf-8") for p in SOURCES if p.name != "known.py")
    named = set(re.findall(r'"([a-z_]+)"', text))
    assert set(CAUSES) <= named
    used = set(re.findall(r'faults\.add\(\s*"([a-z_]+)"', text))
    assert used <= set(CAUSES)
    assert len(used) > 30


def test_every_cause_says_what_to_do_and_what_to_expect():
    names = {check.name for check in FOLDER_CHECKS}
    for cause in CAUSES.values():
        assert cause.fix.endswith(".")
        assert cause.expect.endswith(".")
        assert any(name in cause.expect for name in names)


def test_check_names_are_unique():
    assert len({check.name for check in FOLDER_CHECKS}) == len(FOLDER_CHECKS)


def found(name, *causes, blocks=True):
    faults = Faults()
    for cause in causes:
        faults.add(cause, f"{cause} was seen", blocks=blocks)
    answer = faults.answer("all is well", {})
    [plain] = run_checks_of(name, answer)
    return plain


def run_checks_of(name, answer):
    from types import SimpleNamespace

    from graft.audits.contract import Check

    check = Check("K1", name, "Is it?", lambda evidence: answer)
    return run_checks([check], SimpleNamespace(name="tuned"), {})


def test_what_explains_the_rest_comes_first():
    findings = [found("outputs", "outputs_equal"), found("adapter", "adapter_zero")]
    assert [cause.key for cause in causes_of(findings)] == ["adapter_zero", "outputs_equal"]


def test_a_note_is_no_cause():
    finding = found("weights", "body_frozen", blocks=False)
    assert finding.status == Status.warned
    assert finding.summary == "All is well; body_frozen was seen."
    assert causes_of([finding]) == ()


def test_a_check_that_broke_is_a_cause_of_its_own():
    finding = Finding("K1", "broken", "Is it?", Status.error, "It broke.", fix="Report it.")
    [cause] = causes_of([finding])
    assert (cause.key, cause.evidence, cause.fix) == ("unknown", "It broke.", "Report it.")


def test_the_page_names_every_check_and_every_cause_with_its_remedy():
    page = Path(__file__).parents[3] / "docs" / "how-to" / "diagnose.md"
    text = page.read_text(encoding="utf-8")
    for check in FOLDER_CHECKS:
        assert f"| {check.id} `{check.name}` | {check.question} |" in text
    for cause in CAUSES.values():
        assert f"| {cause.name} | {cause.fix} |" in text
