"""Stopping a training that is known to be worthless."""

from __future__ import annotations

from collections.abc import Sequence

from graft.core.errors import GraftError
from graft.core.findings import Finding


class FaultError(GraftError):
    """Training was stopped because what follows would be worthless.

    Args:
        findings: What was found.
        folder: Where it is written down.

    Example:
        >>> from graft.core.findings import Status
        >>> found = Finding("K1", "trainable_set", "?", Status.failed, "2 tensors are frozen.",
        ...     fix="Unfreeze them.")
        >>> print(FaultError([found], "graft-audit"))
        Graft stopped the training: K1 trainable_set: 2 tensors are frozen. Fix: Unfreeze them.
        All that was seen is in graft-audit; GraftCallback(on_fault="warn") goes on.
    """

    exit_code = 2

    def __init__(self, findings: Sequence[Finding], folder: str) -> None:
        self.findings = tuple(findings)
        found = "\n  ".join(f"{line(finding)} Fix: {finding.fix}" for finding in findings)
        super().__init__(
            f"Graft stopped the training: {found}\n"
            f'All that was seen is in {folder}; GraftCallback(on_fault="warn") goes on.'
        )


def line(finding: Finding) -> str:
    """Return the finding in one line, for a log."""
    return f"{finding.check} {finding.name}: {finding.summary}"
