"""K14: was an interrupted training taken up where it stopped, from a checkpoint that verifies?"""

from __future__ import annotations

from collections import Counter

from graft.audits.contract import Answer, Check, listed, named, sentence
from graft.audits.evidence import RunEvidence
from graft.core.errors import NotApplicableError
from graft.core.findings import Status


def resume(evidence: RunEvidence) -> Answer:
    """Return whether every step was taken once, in order, over all interruptions.

    That the weights are those of an uninterrupted run is proved by the project's own tests; here
    the record of the run at hand is looked at.
    """
    ledger = evidence.given("ledger", evidence.ledger)
    history = evidence.given("history", evidence.history)
    if not ledger.resumed_at and not ledger.passed_over:
        raise NotApplicableError("training was not interrupted")
    steps = [record["step"] for record in history if "loss" in record]
    executed = sum(phase.executed_steps for phase in ledger.phases)
    repeated = sorted(step for step, count in Counter(steps).items() if count > 1)
    skipped = sorted(set(range(1, executed + 1)) - set(steps))
    problems = []
    if repeated:
        problems.append(f"{len(repeated)} steps were taken twice ({_listed(repeated)})")
    if skipped:
        problems.append(f"{len(skipped)} steps are not in the history ({_listed(skipped)})")
    if steps != sorted(steps):
        problems.append("the steps of the history are not in order")
    beyond = [step for step in ledger.resumed_at if step > executed]
    if beyond:
        problems.append(f"training was taken up after step {beyond[0]}, but took {executed} steps")
    shown = {
        "resumed_at": list(ledger.resumed_at),
        "passed_over": list(ledger.passed_over),
        "executed_steps": executed,
        "repeated": listed(repeated),
        "skipped": listed(skipped),
    }
    if problems:
        fix = "Train again from the start: rows were seen twice or never."
        return Answer(Status.failed, sentence(problems), shown, fix)
    places = ", ".join(str(step) for step in ledger.resumed_at) or "the start"
    summary = f"Taken up after step {places}; each of the {executed} steps was taken once."
    if ledger.passed_over:
        names = named(ledger.passed_over)
        summary += f" Checkpoints that did not verify were passed over: {names}."
        fix = "Look at the disk: a checkpoint is written whole or not at all."
        return Answer(Status.warned, summary, shown, fix)
    return Answer(Status.passed, summary, shown)


def _listed(steps: list[int]) -> str:
    return named([str(step) for step in steps])


CHECKS = (Check("K14", "resume", "Was an interrupted training taken up where it stopped?", resume),)
