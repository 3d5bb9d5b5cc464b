from __future__ import annotations

from dataclasses import replace

import pytest

from graft.core.findings import Finding, Findings, Status
from graft.core.scores import Score
from graft.core.verdicts import GateResult, PairedDifference, Verdict
from graft.report import words
from graft.report.evidence import read_evidence


@pytest.fixture
def evidence(written):
    return read_evidence(written)


def difference(verdict=Verdict.better, **changes):
    item = PairedDifference(
        "spearman", "lora", "base", "all", 295, 0.827, -0.219, 1.046, 0.95, 1.14, 0.0001, 0.0001,
        0.0001, 0.0002, 0.13, verdict, "There are 3 rows.",
    )  # fmt: skip
    return replace(item, **changes)


def test_a_difference_is_told_with_values_interval_and_rows():
    text = words.difference_sentence(difference(), "the untouched base")
    for part in ("0.827", "−0.219", "+1.046", "+0.950 to +1.140", "295 rows"):
        assert part in text


def test_what_was_not_measured_says_why():
    item = difference(Verdict.not_measured, difference=None, low=None, high=None)
    assert words.difference_sentence(item, "it").endswith("not measured: There are 3 rows.")
    assert words.certainty_sentence(item) == "Nothing can be said."


def test_not_shown_says_what_would_have_been_seen():
    text = words.certainty_sentence(difference(Verdict.not_shown, low=-0.1, p_holm=0.4))
    assert "includes zero" in text and "0.130" in text and "0.400" in text


def test_not_shown_with_an_interval_beside_zero_does_not_claim_that_it_includes_zero():
    text = words.certainty_sentence(difference(Verdict.not_shown, low=0.01, p_holm=0.06))
    assert "excludes zero" in text and "Neither a gain nor a loss is shown" in text


def test_lower_is_better_is_said():
    item = difference(metric="false_positives", candidate_value=3.0, reference_value=137.0,
                      difference=-134.0, low=-150.0, high=-118.0)  # fmt: skip
    text = words.difference_sentence(item, "the base")
    assert "3 against 137" in text and "−134" in text and "lower is better" in text


@pytest.mark.parametrize(("auc", "inverted"), [(0.373, True), (0.5, False), (None, False)])
def test_inverted_is_said_below_one_half_only(auc, inverted):
    sentence = words.inverted_sentence("The base", Score("roc_auc", auc, None, None, 295))
    assert ("inverted" in sentence) == inverted


def test_an_accepted_failure_is_never_called_passed():
    finding = Finding("K6", "leakage", "?", Status.failed, "42 rows.").accept("known")
    assert words.status_word(finding) == "failed, accepted"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_headline_names_the_verdict_of_every_arm(evidence, verdict):
    headline = tuple(replace(item, verdict=verdict) for item in evidence.comparison.headline)
    text = words.headline(
        replace(evidence, comparison=replace(evidence.comparison, headline=headline))
    )
    expected = {"not_shown": "not shown", "not_measured": "not measured"}.get(verdict, str(verdict))
    assert expected in text and all(arm.title in text for arm in evidence.arms)


def test_the_headline_does_not_forget_an_arm_that_was_not_compared(evidence):
    shorter = replace(evidence.comparison, headline=evidence.comparison.headline[:1])
    assert "LoRA, rank 8 was not measured" in words.headline(replace(evidence, comparison=shorter))


def test_failures_name_blocking_findings_first_then_missed_gates(evidence):
    found = words.failures(evidence)
    assert [text.split()[0] for text in found] == ["K8", "K11", "K12", "Gate"]
    assert "was not run" in found[1] and "could not be checked" in found[2]
    assert not any("K6" in text for text in found)  # accepted


def test_nothing_blocks_when_nothing_failed(evidence):
    calm = replace(evidence.comparison, gates=())
    assert words.failures(replace(evidence, findings=Findings(()), comparison=calm)) == []


def test_a_gate_without_a_value_is_not_measured():
    gate = GateResult("lora", "spearman", 0.55, 0.9, None, False)
    text = words.gate_sentence(gate, "LoRA")
    assert "at least 0.550 and at most 0.900" in text and text.endswith("not measured.")


def test_leakage_comes_with_the_honest_figures(evidence):
    leakage = next(item for item in evidence.data.leakage if item.split == "test")
    assert "34 of the 240 test rows" in words.leakage_sentence(leakage)
    assert "206 clean rows" in words.leakage_sentence(leakage)
    assert all(run.title in words.clean_figures(evidence) for run in evidence.arms)
    assert words.leakage_sentence(None) == ""


def test_a_clean_verdict_that_differs_is_in_the_word():
    assert words.verdict_word(Verdict.better, Verdict.worse) == (
        "better on all rows, worse on the clean rows"
    )
