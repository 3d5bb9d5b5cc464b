"""K6: are the rows of each split the right ones, unrepeated, unleaked and all used?"""

from __future__ import annotations

from typing import Any

from graft.audits.contract import Answer, Check, listed, named, sentence
from graft.audits.evidence import DataEvidence, EvidenceMissingError, RunEvidence
from graft.core.augmentation import Augmentation
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.ledger import PhaseRecord
from graft.core.plan import ResolvedPlan
from graft.core.roles import Split
from graft.core.tables import DataReport, LeakageReport

_SHOWN_LEAKS = 10
# Below this, chance alone may deal two epochs in the same order (8! is 40,320).
ORDERED_ROWS = 8


def row_sets(evidence: DataEvidence) -> Answer:
    """Return whether the splits are disjoint, different and as large as the report says."""
    report = evidence.given("report", evidence.report)
    splits = evidence.given("splits", evidence.splits)
    rows = splits["row"].astype(str)
    repeated = sorted(set(rows[rows.duplicated()]))
    counted = {str(name): int(n) for name, n in splits["split"].astype(str).value_counts().items()}
    reported = {split.split: split.rows for split in report.splits}
    prints = [split.fingerprint for split in report.splits if split.rows]
    problems = []
    if repeated:
        problems.append(f"{len(repeated)} rows stand in two places ({named(repeated)})")
    if counted != {name: count for name, count in reported.items() if count}:
        problems.append(f"the splits hold {counted}, the report says {reported}")
    if len(set(prints)) < len(prints):
        problems.append("two splits have the same fingerprint")
    seen = {arm: _distinct(ledger.phases) for arm, ledger in evidence.seen.items()}
    allowed = reported.get(Split.train, 0)
    own = {arm: count - evidence.added.get(arm, 0) for arm, count in seen.items()}
    more = sorted(arm for arm, count in own.items() if count > allowed)
    problems += [f"'{arm}' saw {own[arm]} rows, the training split has {allowed}" for arm in more]
    shown = {
        "rows": counted,
        "repeated": listed(repeated),
        "fingerprints": {split.split: split.fingerprint for split in report.splits},
        "seen": seen,
        "altered_copies": dict(evidence.added),
    }
    if problems:
        fix = "Split the data again, and delete what was prepared from the old split."
        return Answer(Status.failed, sentence(problems), shown, fix)
    sizes = ", ".join(f"{name} {count}" for name, count in counted.items())
    summary = f"No row stands in two splits ({sizes})."
    if len({count for arm, count in own.items() if arm not in evidence.few}) > 1:
        summary += f" But the arms saw different numbers of training rows: {seen}."
        return Answer(Status.warned, summary, shown, "Give the arms the same rows to compare them.")
    return Answer(Status.passed, summary, shown)


def _distinct(phases: tuple[PhaseRecord, ...]) -> int:
    return max((phase.distinct_rows for phase in phases), default=0)


def leakage(evidence: DataEvidence) -> tuple[Answer, ...]:
    """Return for each evaluation split whether the training rows give rows of it away."""
    report = evidence.given("report", evidence.report)
    names = [s.split for s in report.splits if s.split != Split.train and s.rows]
    found = {item.split: item for item in report.leakage}
    if not names:
        raise EvidenceMissingError("the data report names no evaluation split")
    return tuple(
        _leaked(found[name])
        if name in found
        else Answer(Status.not_run, f"Not run: the report says nothing on leakage into {name}.")
        for name in names
    )


