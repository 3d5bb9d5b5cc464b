from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from graft.core.findings import Finding, Status
from graft.report.findings import outcome_sentence, places, statuses


def finding(check="K1", status=Status.passed, where="lora", name="thing", accepted=""):
    return Finding(check, name, "?", status, "It is.", {}, where, accepted=accepted)


def test_places_come_in_the_order_of_the_titles_and_unknown_ones_last():
    items = [finding(where=where) for where in ("elsewhere", "", "lora", "data")]
    found = places(items, {"data": "Data", "lora": "LoRA, rank 8"})
    assert [place.title for place in found] == ["Data", "LoRA, rank 8", "elsewhere", "Experiment"]


def test_passed_findings_fold_by_check_and_the_rest_stands_open():
    items = [
        finding("K2", name="finite_loss"),
        finding("K2", name="first_gradient"),
        finding("K2", Status.failed, name="gradient_direction"),
        finding("K3"),
        finding("K14", Status.not_applicable, name="resume"),
        finding("K15", Status.not_applicable, name="accumulation"),
    ]
    (place,) = places(items, {"lora": "LoRA"})
    assert [item.name for item in place.open] == ["gradient_direction"]
    labels = ["K2 finite loss, first gradient", "K3 thing", "K14 resume, K15 accumulation"]
    assert [fold.label for fold in place.folds] == labels


@given(st.lists(st.tuples(st.sampled_from(list(Status)), st.booleans()), max_size=30))
def test_no_finding_is_lost_and_only_quiet_ones_are_folded(kinds):
    items = [
        finding(f"K{i % 7}", status, where=f"arm{i % 2}", name=f"n{i}",
                accepted="why" if accepted and status == Status.failed else "")
        for i, (status, accepted) in enumerate(kinds)
    ]  # fmt: skip
    found = places(items, {"arm0": "Arm"})
    shown = [*itertools.chain(*(place.open for place in found))]
    folded = [item for place in found for fold in place.folds for item in fold.items]
    assert sorted(item.name for item in [*shown, *folded]) == sorted(item.name for item in items)
    assert {item.status for item in folded} <= {Status.passed, Status.not_applicable}
    assert not any(item.blocks for item in folded)
    assert sum(statuses(items).values()) == len(items)
    for place in found:
        blocks = [item.blocks for item in place.open]
        assert blocks == sorted(blocks, reverse=True)
    blocking = any(item.blocks for item in items)
    assert ("did not pass:" in outcome_sentence(items)) == blocking


def test_the_sentence_never_says_passed_where_nothing_was_looked_at():
    idle = [finding(status=Status.not_applicable)]
    assert outcome_sentence(idle) == "No check passed, and none failed: 1 not applicable."
    warned = [finding(), finding(status=Status.warned)]
    assert outcome_sentence(warned).startswith("No check failed, but read the warnings")
