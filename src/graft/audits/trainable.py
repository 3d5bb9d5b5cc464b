"""K1 and K2: is exactly what should be trained trainable, and does a gradient reach it?"""

from __future__ import annotations

import math
from typing import Any

from graft.audits.contract import Answer, Check, listed, named, sentence
from graft.audits.evidence import EvidenceMissingError, RunEvidence
from graft.audits.phases import (
    ADAPTER_LEAD,
    canonical_names,
    is_matrix,
    phases_not_run,
    planned_names,
    records_by_name,
    unused_names,
)
from graft.core.findings import Status
from graft.core.ledger import PhaseRecord
from graft.core.plan import ResolvedPlan

_DIFFERENCES = {
    "planned_but_frozen": "planned but frozen",
    "trainable_but_not_planned": "trainable but not planned",
    "trainable_but_not_in_optimizer": "trainable but not in the optimizer",
    "in_optimizer_but_not_planned": "in the optimizer but not planned",
    "not_recorded": "planned but not recorded",
    "not_in_plan": "in the model but not in the plan",
}


def trainable_set(evidence: RunEvidence) -> Answer:
    """Return whether planned, trainable and optimised tensors are the same set in every phase."""
    plan = evidence.given("plan", evidence.plan)
    ledger = evidence.given("ledger", evidence.ledger)
    phases = [_compare_sets(plan, phase) for phase in ledger.phases]
    problems = [
        f"phase {phase['phase']}: {phase[key]['total']} tensors {words}"
        f" ({named(phase[key]['first'])})"
        for phase in phases
        for key, words in _DIFFERENCES.items()
        if phase[key]["total"]
    ]
    for phase in phases:
        if phase["optimizer_extra"]:
            extra = phase["optimizer_extra"]
            problems.append(f"phase {phase['phase']}: the optimizer holds {extra} foreign tensors")
        if not phase["planned"]:
            problems.append(f"phase {phase['phase']}: the plan trains nothing")
    if not ledger.stopped_early:
        problems += [f"phase {i} never ran" for i in phases_not_run(plan, ledger)]
    shown = {"phases": phases}
    if problems or not phases:
        summary = sentence(problems, "No phase was recorded")
        fix = "Build the optimizer after every change of the model, and apply the plan's flags."
        return Answer(Status.failed, summary, shown, fix)
    counts = ", ".join(f"{p['planned']} in phase {p['phase']}" for p in phases)
    return Answer(
        Status.passed,
        f"Planned, trainable and optimised tensors are the same: {counts}.",
        shown,
    )


def _compare_sets(plan: ResolvedPlan, phase: PhaseRecord) -> dict[str, Any]:
    records = records_by_name(plan, phase)
    parameters = {name for name, record in records.items() if record.kind == "parameter"}
    planned = planned_names(plan, phase.index)
    flagged = {name for name in parameters if records[name].requires_grad}
    held = {name for name, record in records.items() if record.in_optimizer}
    canonical = canonical_names(plan)
    known = {canonical.get(tensor.name, tensor.name) for tensor in plan.tensors}
    return {
        "phase": phase.index,
        "planned": len(planned),
        "requires_grad": len(flagged),
        "in_optimizer": len(held),
        "optimizer_extra": phase.optimizer_extra,
        "planned_but_frozen": listed(sorted((planned & parameters) - flagged)),
        "trainable_but_not_planned": listed(sorted(flagged - planned)),
        "trainable_but_not_in_optimizer": listed(sorted(flagged - held)),
        "in_optimizer_but_not_planned": listed(sorted(held - planned)),
        "not_recorded": listed(sorted(planned - parameters)),
        "not_in_plan": listed(sorted(parameters - known)),
    }


