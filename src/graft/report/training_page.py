"""One self-contained HTML page about a training that another trainer ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graft.core.layout import ExperimentPaths
from graft.report.adapted import adapted_sentence
from graft.report.evidence import RunEvidence, read_training
from graft.report.findings import outcome_sentence
from graft.report.palette import run_styles
from graft.report.rendering import write_page
from graft.report.sections import sections
from graft.report.training import training_charts


def write_training_report(folder: Path) -> Path:
    """Return the path of `report.html`, written whole from the files in `folder`.

    The same files give the same bytes. Every file may be missing: its section then says "not
    measured", and is never left out in silence.

    Args:
        folder: Where a callback of `graft.integrations` wrote plan, ledger, history, findings and
            whatever else it saw.

    Raises:
        RunFolderError: There is no such folder, or a file in it cannot be read.
    """
    run = read_training(folder)
    path = Path(ExperimentPaths(folder).report)
    charts = training_charts([run], run_styles([run.entry]))
    return write_page(path, "training_page.html.j2", context(run), charts)


def context(run: RunEvidence) -> dict[str, Any]:
    """Return everything that the templates show beside the charts."""
    findings = run.audits.items if run.audits else ()
    base = f"Base {run.load.base}" if run.load else "Base not known: there is no load.json"
    return {
        **sections(findings, {run.name: run.title}, [run], foreign=True),
        "name": run.title,
        "about": base,
        "headline": outcome_sentence(findings),
        "adapted": adapted_sentence(run),
    }
