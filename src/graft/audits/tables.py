"""K6: does a table column give the label away, or only name the row?"""

from __future__ import annotations

from graft.audits.contract import Answer, Check, listed, named
from graft.audits.evidence import DataEvidence
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.roles import Split
from graft.core.tables import DataReport, TableColumn

# A single honest column of a table that is hard to judge stays well below; one that is filled in
# together with the label reaches it.
GIVES_AWAY = 0.95
# Share of different names from which a category names rows, not kinds of rows; and the rows from
# which that, or a number that counts, is no chance.
NEAR_UNIQUE, LEAST_ROWS = 0.9, 30


def target_leakage(evidence: DataEvidence) -> Answer:
    """Return whether a table column alone predicts the label too well to be an input."""
    report = evidence.given("report", evidence.report)
    found = [(entry.alone, entry) for entry in _columns(report) if entry.alone is not None]
    told = "the labels" if report.facts.multi_label else "the label"
    if not found:
        rows = next((s.rows for s in report.splits if s.split == Split.train), 0)
        raise NotApplicableError(f"the {rows} training rows are too few to try a column alone")
    found.sort(key=lambda pair: -pair[0])
    measure = _measure(report)
    shown = {
        "measure": measure,
        "limit": GIVES_AWAY,
        "columns": listed(
            {"column": e.column, "alone": round(v, 4), **({"label": e.label} if e.label else {})}
            for v, e in found
        ),
    }
    telling = [(value, entry) for value, entry in found if value >= GIVES_AWAY]
    if telling:
        (value, first), *others = telling
        more = f", and so do {named([_scored(v, c) for v, c in others])}" if others else ""
        summary = (
            f"{first.column} alone predicts {_label(first)} with {measure} {value:.2f}{more}; "
            f"{'they are' if others else 'it is'} probably known only after the outcome."
        )
        these = "them" if others else "it"
        fix = f"Take {these} out of data.table, or accept `target_leakage` with a reason."
        return Answer(Status.failed, summary, shown, fix)
    value, entry = found[0]
    counted = f"None of {len(found)} table columns" if len(found) > 1 else "The one table column"
    verb = "predicts" if len(found) > 1 else "does not predict"
    summary = (
        f"{counted} alone {verb} {told}; the strongest, {entry.column}, reaches "
        f"{measure} {value:.2f}."
    )
    return Answer(Status.passed, summary, shown)


def _label(entry: TableColumn) -> str:
    return f"the label '{entry.label}'" if entry.label else "the label"


def _scored(value: float, entry: TableColumn) -> str:
    label = f"'{entry.label}' " if entry.label else ""
    return f"{entry.column} ({label}{value:.2f})"


def _measure(report: DataReport) -> str:
    if report.facts.regression:
        return "rank correlation (rescaled: chance is 0.5)"
    if report.facts.binary or report.facts.multi_label:
        return "ROC-AUC"
    return "balanced accuracy (rescaled: chance is 0.5)"


def identifier_columns(evidence: DataEvidence) -> Answer:
    """Return whether a table column names the row: nothing can be learned from such a one."""
    columns = _columns(evidence.given("report", evidence.report))
    reasons = {entry.column: reason for entry in columns if (reason := _names_rows(entry))}
    shown = {
        "limit": NEAR_UNIQUE,
        "columns": listed(
            {"column": e.column, "values": e.values, "distinct": e.distinct, "counting": e.counting}
            for e in columns
        ),
    }
    if reasons:
        words = "; ".join(f"{column} {reason}" for column, reason in reasons.items())
        fix = f"Take {named(list(reasons))} out of data.table if that is so."
        return Answer(Status.warned, f"Looks like an identifier: {words}.", shown, fix)
    plural = "s" if len(columns) > 1 else ""
    return Answer(Status.passed, f"No identifier among {len(columns)} table column{plural}.", shown)


def _names_rows(entry: TableColumn) -> str:
    if entry.values < LEAST_ROWS:
        return ""
    if entry.kind == "category" and entry.distinct >= NEAR_UNIQUE * entry.values:
        return f"holds {entry.distinct:,} different names in {entry.values:,} rows"
    if entry.counting:
        return f"counts the rows ({entry.values:,} rows, {entry.distinct:,} different numbers)"
    return ""


def _columns(report: DataReport) -> tuple[TableColumn, ...]:
    if not report.table:
        raise NotApplicableError("the task reads no table columns")
    return report.table


DATA_CHECKS = (
    Check("K6", "target_leakage", "Does a table column alone tell the label?", target_leakage),
    Check("K6", "identifier_columns", "Does a table column name the row?", identifier_columns),
)
