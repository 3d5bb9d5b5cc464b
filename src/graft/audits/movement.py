"""K3: did what should move move, and did what is frozen stay bit for bit what it was?"""

from __future__ import annotations

from typing import Any

from graft.audits.contract import Answer, Check, listed, named, sentence
from graft.audits.evidence import RunEvidence
from graft.audits.folders.known import CAUSES
from graft.audits.phases import (
    ADAPTER_LEAD,
    below_the_head,
    is_embedding,
    is_matrix,
    phases_not_run,
    planned_names,
    records_by_name,
    unused_names,
)
from graft.core.findings import Status
from graft.core.ledger import Ledger, PhaseRecord, TensorRecord
from graft.core.plan import ResolvedPlan

# Share of the elements of a dense tensor that a phase must change. Adam moves every element
# that has a gradient; below this, updates are lost to rounding.
CHANGED_FLOOR = 0.01

_FAULTS = {
    "frozen_but_moved": "frozen tensors moved",
    "buffers_moved": "buffers of frozen modules changed",
    "did_not_move": "trainable tensors did not move",
    "barely_moved": f"trainable tensors changed in under {CHANGED_FLOOR:.0%} of their elements",
    "adapters_zero": "adapter matrices B are still zero",
    "not_finite": "tensors hold NaN or infinity",
    "not_recorded": "planned tensors were not recorded",
}


def movement(evidence: RunEvidence) -> Answer:
    """Return whether trainable tensors moved and frozen ones kept their hash, in every phase."""
    plan = evidence.given("plan", evidence.plan)
    ledger = evidence.given("ledger", evidence.ledger)
    unused = unused_names(ledger)
    phases = [_moved(plan, phase, unused) for phase in ledger.phases]
    problems = [
        f"phase {phase['phase']}: {phase[key]['total']} {words} ({named(phase[key]['first'])})"
        for phase in phases
        for key, words in _FAULTS.items()
        if phase[key]["total"]
    ]
    idle = phases_not_run(plan, ledger)
    why = f" (training stopped early: {ledger.stopped_early})" if ledger.stopped_early else ""
    problems += [f"phase {i} took no step{why}: what it thaws was never trained" for i in idle]
    shown = {
        "phases": phases,
        "phases_without_a_step": idle,
        "never_read": listed(sorted(unused)),
        "kept_step": ledger.best_step,
        "stopped_early": ledger.stopped_early,
    }
    if problems or not phases:
        summary = sentence(problems, "No phase was recorded")
        fix = "Compare the plan with the ledger: the tensors named were not treated as planned."
        return Answer(Status.failed, summary, shown, fix)
    counts = "; ".join(
        f"phase {p['phase']}: {p['moved']} of {p['trainable']} trainable tensors moved,"
        f" {p['frozen']} frozen ones are bit-identical"
        for p in phases
    )
    return _kept(plan, ledger, Answer(Status.passed, f"{counts}.", shown), unused)


def _kept(plan: ResolvedPlan, ledger: Ledger, answer: Answer, unused: set[str]) -> Answer:
    """Return a warning if what was trained is not all that a reader takes it for.

    The kept checkpoint is older than a phase, a tensor is never read, or nothing below the head was
    to be trained.
    """
    later = [
        phase
        for phase in plan.phases
        if ledger.best_step is not None and phase.index and ledger.best_step <= phase.first_step
    ]
    if later:
        summary = (
            f"{answer.summary} But the kept checkpoint is that of step {ledger.best_step}:"
            f" nothing that phase {later[0].index} learned is in the artefact."
        )
        fix = "Lower the rates of the later phase, or keep the last weights."
        return Answer(Status.warned, summary, answer.evidence, fix)
    body = below_the_head(plan)
    if plan.method == "full" and body and all(tensor.joins is None for tensor in body):
        groups = named(sorted({tensor.group for tensor in body}))
        summary = (
            f"{answer.summary} But all {len(body)} tensors below the head are frozen for the whole"
            f" run (unfreeze_after = 0 of {groups}): the head alone was trained."
        )
        return Answer(Status.warned, summary, answer.evidence, CAUSES["frozen_by_plan"].fix)
    idle = unused & planned_names(plan, plan.phases[-1].index)
    if idle:
        summary = f"{answer.summary} Never read by the model: {named(sorted(idle))}."
        return Answer(
            Status.warned, summary, answer.evidence, "Freeze the pooler, or use it for pooling."
        )
    return answer


def _moved(plan: ResolvedPlan, phase: PhaseRecord, unused: set[str]) -> dict[str, Any]:
    records = records_by_name(plan, phase)
    planned = planned_names(plan, phase.index)
    modules = {name.rpartition(".")[0] for name in planned}
    trained = {name: records[name] for name in planned & set(records) - unused}
    still = {name: record for name, record in records.items() if name not in planned}
    changed = {n for n, r in records.items() if r.sha256_before != r.sha256_after}
    # Running statistics of a module that trains are meant to change.
    fixed = {n for n, r in still.items() if r.kind == "parameter" or _owner(n) not in modules}
    unmoved = {n for n, r in trained.items() if not _did_move(r)} - _waiting(trained, phase)
    barely = {n for n, r in trained.items() if r.changed_share < _floor(n)}
    moved = sorted(r.relative_change for n, r in trained.items() if n not in unmoved)
    zero = [n for n, r in trained.items() if is_matrix(n, "lora_B") and not r.nonzero_share > 0]
    drifted = fixed & changed
    return {
        "phase": phase.index,
        "trainable": len(trained),
        "moved": len(moved),
        "frozen": len(fixed),
        "smallest_relative_change": moved[0] if moved else None,
        "median_relative_change": moved[len(moved) // 2] if moved else None,
        "largest_relative_change": moved[-1] if moved else None,
        "frozen_but_moved": listed(sorted(n for n in drifted if still[n].kind == "parameter")),
        "buffers_moved": listed(sorted(n for n in drifted if still[n].kind != "parameter")),
        "did_not_move": listed(sorted(unmoved)),
        "barely_moved": listed(sorted(barely - unmoved - _waiting(trained, phase))),
        "adapters_zero": listed(sorted(zero)),
        "not_finite": listed(sorted(n for n, r in records.items() if not r.finite)),
        "not_recorded": listed(sorted(planned - set(records))),
    }


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def _floor(name: str) -> float:
    return 0.0 if is_embedding(name) else CHANGED_FLOOR


def _did_move(record: TensorRecord) -> bool:
    return (
        record.relative_change > 0
        and record.changed_share > 0
        and record.sha256_before != record.sha256_after
    )


def _waiting(trained: dict[str, TensorRecord], phase: PhaseRecord) -> set[str]:
    """Return the matrices A that could not move yet: B is zero until the first real update."""
    if phase.executed_steps >= ADAPTER_LEAD:
        return set()
    return {name for name in trained if is_matrix(name, "lora_A")}


CHECKS = (
    Check(
        "K3",
        "movement",
        "Did every trainable tensor move, and every frozen one stay bit for bit the same?",
        movement,
    ),
)