def first_gradient(evidence: RunEvidence) -> Answer:
    """Return whether a finite gradient reached every trainable tensor in each first step.

    An adapter's A has none while B is zero (Hu et al. 2021), so any step of the phase counts for
    it. A first step in which every gradient is exactly zero, and later ones are not, is a batch
    without loss (a margin that all rows keep) and only a warning.
    """
    plan = evidence.given("plan", evidence.plan)
    ledger = evidence.given("ledger", evidence.ledger)
    unused = unused_names(ledger)
    phases = [_gradients(plan, phase, unused) for phase in ledger.phases]
    problems = [
        f"phase {phase['phase']}: {phase[key]['total']} tensors with gradient"
        f" {key.replace('_', ' ')} ({named(phase[key]['first'])})"
        for phase in phases
        for key in ("none", "zero", "not_finite")
        if phase[key]["total"]
    ]
    shown = {"phases": phases, "unused": listed(sorted(unused))}
    if problems or not phases:
        summary = sentence(problems, "No phase was recorded")
        fix = "Find what cuts the graph: detached inputs, checkpointing, or a loss that skips them."
        return Answer(Status.failed, summary, shown, fix)
    empty = [phase["phase"] for phase in phases if phase["late"]["total"]]
    counts = ", ".join(f"{p['judged']} in phase {p['phase']}" for p in phases)
    summary = f"A finite gradient reached every trainable tensor: {counts}."
    if empty:
        summary += f" The first batch of phase {empty[0]} had no loss at all."
        return Answer(Status.warned, summary, shown, "Check that the loss sees enough hard rows.")
    if unused & planned_names(plan, phases[-1]["phase"]):
        summary += f" Never read by the model, so never trained: {named(sorted(unused))}."
        return Answer(Status.warned, summary, shown, "Freeze the pooler, or use it for pooling.")
    return Answer(Status.passed, summary, shown)


def _gradients(plan: ResolvedPlan, phase: PhaseRecord, unused: set[str]) -> dict[str, Any]:
    records = records_by_name(plan, phase)
    names = sorted((planned_names(plan, phase.index) & set(records)) - unused)
    first = {name: records[name].first_gradient for name in names}
    waiting = {
        name
        for name in names
        if is_matrix(name, "lora_A")
        and first[name] == 0
        and (records[name].gradient or phase.executed_steps < ADAPTER_LEAD)
    }
    zero = {name for name in names if first[name] == 0} - waiting
    others = set(names) - waiting
    late = zero if zero == others and all(records[name].gradient for name in zero) else set()
    return {
        "phase": phase.index,
        "judged": len(names),
        "none": listed(name for name in names if first[name] is None),
        "zero": listed(sorted(zero - late)),
        "not_finite": listed(name for name in names if not _finite(first[name])),
        "late": listed(sorted(late)),
        "smallest": min((g for g in first.values() if g and _finite(g)), default=None),
        "adapters_waiting": len(waiting),
    }


def _finite(value: float | None) -> bool:
    return value is None or math.isfinite(value)


def finite_loss(evidence: RunEvidence) -> Answer:
    """Return whether the loss was a finite number in every record of the history."""
    history = evidence.given("history", evidence.history)
    losses = [(record.get("step"), record["loss"]) for record in history if "loss" in record]
    if not losses:
        raise EvidenceMissingError("history.jsonl holds no loss")
    bad = [step for step, loss in losses if loss is None or not math.isfinite(loss)]
    values = [float(loss) for _, loss in losses if loss is not None and math.isfinite(loss)]
    shown = {
        "records": len(losses),
        "first": values[0] if values else None,
        "last": values[-1] if values else None,
        "not_finite_at": listed(bad),
    }
    if bad:
        summary = f"The loss was not a finite number in {len(bad)} of {len(losses)} records."
        fix = "Lower the rate or train in fp32; the weights since then are worthless."
        return Answer(Status.failed, summary, shown, fix)
    summary = f"All {len(losses)} losses are finite, from {values[0]:.4g} to {values[-1]:.4g}."
    return Answer(Status.passed, summary, shown)


CHECKS = (
    Check(
        "K1",
        "trainable_set",
        "Is exactly what the plan trains trainable, and in the optimizer?",
        trainable_set,
    ),
    Check(
        "K2",
        "first_gradient",
        "Does a gradient reach every trainable tensor in the first step of each phase?",
        first_gradient,
    ),
    Check("K2", "finite_loss", "Was the loss a finite number all the time?", finite_loss),
)