def _leaked(report: LeakageReport) -> Answer:
    count = max(len(report.leaked), report.rows - report.clean_rows)
    counts = {
        "exact": report.exact,
        "normalised": report.normalised,
        "near": report.near,
        "shared_any": report.shared_any,
        "shared_all": report.shared_all,
        "groups": report.groups,
        "overlap": report.overlap,
        "time": report.time,
    }
    unlooked = [name for name in ("groups", "overlap", "time") if counts[name] is None]
    shown: dict[str, Any] = {
        "split": report.split,
        "rows": report.rows,
        "leaked": count,
        "clean_rows": report.clean_rows,
        "policy": report.policy,
        **counts,
        "no_column_for": unlooked,
        "first": [
            {"row": r.row, "kinds": r.kinds, "train_rows": r.train_rows, "texts": r.texts}
            for r in report.leaked[:_SHOWN_LEAKS]
        ],
    }
    words = ", ".join(f"{name} {n}" for name, n in counts.items() if n)
    if count:
        summary = f"The training rows give away {count} of {report.rows} {report.split} rows"
        fix = "Run `graft data split --repair`, or accept `leakage` and read the clean rows only."
        return Answer(Status.failed, f"{summary} ({words or 'by the policy'}).", shown, fix)
    summary = f"No {report.split} row of {report.rows} is given away by the policy's kinds"
    return Answer(Status.passed, f"{summary} ({words or 'nothing shared'}).", shown)


def duplicates(evidence: DataEvidence) -> Answer:
    """Return how many rows repeat an earlier row of their split."""
    report = evidence.given("report", evidence.report)
    counts = {split.split: split.duplicates for split in report.splits}
    return _counted(report, counts, "rows repeat an earlier row", "Take the repeated rows out.")


def contradictions(evidence: DataEvidence) -> Answer:
    """Return how many groups of equal inputs carry different labels."""
    report = evidence.given("report", evidence.report)
    counts = {split.split: split.contradictions for split in report.splits}
    fix = "Decide the label of each group that is listed."
    return _counted(report, counts, "groups of equal inputs carry different labels", fix)


def _counted(report: DataReport, counts: dict[str, int], words: str, fix: str) -> Answer:
    shown = {
        "counts": counts,
        "rows": {split.split: split.rows for split in report.splits},
        "contradiction_rows": {s.split: s.contradiction_rows for s in report.splits},
    }
    parts = ", ".join(f"{name} {count}" for name, count in counts.items())
    if any(counts.values()):
        return Answer(Status.warned, f"{sum(counts.values())} {words} ({parts}).", shown, fix)
    return Answer(Status.passed, f"0 {words} ({parts}).", shown)


def rows_seen(evidence: RunEvidence) -> Answer:
    """Return whether each epoch showed every training row once, in an order of its own.

    Of an arm that takes a few rows of each class those few are all; of one that adds altered copies
    the copies are shown too.
    """
    plan = evidence.given("plan", evidence.plan)
    ledger = evidence.given("ledger", evidence.ledger)
    report = evidence.given("data", evidence.data)
    train = next((split for split in report.splits if split.split == Split.train), None)
    if train is None:
        raise EvidenceMissingError("the data report holds no training split")
    own = train.rows if evidence.few is None else _few_rows(evidence, evidence.few)
    added = evidence.given("augmentation", evidence.augmentation) if evidence.augments else None
    rows = own + (added.added if added else 0)
    problems = [text for phase in ledger.phases for text in _epoch_problems(plan, phase, rows)]
    strange = _not_of_training(evidence, added) if added else []
    if strange:
        problems.append(f"{len(strange)} rows of elsewhere were copied and altered")
    orders = [order for phase in ledger.phases for order in phase.epoch_orders]
    if rows >= ORDERED_ROWS and len(set(orders)) < len(orders):
        same = len(orders) - len(set(orders))
        problems.append(f"{same} of {len(orders)} epochs repeat the order of another")
    shown = {
        "train_rows": own,
        "altered_copies": added and {"of": added.alterations, "copies": added.copies},
        "copied_from_elsewhere": listed(strange),
        "phases": [
            {
                "phase": phase.index,
                "steps": phase.executed_steps,
                "rows": phase.rows,
                "distinct_rows": phase.distinct_rows,
                "epochs": len(phase.epoch_orders),
                "epoch_rows": list(phase.epoch_rows),
                "rows_sha256": phase.rows_sha256,
            }
            for phase in ledger.phases
        ],
        "different_orders": len(set(orders)),
    }
    if problems or not orders:
        summary = sentence(problems, "No epoch was recorded")
        fix = "Check the loader: it must deal out the whole training split once per epoch."
        return Answer(Status.failed, summary, shown, fix)
    total = sum(phase.rows for phase in ledger.phases)
    summary = (
        f"{total} rows in {len(orders)} epochs: all {own} training rows"
        f"{f' and {added.added} altered copies of them' if added else ''}, each once per full"
        f" epoch, in {len(set(orders))} different orders."
    )
    return Answer(Status.passed, summary, shown)


