"""`graft diagnose`: what became of a base in a training that Graft did not run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.cli.group import FAILED
from graft.cli.options import Json, Quiet
from graft.cli.output import answering, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from graft.audits.folders.diagnosis import Diagnosis

Base = Annotated[Path, typer.Argument(metavar="BASE", help="The model before: folder or file.")]
Tuned = Annotated[
    Path, typer.Argument(metavar="TUNED", help="The model after, or its adapter: folder or file.")
]
Data = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Rows with texts, and labels if there are any.")
]
Log = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="trainer_state.json, or CSV or JSONL; looked for with TUNED if absent."
    ),
]
Adapter = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The adapter that was merged into TUNED; looked for with TUNED if absent.",
    ),
]


def diagnose(
    base: Base,
    tuned: Tuned,
    data: Data = None,
    log: Log = None,
    adapter: Adapter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what is wrong with a tuned model, from folders alone.

    Exit code 2 if it is sick.
    """
    with answering(json, quiet) as output:
        from graft.audits.folders.diagnosis import diagnose as diagnose_folders
        from graft.core.jsonable import to_plain

        diagnosis = diagnose_folders(base, tuned, data, log, adapter)
        document = {**to_plain(diagnosis), "healthy": diagnosis.healthy}
        output.answer(document, _shown(diagnosis), exit_code=0 if diagnosis.healthy else FAILED)


def _shown(diagnosis: Diagnosis) -> list[RenderableType]:
    return [findings_table(diagnosis), layers_table(diagnosis), *cause_lines(diagnosis)]


def findings_table(diagnosis: Diagnosis) -> Table:
    """Return every check with its status and what it saw."""
    rows = [
        (f"{finding.check} {finding.name}", finding.status.replace("_", " "), finding.summary)
        for finding in diagnosis.findings
    ]
    title = f"{diagnosis.tuned} ({diagnosis.kind}) against {diagnosis.base}"
    return table(title, ("check", "status", "what it saw"), rows)


def layers_table(diagnosis: Diagnosis) -> Table:
    """Return how far each layer moved."""
    rows = [
        (
            layer.layer,
            f"{layer.updated} of {layer.tensors}",
            f"{layer.changed_share:.1%}",
            f"{layer.relative_change:.2e}" if layer.updated else "0",
        )
        for layer in diagnosis.layers
    ]
    numbers = ("tensors updated", "elements changed", "relative change")
    return table("Movement by layer", ("layer", *numbers), rows, numbers)


def cause_lines(diagnosis: Diagnosis) -> list[str]:
    """Return each cause with its evidence, what to do and what to expect then."""
    if diagnosis.healthy:
        notes = sum(finding.status == "warned" for finding in diagnosis.findings)
        return [f"Healthy: no check fails{f'; {notes} warn' if notes else ''}."]
    lines = []
    for number, cause in enumerate(diagnosis.causes, start=1):
        lines += [
            f"Cause {number}: {cause.name}.",
            f"  Evidence ({cause.check}): {cause.evidence}",
            f"  Fix: {cause.fix}",
            f"  Expect after the fix: {cause.expect}",
            "",
        ]
    return lines
