"""What an experiment came to: the comparison, the findings and the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graft.core.files import read_json
from graft.core.findings import Findings
from graft.core.layout import ExperimentPaths
from graft.core.verdicts import Comparison, Verdict


@dataclass(frozen=True)
class Result:
    """The outcome of an experiment, read from its folder.

    Args:
        folder: The run folder.
        comparison: Verdicts, paired differences, gates, published figures.
        findings: What the checks say.
        report: The HTML page.
    """

    folder: Path
    comparison: Comparison
    findings: Findings
    report: Path

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The headline verdict of every arm."""
        return {row.candidate: row.verdict for row in self.comparison.headline}

    @property
    def exit_code(self) -> int:
        """0 if every audit passed and every gate was reached, else 2."""
        missed = any(not gate.reached for gate in self.comparison.gates)
        return 2 if missed or self.findings.blocking else 0


def read_result(folder: Path | str) -> Result:
    """Return the result that lies in a run folder.

    Raises:
        RunFolderError: The experiment is not finished or its files are damaged.
    """
    paths = ExperimentPaths(Path(folder))
    return Result(
        folder=paths.root,
        comparison=read_json(paths.comparison, Comparison),
        findings=read_json(paths.findings, Findings),
        report=paths.report,
    )
