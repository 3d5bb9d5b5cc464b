from __future__ import annotations

from dataclasses import replace

import pytest

from graft.report.evidence import read_evidence
from graft.report.training import movement, summary


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
