"""Every check of two folders, in the order in which a person reads them."""

from __future__ import annotations

from graft.audits.contract import Check
from graft.audits.folders import (
    adapter_checks,
    log_checks,
    merge_checks,
    outputs,
    pooling,
    reading,
    results,
    two_trainings,
    vocabulary,
    weights,
)
from graft.audits.folders.evidence import FolderEvidence

FOLDER_CHECKS: tuple[Check[FolderEvidence], ...] = (
    *weights.CHECKS,
    *vocabulary.CHECKS,
    *adapter_checks.CHECKS,
    *merge_checks.CHECKS,
    *reading.CHECKS,
    *pooling.CHECKS,
    *outputs.CHECKS,
    *two_trainings.CHECKS,
    *results.CHECKS,
    *log_checks.CHECKS,
)
