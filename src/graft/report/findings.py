"""Findings as a page shows them: what needs a look in full, the rest folded to one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graft.core.findings import Finding, Status
from graft.report.numerals import count, plural
from graft.report.words import status_word

# What a reader must see first stands first; what was never looked at is no pass and stays open.
STATUS_ORDER = (
    Status.error, Status.failed, Status.not_run, Status.warned, Status.passed,
    Status.not_applicable,
)  # fmt: skip
_QUIET = (Status.passed, Status.not_applicable)


@dataclass(frozen=True)
class Fold:
    """Findings of one status that ask nothing of the reader, behind one line.

    Args:
        items: The findings, in the order of the checks.
        label: Their names, with the check's id where they are of one check.
    """

    items: tuple[Finding, ...]
    label: str


@dataclass(frozen=True)
class Place:
    """The findings about one run, or about the data.

    Args:
        title: Words for people.
        open: Findings that a person should read, the worst first.
        folds: The passed ones, a fold per check; then one fold of those that do not apply.
    """

    title: str
    open: tuple[Finding, ...]
    folds: tuple[Fold, ...]


def places(findings: Iterable[Finding], titles: Mapping[str, str]) -> list[Place]:
    """Return the findings by place: first those of `titles` in their order, then any other.

    Args:
        findings: All findings.
        titles: `where` of a finding to its words for people.
    """
    items = list(findings)
    shown = []
    for where in dict.fromkeys([*titles, *(finding.where for finding in items)]):
        here = [finding for finding in items if finding.where == where]
        if here:
            shown.append(_place(titles.get(where, where) or "Experiment", here))
    return shown


def _place(title: str, items: Sequence[Finding]) -> Place:
    loud = [finding for finding in items if finding.status not in _QUIET]
    loud.sort(key=lambda finding: (not finding.blocks, STATUS_ORDER.index(finding.status)))
    passed: dict[str, list[Finding]] = {}
    for finding in items:
        if finding.status == Status.passed:
            passed.setdefault(finding.check, []).append(finding)
    folds = [Fold(tuple(family), _names(family)) for family in passed.values()]
    idle = tuple(finding for finding in items if finding.status == Status.not_applicable)
    if idle:
        names = dict.fromkeys(_names([finding]) for finding in idle)
        folds.append(Fold(idle, ", ".join(names)))
    return Place(title, tuple(loud), tuple(folds))


def _names(family: Sequence[Finding]) -> str:
    names = dict.fromkeys(finding.name.replace("_", " ") for finding in family)
    return f"{family[0].check} {', '.join(names)}"


def statuses(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how many findings have which status, in words, the worst first.

    Example:
        >>> statuses([Finding("K1", "a", "?", Status.passed, "."),
        ...           Finding("K2", "b", "?", Status.failed, ".")])
        {'failed': 1, 'passed': 1}
    """
    ordered = sorted(findings, key=lambda finding: STATUS_ORDER.index(finding.status))
    return dict(Counter(status_word(finding) for finding in ordered))


def outcome_sentence(findings: Sequence[Finding]) -> str:
    """Return what the checks found out, in one sentence with the counts.

    Example:
        >>> outcome_sentence([Finding("K1", "a", "?", Status.passed, ".")])
        'Every check that applies passed: 1 passed.'
        >>> outcome_sentence([])
        'Nothing was checked.'
    """
    if not findings:
        return "Nothing was checked."
    counts = ", ".join(f"{count(number)} {word}" for word, number in statuses(findings).items())
    blocking = sum(finding.blocks for finding in findings)
    if blocking:
        return f"{plural(blocking, 'check')} did not pass: {counts}."
    if any(finding.accepted for finding in findings):
        return f"What did not pass was accepted: {counts}."
    if not any(finding.status == Status.passed for finding in findings):
        return f"No check passed, and none failed: {counts}."
    if all(finding.status in _QUIET for finding in findings):
        return f"Every check that applies passed: {counts}."
    return f"No check failed, but read the warnings: {counts}."
