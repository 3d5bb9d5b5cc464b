"""What training was going to do and what it did, summed up for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graft.core.ledger import Ledger, TensorRecord
from graft.core.plan import PlannedGroup, ResolvedPlan
from graft.report.chart import Chart, NotMeasured
from graft.report.charts_rates import rate_gap, rates
from graft.report.charts_training import loss, validation
from graft.report.evidence import RunEvidence
from graft.report.numerals import rate
from graft.report.observed import Asked, Census, Saved, asked, census, probed, saved
from graft.report.predictions import Styles
from graft.report.tables import Table, from_records


@dataclass(frozen=True)
class Movement:
    """How many tensors did what they should, over all phases.

    Args:
        trained: Trainable tensors, counted once per phase.
        moved: Those that changed.
        frozen: Frozen parameters, counted once per phase.
        kept: Those that are bit-identical at the end of the phase.
        buffers: Buffers, counted once per phase.
        changed_buffers: Those that changed.
        suspects: What should not be, one sentence per tensor.
    """

    trained: int
    moved: int
    frozen: int
    kept: int
    buffers: int
    changed_buffers: int
    suspects: tuple[str, ...]


@dataclass(frozen=True)
class TrainingSummary:
    """The training section of one arm; a part is None where its file is missing."""

    run: RunEvidence
    groups: Table | None
    phases: Table | None
    movement: Movement | None
    tensors: Table | None
    asked: Asked | None
    census: Census | None
    probed: tuple[tuple[str, str], ...] | None
    saved: Saved | None


def summary(run: RunEvidence) -> TrainingSummary:
    """Return plan, ledger and what else was seen of one arm, as tables and counts."""
    return TrainingSummary(
        run=run,
        groups=_groups(run.plan, run.ledger) if run.plan else None,
        phases=_phases(run.plan, run.ledger) if run.plan else None,
        movement=movement(run.ledger, run.plan) if run.ledger else None,
        tensors=_tensors(run) if run.ledger or run.plan else None,
        asked=asked(run.options) if run.options else None,
        census=census(run.supervision) if run.supervision else None,
        probed=probed(run.probes) if run.probes else None,
        saved=saved(run.saves) if run.saves else None,
    )


def training_charts(runs: Sequence[RunEvidence], styles: Styles) -> list[Chart | NotMeasured]:
    """Return the charts of the training itself: loss, validation, rates.

    Loss and validation show every seed; the planned rates of an arm are the same for all.

    Args:
        runs: The runs of the page.
        styles: Look of every run and of its replicates.
    """
    trainings = [training for run in runs for training in run.trainings]
    plans = {run.name: run.plan for run in runs if run.plan}
    ledgers = {run.name: run.ledger for run in runs if run.ledger}
    changes = {name: ledger.changes for name, ledger in ledgers.items()}
    return [
        loss({own.name: own.steps for own in trainings}, styles, changes),
        validation({own.name: own.evaluations for own in trainings}, styles, changes),
        rates(plans, ledgers, styles),
    ]


def thaw_words(group: PlannedGroup) -> str:
    """Return when a group trains, in words.

    Example:
        >>> thaw_words(PlannedGroup("head", 1e-3, 0.0, 2))
        'thawed after epoch 2'
    """
    if group.unfreeze_after == 0:
        return "frozen for the whole run"
    if group.unfreeze_after < 0:
        return "trainable from the start"
    return f"thawed after epoch {group.unfreeze_after}"


def _groups(plan: ResolvedPlan, ledger: Ledger | None) -> Table:
    rows = []
    for group in plan.groups:
        tensors = [tensor for tensor in plan.tensors if tensor.group == group.name]
        steps, gap = rate_gap(plan, ledger, group.name) if ledger else (0, 0.0)
        agrees = f"{rate(gap)} over {steps:,} steps" if steps else "not measured"
        rows.append(
            (
                group.name,
                thaw_words(group),
                rate(group.learning_rate),
                rate(group.weight_decay),
                len(tensors),
                sum(tensor.count for tensor in tensors),
                agrees,
            )
        )
    columns = (
        "group", "state", "peak rate", "weight decay", "tensors", "parameters",
        "largest gap, planned to applied rate",
    )  # fmt: skip
    return from_records(columns, rows, "plan.json")


def _phases(plan: ResolvedPlan, ledger: Ledger | None) -> Table:
    done = {phase.index: phase for phase in ledger.phases} if ledger else {}
    rows = []
    for phase in plan.phases:
        record = done.get(phase.index)
        rows.append(
            (
                phase.index,
                f"{phase.first_epoch} to {phase.last_epoch}",
                ", ".join(phase.groups),
                phase.trainable,
                phase.steps,
                record.executed_steps if record else None,
                record.rows if record else None,
                record.distinct_rows if record else None,
            )
        )
    columns = (
        "phase", "epochs", "groups", "trainable", "planned steps", "executed steps", "rows seen",
        "different rows",
    )  # fmt: skip
    return from_records(columns, rows, "plan.json and ledger.json")


def movement(ledger: Ledger, plan: ResolvedPlan | None) -> Movement:
    """Return how many tensors did what they should, and name those that did not.

    Args:
        ledger: What happened.
        plan: What was planned, to compare the flags with; None if it is missing.
    """
    counts = dict.fromkeys(("trained", "moved", "frozen", "kept", "buffers", "changed"), 0)
    suspects = []
    for phase in ledger.phases:
        planned = plan.trainable_in(phase.index) if plan else None
        for tensor in phase.tensors:
            changed = tensor.sha256_before != tensor.sha256_after
            if tensor.kind == "buffer":
                counts["buffers"] += 1
                counts["changed"] += changed
            elif tensor.requires_grad:
                counts["trained"] += 1
                counts["moved"] += changed
            else:
                counts["frozen"] += 1
                counts["kept"] += not changed
            suspects += [
                f"{tensor.name} (phase {phase.index}) {fault}"
                for fault in _faults(tensor, changed, planned)
            ]
    return Movement(
        counts["trained"], counts["moved"], counts["frozen"], counts["kept"],
        counts["buffers"], counts["changed"], tuple(suspects),
    )  # fmt: skip


def _faults(tensor: TensorRecord, changed: bool, planned: frozenset[str] | None) -> list[str]:
    faults = []
    if not tensor.finite:
        faults.append("holds values that are not finite")
    if tensor.kind == "buffer":
        return faults
    if tensor.requires_grad and not changed:
        faults.append("is trainable and did not move")
    if not tensor.requires_grad and changed:
        faults.append("is frozen and changed")
    if tensor.requires_grad != tensor.in_optimizer:
        place = "is not in" if tensor.requires_grad else "is frozen and in"
        faults.append(f"{place} the optimizer")
    if planned is not None and (tensor.name in planned) != tensor.requires_grad:
        faults.append("has another state than the plan says")
    return faults


def _tensors(run: RunEvidence) -> Table:
    if run.ledger is None:
        planned = run.plan.tensors if run.plan else ()
        rows: list[tuple[object, ...]] = [
            (tensor.name, tensor.group, tensor.count, tensor.joins) for tensor in planned
        ]
        return from_records(("tensor", "group", "elements", "joins phase"), rows, "plan.json")
    rows = [
        (
            tensor.name,
            phase.index,
            tensor.kind,
            tensor.count,
            "trained" if tensor.requires_grad else "frozen",
            tensor.relative_change,
            tensor.changed_share,
            tensor.sha256_before == tensor.sha256_after,
        )
        for phase in run.ledger.phases
        # Trained tensors first: in an adapter run they are few and what a reader looks for.
        for tensor in sorted(phase.tensors, key=lambda tensor: not tensor.requires_grad)
    ]
    columns = (
        "tensor", "phase", "kind", "elements", "state", "relative change", "changed share",
        "bit-identical",
    )  # fmt: skip
    return from_records(columns, rows, f"{run.name}/ledger.json")
