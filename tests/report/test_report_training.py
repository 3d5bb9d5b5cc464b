from __future__ import annotations

from dataclasses import replace

import pytest

from graft.core.ledger import StateChange
from graft.report.evidence import read_evidence
from graft.report.palette import run_styles
from graft.report.training import movement, summary, training_charts


@pytest.fixture
def lora(written):
    return next(run for run in read_evidence(written).runs if run.name == "lora")


def spoiled(ledger, **changes):
    first = ledger.phases[0]
    index = next(i for i, tensor in enumerate(first.tensors) if tensor.requires_grad)
    tensors = list(first.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(ledger, phases=(replace(first, tensors=tuple(tensors)), *ledger.phases[1:]))


def test_a_healthy_run_has_no_suspect(lora):
    found = movement(lora.ledger, lora.plan)
    assert found.moved == found.trained == 48 and found.kept == found.frozen and not found.suspects


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sha256_after": None}, "did not move"),
        ({"in_optimizer": False}, "not in the optimizer"),
        ({"requires_grad": False, "in_optimizer": False}, "frozen and changed"),
        ({"finite": False}, "not finite"),
    ],
)
def test_a_tensor_that_does_not_follow_the_plan_is_named(lora, changes, word):
    if "sha256_after" in changes:
        before = next(t.sha256_before for t in lora.ledger.phases[0].tensors if t.requires_grad)
        changes = {"sha256_after": before}
    found = movement(spoiled(lora.ledger, **changes), lora.plan)
    assert any(word in suspect and "lora_A" in suspect for suspect in found.suspects)


def test_trained_tensors_come_first_in_the_table(lora):
    table = summary(lora).tensors
    assert table.rows[0][4] == "trained" and table.total == 76


def test_a_thaw_is_a_dotted_line_in_the_curves_and_what_stays_frozen_is_none(written):
    evidence = read_evidence(written)
    styles = run_styles(evidence.index.runs, evidence.index.base_run)
    still = StateChange(0, 0, "phase 0 from epoch 0: head trainable; encoder frozen")
    runs = [
        replace(run, ledger=replace(run.ledger, changes=(still, *run.ledger.changes)))
        for run in evidence.runs
        if run.ledger
    ]
    thawed = {run.name for run in runs if len(run.ledger.changes) > 1}
    assert thawed
    loss, validation, _ = training_charts(runs, styles)
    for chart, places in ((loss, [150]), (validation, [2])):
        assert chart.reading.endswith("Dotted lines are thaws, each in the colour of its run.")
        for panel in chart.panels:
            lines = panel.figure["layout"]["shapes"]
            assert [line["x0"] for line in lines] == places * len(thawed)
            colours = {styles[name].colour for name in thawed}
            assert {line["line"]["color"] for line in lines} == colours
    marks = [trace for trace in loss.panels[0].figure["data"] if trace["mode"] == "markers"]
    words = " ".join(word for mark in marks for word in mark["hovertext"])
    assert "encoder frozen" in words and "thawed group lower" in words


def test_without_a_ledger_the_curves_have_no_lines(written):
    evidence = read_evidence(written)
    styles = run_styles(evidence.index.runs, evidence.index.base_run)
    loss, validation, _ = training_charts([replace(r, ledger=None) for r in evidence.runs], styles)
    assert "thaws" not in loss.reading + validation.reading
