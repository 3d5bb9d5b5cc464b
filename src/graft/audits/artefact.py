"""K8: is the saved artefact the trained model?"""

from __future__ import annotations

import pandas as pd

from graft.audits.agreement import Agreement, compare
from graft.audits.contract import Answer, Check
from graft.audits.evidence import RunEvidence
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.ledger import Ledger
from graft.core.roles import Split
from graft.metrics.catalogue import metric as metric_of

# Both sides predict in float32; batching and merging round scores in the sixth decimal.
SCORE_TOLERANCE = 1e-4
METRIC_TOLERANCE = 1e-4
FLIPPED_SHARE = 0.001


def artefact_equivalence(evidence: RunEvidence) -> Answer:
    """Return whether the reloaded artefact predicts what the trained model predicted."""
    memory = evidence.given("in_memory", evidence.in_memory)
    test = evidence.given("test", evidence.test)
    return _equivalent(test, memory, evidence, "The saved artefact")


def adapter_equivalence(evidence: RunEvidence) -> Answer:
    """Return whether base and adapter folder predict what the trained model predicted."""
    if evidence.method != "lora":
        raise NotApplicableError(f"the method is '{evidence.method}': there is no adapter")
    memory = evidence.given("in_memory", evidence.in_memory)
    adapter = evidence.given("adapter", evidence.adapter)
    return _equivalent(adapter, memory, evidence, "The base with the saved adapter")


def _equivalent(
    saved: pd.DataFrame, memory: pd.DataFrame, evidence: RunEvidence, what: str
) -> Answer:
    primary, tolerance = evidence.primary, SCORE_TOLERANCE * evidence.unit
    distance = compare(saved, memory, tolerance)
    problems = row_problems(distance)
    if distance.largest is not None and distance.largest > tolerance:
        count = f"{distance.differing} of {distance.rows} rows"
        problems.append(f"scores differ by up to {distance.largest:.3g} in {count}")
    # One row may lie on the threshold by chance, whatever the number of rows.
    if len(distance.flipped) > max(1.0, FLIPPED_SHARE * distance.decided):
        problems.append(f"{len(distance.flipped)} of {distance.decided} decisions differ")
    after, before = primary(saved), primary(memory)
    if (after is None) != (before is None):
        problems.append(
            f"the primary metric is {_number(before)} in memory, {_number(after)} saved"
        )
    elif after is not None and before is not None and not _same(after, before):
        problems.append(f"the primary metric falls from {before:.4f} to {after:.4f}")
    shown = {
        **distance.shown(),
        "primary_saved": after,
        "primary_in_memory": before,
        "tolerance": tolerance,
    }
    if problems:
        fix = "Do not ship it: find what saving, merging or loading drops or changes."
        summary = f"{what} is not the trained model: {'; '.join(problems)}."
        return Answer(Status.failed, summary, shown, fix)
    decisions = (
        f"{len(distance.flipped)} of {distance.decided} decisions differ"
        if distance.decided
        else "no thresholds, so decisions were not compared"
    )
    summary = (
        f"{what} scores {distance.rows} rows as the model in memory did (largest difference"
        f" {distance.largest:.1e}; {decisions}; primary metric {_number(before)} and"
        f" {_number(after)})."
    )
    return Answer(Status.passed, summary, shown)


def _same(one: float, other: float) -> bool:
    """Return True if two values of a metric agree; large ones, as of errors, by their size."""
    return abs(one - other) <= METRIC_TOLERANCE * max(1.0, abs(other))


def kept_checkpoint(evidence: RunEvidence) -> Answer:
    """Return whether the artefact scores on validation what the kept checkpoint scored there."""
    if evidence.control == "shuffled_labels":
        raise NotApplicableError("training saw labels that were dealt out at random")
    ledger = evidence.given("ledger", evidence.ledger)
    history = evidence.given("history", evidence.history)
    evaluations = {record["step"]: record["metrics"] for record in history if "metrics" in record}
    if not evaluations:
        raise NotApplicableError("nothing was evaluated during training")
    last = sum(phase.executed_steps for phase in ledger.phases)
    step = last if ledger.best_step is None else ledger.best_step
    if step not in evaluations and ledger.best_step is None:
        raise NotApplicableError(f"nothing was evaluated after the last step, {last}")
    metric = evidence.given("primary_name", evidence.primary_name)
    recorded = evaluations.get(step, {}).get(f"{Split.validation}_{metric}")
    scored = evidence.primary(evidence.given("validation", evidence.validation))
    shown = {
        "metric": metric,
        "kept_step": step,
        "recorded": recorded,
        "artefact": scored,
        "evaluated_steps": sorted(evaluations),
        "tolerance": METRIC_TOLERANCE,
    }
    better = _better(ledger, evaluations)
    if better is not None:
        value, kept = evaluations[better][ledger.chosen_by], ledger.best_metric
        summary = (
            f"The kept checkpoint (step {ledger.best_step}) has {ledger.chosen_by} {_number(kept)},"
            f" that of step {better} is better: {_number(value)}."
        )
        fix = "Compare the direction of the metric with that of the choice."
        return Answer(Status.failed, summary, shown, fix)
    values = f"{metric} {_number(scored)}, the kept checkpoint (step {step}) {_number(recorded)}"
    if recorded is None or scored is None or not _same(scored, recorded):
        fix = "Do not ship it: the weights that were saved are not those that were chosen."
        summary = f"On the validation rows the artefact has {values}."
        return Answer(Status.failed, summary, shown, fix)
    summary = f"On the validation rows the artefact has {values}: the same."
    return Answer(Status.passed, summary, shown)


def _better(ledger: Ledger, evaluations: dict[int, dict[str, float | None]]) -> int | None:
    """Return the step that the metric itself calls better than the kept one, if there is one."""
    if ledger.best_metric is None or not ledger.chosen_by:
        return None
    upwards = metric_of(ledger.chosen_by.partition("_")[2]).higher_is_better
    values = {step: found.get(ledger.chosen_by) for step, found in evaluations.items()}
    known = {step: value for step, value in values.items() if value is not None}
    best = (max if upwards else min)(known, key=lambda step: known[step], default=None)
    return None if best is None or known[best] == ledger.best_metric else best


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"


def row_problems(distance: Agreement) -> list[str]:
    """Return what keeps two sets of predictions from being compared row by row."""
    problems = []
    if distance.only_left or distance.only_right:
        lost = len(distance.only_left) + len(distance.only_right)
        problems.append(f"{lost} rows stand on one side only")
    if distance.repeated:
        problems.append(f"{len(distance.repeated)} rows stand twice")
    if distance.not_finite:
        problems.append(f"{len(distance.not_finite)} scores are not finite")
    if not distance.rows:
        problems.append("there is no row to compare")
    return problems


CHECKS = (
    Check(
        "K8",
        "artefact_equivalence",
        "Does the saved artefact, loaded afresh, predict what the trained model predicted?",
        artefact_equivalence,
    ),
    Check(
        "K8",
        "adapter_equivalence",
        "Do base and saved adapter, loaded afresh, predict what the trained model predicted?",
        adapter_equivalence,
    ),
    Check(
        "K8",
        "kept_checkpoint",
        "Is the saved artefact the checkpoint that validation chose?",
        kept_checkpoint,
    ),
)
