"""A check says that there is nothing to look at only for a reason that it names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graft.audits.contract import run_checks
from graft.audits.registry import ARM_CHECKS
from graft.core.findings import Status
from graft.core.origins import Origin
from graft.core.probes import Probes, Spread

REASON = "it was not looked at today"


def not_probed(evidence, name):
    return replace(evidence, probes=Probes(not_probed={name: REASON}))


def without_evaluation(evidence):
    return replace(evidence, history=[r for r in evidence.history if "loss" in r])


def random_base(evidence):
    fresh = tuple(
        replace(t, origin=Origin.new, source="random_init: control", identical=None)
        for t in evidence.load.tensors
    )
    return replace(evidence, load=replace(evidence.load, tensors=fresh))


def one_label(evidence):
    return replace(evidence, test=evidence.test.assign(label=1.0))


def uninterrupted(evidence):
    return replace(evidence, ledger=replace(evidence.ledger, resumed_at=()))


def nothing_frozen(evidence):
    phases = tuple(replace(phase, eval_modules=()) for phase in evidence.ledger.phases)
    return replace(evidence, ledger=replace(evidence.ledger, phases=phases))


def nothing_stored(evidence, problem):
    phases = tuple(
        replace(phase, features=None, features_problem=problem) for phase in evidence.ledger.phases
    )
    return replace(evidence, ledger=replace(evidence.ledger, phases=phases))


def unrecorded(evidence):
    return replace(evidence, options=replace(evidence.options, unread=None))


def no_test_rows(evidence):
    return replace(evidence, splits=evidence.splits[evidence.splits["split"] != "test"])


CASES = [
    ("gradient_direction", lambda e: not_probed(e, "gradient"), REASON),
    ("options_read", unrecorded, "recorded in Graft's own runs"),
    ("accumulation", lambda e: not_probed(e, "accumulation"), REASON),
    ("row_alone", lambda e: not_probed(e, "alone"), REASON),
    ("repeatable", lambda e: not_probed(e, "again"), REASON),
    ("packed_rows", lambda e: not_probed(e, "padded"), REASON),
    ("stored_outputs", lambda e: nothing_stored(e, REASON), REASON),
    ("stored_outputs", lambda e: nothing_stored(e, ""), "no outputs were stored"),
    ("frozen_modes", nothing_frozen, "no module was frozen"),
    ("varied_predictions", one_label, "two different labels"),
    ("label_order", lambda e: replace(e, control="shuffled_labels"), "must lose"),
    ("label_order", one_label, "fewer than 20"),
    ("beyond_chance", lambda e: replace(e, control="random_init"), "must lose"),
    ("beyond_chance", lambda e: replace(e, primary=lambda frame: None), "not defined"),
    ("control_at_chance", lambda e: e, "not the control"),
    ("control_at_chance", lambda e: replace(e, control="shuffled_labels"), "only 1"),
    ("collapse", lambda e: replace(e, spread=Spread(0, 0.0, 0.0, 0)), "no embeddings"),
    ("resume", uninterrupted, "not interrupted"),
    ("load_ledger", random_base, "on purpose"),
    ("base_files", random_base, "on purpose"),
    ("evaluated_rows", no_test_rows, "no test rows"),
    ("adapter_equivalence", lambda e: e, "no adapter"),
    ("merge_algebra", lambda e: e, "nothing is merged"),
    ("kept_checkpoint", without_evaluation, "nothing was evaluated"),
    ("differs_from_other_arms", lambda e: replace(e, others={}), "only arm"),
]
# These look at every run: there is always something to look at.
ALWAYS = {
    "trainable_set",
    "first_gradient",
    "finite_loss",
    "movement",
    "rates",
    "supervision",
    "rows_seen",
    "artefact_equivalence",
    "differs_from_base",
    "served_reading",
    "options_in_force",
}


@pytest.mark.parametrize(("name", "change", "reason"), CASES, ids=[c[0] for c in CASES])
def test_a_check_names_why_it_does_not_apply(healthy, name, change, reason):
    check = next(check for check in ARM_CHECKS if check.name == name)
    (finding,) = run_checks([check], change(healthy("full")), {})
    assert finding.status == Status.not_applicable, finding.summary
    assert reason.lower() in finding.summary.lower()
    assert not finding.blocks


def test_every_check_is_one_or_the_other():
    assert {name for name, *_ in CASES} | ALWAYS == {check.name for check in ARM_CHECKS}
