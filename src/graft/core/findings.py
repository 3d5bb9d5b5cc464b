"""What a check found out: one `Finding`, whose status never mixes "passed" with "not run"."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Outcome of a check; `failed`, `error` and `not_run` make a run fail.

    A check that could not look has shown nothing: that is no pass.
    """

    passed = "passed"
    failed = "failed"
    warned = "warned"
    not_applicable = "not_applicable"
    not_run = "not_run"
    error = "error"


@dataclass(frozen=True)
class Finding:
    """One answer of one check about one run (or about the data of the experiment).

    Args:
        check: Stable id, `K1` to `K16`.
        name: What is asked, as a key that a recipe can accept: `trainable_set`, `leakage`, …
        question: The question in plain words.
        status: The outcome.
        summary: One sentence with the measured values.
        evidence: JSON that a person can follow: tensor names, counts, rows.
        where: The run (arm or baseline name), or `data`.
        fix: What to do, one sentence; empty when nothing is wrong.
        accepted: The reason that the recipe gives for living with it; empty if none.

    Example:
        >>> finding = Finding("K9", "differs_from_base", "Did it change?", Status.failed, "No.")
        >>> finding.blocks, finding.accept("known").blocks
        (True, False)
    """

    check: str
    name: str
    question: str
    status: Status
    summary: str
    evidence: dict[str, Any] = field(default_factory=dict)
    where: str = ""
    fix: str = ""
    accepted: str = ""

    @property
    def blocks(self) -> bool:
        """True if the run must end with exit code 2."""
        blocking = (Status.failed, Status.error, Status.not_run)
        return self.status in blocking and not self.accepted

    def accept(self, reason: str) -> Finding:
        """Return the finding marked as accepted; its status stays what it was."""
        return replace(self, accepted=reason)


@dataclass(frozen=True)
class Findings:
    """All findings of one experiment, in the order of the checks."""

    items: tuple[Finding, ...]

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that fail the run."""
        return tuple(finding for finding in self.items if finding.blocks)
