"""What is wrong with a tuned model, from its folder and that of its base alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graft.audits.contract import run_checks
from graft.audits.folders.causes import Cause, causes_of
from graft.audits.folders.comparison import LayerMovement, by_layer
from graft.audits.folders.evidence import FolderEvidence, read_folders
from graft.audits.folders.registry import FOLDER_CHECKS
from graft.core.errors import NotApplicableError
from graft.core.findings import Finding


@dataclass(frozen=True)
class Diagnosis:
    """What two folders show.

    Args:
        base: The base, as it was named.
        tuned: The tuned model, as it was named.
        kind: What the tuned place holds.
        findings: One answer of every check, or several.
        layers: How far each layer moved; for an adapter, by B·A.
        causes: Why it is sick, what explains the rest first; empty if it is healthy.
    """

    base: str
    tuned: str
    kind: str
    findings: tuple[Finding, ...]
    layers: tuple[LayerMovement, ...]
    causes: tuple[Cause, ...]

    @property
    def healthy(self) -> bool:
        """True if no finding blocks."""
        return not any(finding.blocks for finding in self.findings)


def diagnose(
    base: Path | str,
    tuned: Path | str,
    data: Path | str | None = None,
    log: Path | str | None = None,
    adapter: Path | str | None = None,
) -> Diagnosis:
    """Return what became of `base` in a training that Graft did not run.

    Args:
        base: The model before: a Transformers or Sentence-Transformers folder, the folder of an
            arm, a .safetensors file, or a state dict (.bin, .pt, .pth, .ckpt).
        tuned: The model after: any of these, or a PEFT adapter folder.
        data: Rows with texts, and labels for the checks that need them.
        log: `trainer_state.json`, or a CSV or JSONL file with step and loss; looked for with the
            tuned folder if None.
        adapter: The adapter that was merged into `tuned`; looked for with it if None.

    Raises:
        InputError: A place, the rows or the log cannot be read, or two have nothing in common.
    """
    given = [Path(place) if place is not None else None for place in (data, log, adapter)]
    evidence = read_folders(Path(base), Path(tuned), *given)
    layers = _layers(evidence)
    findings = run_checks(FOLDER_CHECKS, evidence, accept={})
    return Diagnosis(
        base=str(base),
        tuned=str(tuned),
        kind=str(evidence.tuned.kind),
        findings=findings,
        layers=layers,
        causes=causes_of(findings),
    )


def _layers(evidence: FolderEvidence) -> tuple[LayerMovement, ...]:
    try:
        return by_layer(evidence.moved)
    except NotApplicableError:
        return ()  # weights_moved says why
