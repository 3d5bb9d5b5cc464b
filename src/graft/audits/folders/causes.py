"""Why a tuned model is not what it should be: faults that checks find, ordered into causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from graft.audits.contract import Answer, sentence
from graft.audits.folders.known import CAUSES
from graft.core.findings import Finding, Status

_ORDER = {key: place for place, key in enumerate(CAUSES)}


@dataclass(frozen=True)
class Cause:
    """Why a model is sick.

    Args:
        key: Stable key of the cause.
        name: What it is, in a few words.
        evidence: What was measured, a sentence.
        fix: What to do.
        expect: What a person sees when it is mended.
        check: Name of the check that found it.
    """

    key: str
    name: str
    evidence: str
    fix: str
    expect: str
    check: str


@dataclass(frozen=True)
class Fault:
    """One thing that a check found.

    Args:
        cause: Key in `CAUSES`.
        what: What was measured, as part of a sentence.
        blocks: False for what a person should know and live with.
    """

    cause: str
    what: str
    blocks: bool = True


@dataclass
class Faults:
    """What one check found, gathered while it looks."""

    items: list[Fault] = field(default_factory=list)

    def add(self, cause: str, what: str, *, blocks: bool = True) -> None:
        """Note a fault; `cause` is a key of `CAUSES`."""
        self.items.append(Fault(cause, what, blocks))

    def answer(self, otherwise: str, shown: dict[str, Any]) -> Answer:
        """Return failed if a fault blocks, warned if there is any, else passed with `otherwise`.

        Example:
            >>> Faults().answer("12 tensors moved", {}).summary
            '12 tensors moved.'
        """
        ordered = sorted(self.items, key=lambda fault: (not fault.blocks, _ORDER[fault.cause]))
        shown = {**shown, "faults": ordered}
        if not ordered:
            return Answer(Status.passed, sentence([], otherwise), shown)
        status = Status.failed if ordered[0].blocks else Status.warned
        words = [fault.what for fault in ordered]
        if status == Status.warned:
            words = [text for text in (otherwise, *words) if text]
        return Answer(status, sentence(words), shown, CAUSES[ordered[0].cause].fix)


def causes_of(findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """Return why the blocking findings block, what explains the others first."""
    found = [
        _cause(fault["cause"], fault["what"], finding)
        for finding in findings
        if finding.blocks
        for fault in finding.evidence.get("faults", ())
        if fault["blocks"]
    ]
    told = {cause.check for cause in found}
    silent = [f for f in findings if f.blocks and f.name not in told]
    ordered = sorted(found, key=lambda cause: _ORDER[cause.key])
    return (
        *ordered,
        *(
            Cause("unknown", f.question, f.summary, f.fix, f"{f.name} is passed.", f.name)
            for f in silent
        ),
    )


def _cause(key: str, what: str, finding: Finding) -> Cause:
    known = CAUSES[key]
    return Cause(key, known.name, sentence([what]), known.fix, known.expect, finding.name)
