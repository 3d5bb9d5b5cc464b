"""K4: are the rates and steps that the optimizer took those of the plan?"""

from __future__ import annotations

from typing import Any

from graft.audits.contract import Answer, Check, sentence
from graft.audits.evidence import RunEvidence
from graft.core.findings import Status
from graft.core.ledger import Ledger, PhaseRecord
from graft.core.plan import ResolvedPlan

RELATIVE = 1e-6  # rounding of a rate that was computed twice
ABSOLUTE = 1e-12  # for planned rates of zero
PEAK_SHARE = 0.99  # of the target rate that must be reached


def rates(evidence: RunEvidence) -> Answer:
    """Return whether the applied rates and executed steps are the planned ones."""
    plan = evidence.given("plan", evidence.plan)
    ledger = evidence.given("ledger", evidence.ledger)
    groups = [
        _compare(plan, phase, group) for phase in ledger.phases for group in _groups(plan, phase)
    ]
    peaks = [_peak(plan, ledger, group.name) for group in plan.groups if plan.rates.get(group.name)]
    problems = _step_problems(plan, ledger) + [g["problem"] for g in groups if g["problem"]]
    if not ledger.stopped_early:
        problems += [
            f"group '{p['group']}' reached {p['applied']:.3g}, not its peak of {p['target']:.3g}"
            for p in peaks
            if p["planned"] >= PEAK_SHARE * p["target"] > p["applied"]
        ]
    executed = sum(phase.executed_steps for phase in ledger.phases)
    deviation = max((g["deviation"] for g in groups if g["deviation"] is not None), default=None)
    shown = {
        "planned_steps": plan.total_steps,
        "executed_steps": executed,
        "warmup_steps": plan.warmup_steps,
        "stopped_early": ledger.stopped_early,
        "groups": groups,
        "peaks": peaks,
    }
    if problems or deviation is None:
        summary = sentence(problems, "No rate was recorded")
        fix = "Step the scheduler once per optimizer step, and let nothing else set the rate."
        return Answer(Status.failed, summary, shown, fix)
    summary = (
        f"{executed} of {plan.total_steps} planned steps were taken; the applied rates differ from"
        f" the planned ones by at most {deviation:.1e} of the rate."
    )
    if ledger.stopped_early:
        summary += f" Training stopped early: {ledger.stopped_early}."
    low = [p for p in peaks if p["planned"] < PEAK_SHARE * p["target"]]
    if low:
        share = low[0]["planned"] / low[0]["target"]
        summary += f" The plan itself takes group '{low[0]['group']}' to {share:.0%} of its peak."
        return Answer(Status.warned, summary, shown, "Train for more steps or shorten the warm-up.")
    return Answer(Status.passed, summary, shown)


def _step_problems(plan: ResolvedPlan, ledger: Ledger) -> list[str]:
    problems = []
    if plan.warmup_steps >= plan.total_steps:
        warmup, total = plan.warmup_steps, plan.total_steps
        problems.append(f"{warmup} warm-up steps, but {total} steps in all: no peak is reached")
    recorded = {phase.index: phase for phase in ledger.phases}
    for planned in plan.phases:
        phase = recorded.get(planned.index)
        steps = phase.executed_steps if phase else 0
        if steps > planned.steps or (steps < planned.steps and not ledger.stopped_early):
            problems.append(f"phase {planned.index}: {steps} steps, planned {planned.steps}")
        if phase and phase.first_step != planned.first_step:
            start, wanted = phase.first_step, planned.first_step
            problems.append(f"phase {planned.index} began at step {start}, planned {wanted}")
    unplanned = sorted(set(recorded) - {planned.index for planned in plan.phases})
    return problems + [f"phase {index} is not in the plan" for index in unplanned]


def _groups(plan: ResolvedPlan, phase: PhaseRecord) -> list[str]:
    planned = next((p.groups for p in plan.phases if p.index == phase.index), ())
    return list(dict.fromkeys([*planned, *phase.applied_rates]))


def _compare(plan: ResolvedPlan, phase: PhaseRecord, group: str) -> dict[str, Any]:
    applied = phase.applied_rates.get(group, ())
    end = phase.first_step + phase.executed_steps
    planned = plan.rates.get(group, ())[phase.first_step : end]
    where = f"phase {phase.index}, group '{group}'"
    shown: dict[str, Any] = {"phase": phase.index, "group": group, "steps": len(applied)}
    if not len(planned) == len(applied) == phase.executed_steps:
        counts = f"{len(applied)} rates for {phase.executed_steps} steps, planned {len(planned)}"
        return {**shown, "deviation": None, "first_at": None, "problem": f"{where}: {counts}"}
    off = [abs(real - plan_) for real, plan_ in zip(applied, planned, strict=True)]
    wrong = [
        step
        for step, (gap, plan_) in enumerate(zip(off, planned, strict=True))
        if not gap <= RELATIVE * abs(plan_) + ABSOLUTE
    ]
    ratio = [gap / abs(plan_) if plan_ else 0.0 for gap, plan_ in zip(off, planned, strict=True)]
    problem = ""
    if wrong:
        at = wrong[0]
        problem = (
            f"{where}: {len(wrong)} of {len(applied)} rates differ, first at step"
            f" {phase.first_step + at}: applied {applied[at]:.3g}, planned {planned[at]:.3g}"
        )
    return {
        **shown,
        "deviation": max(ratio, default=0.0),
        "first_at": phase.first_step + wrong[0] if wrong else None,
        "problem": problem,
    }


def _peak(plan: ResolvedPlan, ledger: Ledger, group: str) -> dict[str, Any]:
    applied = [rate for phase in ledger.phases for rate in phase.applied_rates.get(group, ())]
    return {
        "group": group,
        "target": next(g.learning_rate for g in plan.groups if g.name == group),
        "planned": max(plan.rates[group]),
        "applied": max(applied, default=0.0),
    }


CHECKS = (
    Check(
        "K4",
        "rates",
        "Did the optimizer take the planned steps at the planned rates?",
        rates,
    ),
)
