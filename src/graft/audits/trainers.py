"""The checks that read a training of another library differently: what is not known is said."""

from __future__ import annotations

from dataclasses import replace

from graft.audits import loading, rates
from graft.audits.contract import Answer, Check
from graft.audits.evidence import RunEvidence
from graft.audits.rows import ORDERED_ROWS
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.ledger import Ledger
from graft.core.plan import ResolvedPlan

# A gradient scaler looks for its scale by skipping steps; more than this is no search.
SKIPPED = 0.05
_RELOAD = (
    "Load the whole checkpoint with its own config; if this process trained the model before,"
    " accept `load_ledger`, or give `base` the folder that this training starts from."
)
SKIP = "the gradient scaler skipped this step"
MOVED = f"{SKIP}, and the schedule moved on all the same"


def planned_rates(evidence: RunEvidence) -> Answer:
    """Return whether the applied rates and executed steps are those that were asked for."""
    plan = evidence.given("plan", evidence.plan)
    ledger = evidence.given("ledger", evidence.ledger)
    if plan.warmup_steps >= plan.total_steps:
        steps = f"{plan.warmup_steps} warm-up steps, but {plan.total_steps} steps in all"
        fix = "Train for more steps or shorten the warm-up."
        shown = {"warmup_steps": plan.warmup_steps, "planned_steps": plan.total_steps}
        return Answer(Status.failed, f"{steps}: no peak is reached.", shown, fix)
    if not plan.rates:
        raise NotApplicableError(f"no rates could be planned: {plan.schedule}")
    skipped = sum(change.message in (SKIP, MOVED) for change in ledger.changes)
    executed = sum(phase.executed_steps for phase in ledger.phases)
    if not skipped or skipped > SKIPPED * (executed + skipped):
        return rates.rates(evidence)
    answer = rates.rates(replace(evidence, plan=_without(plan, ledger)))
    if answer.status != Status.passed:
        return answer
    summary = f"{answer.summary} The gradient scaler skipped {skipped} steps."
    return Answer(Status.warned, summary, answer.evidence, "Lower the initial scale.")


def _without(plan: ResolvedPlan, ledger: Ledger) -> ResolvedPlan:
    """Return the plan without the skipped steps, and without their rates if those passed by."""
    passed = {change.step for change in ledger.changes if change.message == MOVED}
    rates = {
        group: tuple(rate for step, rate in enumerate(planned) if step not in passed)
        for group, planned in plan.rates.items()
    }
    taken = {phase.index: phase.executed_steps for phase in ledger.phases}
    phases = [replace(phase, steps=taken.get(phase.index, phase.steps)) for phase in plan.phases]
    return replace(plan, phases=tuple(phases), rates=rates)


def row_order(evidence: RunEvidence) -> Answer:
    """Return whether every epoch dealt the rows in an order of its own."""
    ledger = evidence.given("ledger", evidence.ledger)
    orders = [order for phase in ledger.phases for order in phase.epoch_orders]
    rows = sum(phase.rows for phase in ledger.phases)
    different = max((phase.distinct_rows for phase in ledger.phases), default=0)
    shown = {"rows": rows, "different_rows": different, "epochs": len(orders)}
    if not rows:
        raise NotApplicableError("the rows of the batches could not be told apart")
    same = len(orders) - len(set(orders))
    if same and different >= ORDERED_ROWS:
        summary = f"{same} of {len(orders)} epochs repeat the order of another."
        fix = "Shuffle, and call set_epoch on a distributed sampler, unless the order is meant."
        return Answer(Status.warned, summary, {**shown, "repeated": same}, fix)
    summary = f"{rows} rows, {different} of them different, in {len(orders)} epochs"
    return Answer(Status.passed, f"{summary}, each in an order of its own.", shown)


def load_ledger(evidence: RunEvidence) -> Answer:
    """Return whether every tensor came from the base's files, if these are known."""
    _need_base(evidence)
    answer = loading.load_ledger(evidence)
    return replace(answer, fix=_RELOAD) if answer.fix else answer


def base_files(evidence: RunEvidence) -> Answer:
    """Return whether the base's files are still those of the start, if they are known."""
    _need_base(evidence)
    return loading.base_files(evidence)


def _need_base(evidence: RunEvidence) -> None:
    if evidence.load is None and evidence.base_folder is None:
        raise NotApplicableError("the folder of the base is not known; give it as `base`")


RATES = (
    Check("K4", "rates", "Did the optimizer take the steps and rates asked for?", planned_rates),
)
ORDER = (Check("K6", "row_order", "Was every epoch dealt in an order of its own?", row_order),)
LOADING = (
    Check(
        "K7",
        "load_ledger",
        "Does every tensor come from the base's files, bit for bit?",
        load_ledger,
    ),
    Check("K7", "base_files", "Is the base on disk the one that was trained from?", base_files),
)
