"""All checks, in the order in which their findings are shown."""

from __future__ import annotations

from graft.audits import artefact, loading, merging, movement, rates, rows, trainable
from graft.audits.contract import Check
from graft.audits.evidence import DataEvidence, RunEvidence

ARM_CHECKS: tuple[Check[RunEvidence], ...] = (
    *trainable.CHECKS,
    *movement.CHECKS,
    *rates.CHECKS,
    *rows.CHECKS,
    *loading.CHECKS,
    *artefact.CHECKS,
    *merging.CHECKS,
)
DATA_CHECKS: tuple[Check[DataEvidence], ...] = rows.DATA_CHECKS