def _not_of_training(evidence: RunEvidence, added: Augmentation) -> list[str]:
    """Return the rows that were copied and are no training rows."""
    splits = evidence.given("splits", evidence.splits)
    training = set(splits.loc[splits["split"].astype(str) == Split.train, "row"].astype(str))
    return [row for row in added.sources if row not in training]


def _few_rows(evidence: RunEvidence, few: int) -> int:
    """Return how many training rows there are if no class gives more than `few`."""
    splits = evidence.given("splits", evidence.splits)
    labels = splits.loc[splits["split"].astype(str) == Split.train, "label"]
    return int(labels.value_counts().clip(upper=few).sum())


def _epoch_problems(plan: ResolvedPlan, phase: PhaseRecord, rows: int) -> list[str]:
    full, rest = divmod(phase.executed_steps, max(plan.steps_per_epoch, 1))
    low = full * rows + (1 if rest else 0)
    high = full * rows + (rows if rest else 0)
    where = f"phase {phase.index}"
    problems = []
    if not low <= phase.rows <= high:
        problems.append(f"{where}: {phase.rows} rows in {full} full epochs of {rows}")
    wanted = rows if full else phase.rows
    if phase.distinct_rows != wanted:
        problems.append(f"{where}: {phase.distinct_rows} different rows, expected {wanted}")
    short = [count for count in phase.epoch_rows[:full] if count != rows]
    if short:
        problems.append(f"{where}: {len(short)} epochs showed {short[0]} different rows only")
    epochs = full + (1 if rest else 0)
    if len(phase.epoch_orders) != epochs:
        problems.append(f"{where}: {len(phase.epoch_orders)} epochs recorded, expected {epochs}")
    return problems


def evaluated_rows(evidence: RunEvidence) -> Answer:
    """Return whether the predictions hold every test row once and no other row."""
    test = evidence.given("test", evidence.test)
    splits = evidence.given("splits", evidence.splits)
    declared = splits.loc[splits["split"].astype(str) == Split.test, "row"].astype(str)
    if declared.empty:
        raise NotApplicableError("the experiment has no test rows")
    rows = test["row"].astype(str)
    home = dict(zip(splits["row"].astype(str), splits["split"].astype(str), strict=True))
    lost = sorted(set(declared) - set(rows))
    foreign = sorted(set(rows) - set(declared))
    twice = sorted(set(rows[rows.duplicated()]))
    shown = {
        "declared": len(declared),
        "predicted": len(rows),
        "missing": listed(lost),
        "foreign": listed({"row": row, "split": home.get(row, "none")} for row in foreign),
        "repeated": listed(twice),
    }
    if lost or foreign or twice:
        summary = (
            f"The predictions lack {len(lost)} of {len(declared)} test rows, hold {len(foreign)}"
            f" rows of elsewhere and {len(twice)} rows more than once."
        )
        return Answer(Status.failed, summary, shown, "Predict the test split again.")
    summary = f"The predictions hold each of the {len(declared)} test rows once."
    return Answer(Status.passed, summary, shown)


DATA_CHECKS = (
    Check("K6", "row_sets", "Are the splits disjoint, and did each arm see its own?", row_sets),
    Check("K6", "leakage", "Do the training rows give evaluation rows away?", leakage),
    Check("K6", "duplicates", "Does a row repeat another of its split?", duplicates),
    Check("K6", "contradictions", "Do equal inputs carry different labels?", contradictions),
)
CHECKS = (
    Check("K6", "rows_seen", "Did every epoch show every training row once?", rows_seen),
    Check("K6", "evaluated_rows", "Were exactly the test rows evaluated?", evaluated_rows),
)
