"""Asking the checks about a foreign training, on the way and at its end."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from graft.audits.contract import run_checks, unused_accepts
from graft.audits.evidence import read_trainer_evidence
from graft.audits.registry import TRAINER_CHECKS
from graft.core.files import write_json
from graft.core.findings import Finding, Findings
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger
from graft.core.plan import ResolvedPlan
from graft.integrations.faults import line
from graft.integrations.settings import Settings
from graft.report.training_page import write_training_report

logger = logging.getLogger(__name__)


class Judge:
    """Asks the checks, with what the user accepts, and writes down what they find.

    Args:
        settings: What the user asks for.
        paths: The files of the training.
    """

    def __init__(self, settings: Settings, paths: RunPaths) -> None:
        self.settings, self.paths = settings, paths
        self.base_folder: Path | None = None
        self.findings: Findings | None = None

    def faults(self, names: Iterable[str], plan: ResolvedPlan, ledger: Ledger) -> list[Finding]:
        """Return what the checks of these names find wrong by now; it is logged.

        Args:
            names: Names of checks.
            plan: The plan.
            ledger: What is known so far.
        """
        files = read_trainer_evidence(self.paths, self.base_folder, plan.method)
        checks = [check for check in TRAINER_CHECKS if check.name in set(names)]
        found = run_checks(checks, replace(files, ledger=ledger), self.settings.accept)
        faults = [finding for finding in found if finding.blocks]
        for fault in faults:
            logger.warning("%s", line(fault))
        return faults

    def everything(self, method: str) -> Findings:
        """Return what every check finds in the files; findings that block are logged.

        Args:
            method: `full` or `lora`.
        """
        evidence = read_trainer_evidence(self.paths, self.base_folder, method)
        found = run_checks(TRAINER_CHECKS, evidence, self.settings.accept)
        findings = self.conclude((*found, *unused_accepts(found, self.settings.accept)))
        for finding in findings.blocking:
            logger.error("%s", line(finding))
        return findings

    def conclude(self, items: Iterable[Finding]) -> Findings:
        """Write the findings and the report, and return the findings."""
        self.findings = Findings(tuple(items))
        write_json(self.paths.audits, self.findings)
        page = write_training_report(self.paths.root)
        logger.info("Graft: %d findings, report in %s", len(self.findings.items), page)
        return self.findings
