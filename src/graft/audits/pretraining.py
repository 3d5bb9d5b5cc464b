"""What is asked of a pretraining alone: did it learn anything, and on rows that it may see?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graft.audits.contract import Answer, Check, named, sentence
from graft.audits.evidence import DataEvidence, Reader, RunEvidence, read_frame
from graft.audits.invariance import same_outputs
from graft.audits.rows import DATA_CHECKS as ROW_CHECKS
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.layout import PretrainingPaths
from graft.core.pretraining import NAME
from graft.core.roles import Split
from graft.core.tables import DataReport
from graft.core.verdicts import Comparison, PairedDifference, Verdict


@dataclass(frozen=True)
class PretrainingEvidence(RunEvidence):
    """What a pretraining left behind: a run without labels, and its model against guesses."""

    comparison: Comparison | None = None


def read_pretraining_evidence(paths: PretrainingPaths, untrained: Path) -> PretrainingEvidence:
    """Return what a pretraining left in its folder.

    Args:
        paths: Its files.
        untrained: Folder of what it began with.

    Raises:
        RunFolderError: A file is there and cannot be read.
    """
    reader = Reader(paths.root)
    return PretrainingEvidence(
        name=NAME,
        paths=paths,
        method="full",
        **reader.recorded(paths),
        base_folder=reader.read("base_folder", untrained, Path),
        data=reader.json("data", paths.data_report, DataReport),
        splits=reader.read("splits", paths.splits, read_frame),
        missing=reader.missing,
        comparison=reader.json("comparison", paths.comparison, Comparison),
    )


def hidden_values(evidence: RunEvidence) -> Answer:
    """Return whether the model says the same whatever stands where it must not look."""
    probes = evidence.given("probes", evidence.probes)
    if probes.blind is None:
        raise NotApplicableError("nothing was hidden from the model")
    fix = "Apply the mask to what the encoder reads and what normalises it, not to the loss alone."
    return same_outputs(probes.blind, "The rows and the same rows with other hidden values", fix)


def learned(evidence: RunEvidence) -> tuple[Answer, ...]:
    """Return for each objective whether the model is better than guesses that need none."""
    if not isinstance(evidence, PretrainingEvidence):
        raise NotApplicableError("it was not pretrained here")
    comparison = evidence.given("comparison", evidence.comparison)
    metrics = dict.fromkeys(item.metric for item in comparison.pairs)
    return tuple(
        _learned([item for item in comparison.pairs if item.metric == metric]) for metric in metrics
    )


def _learned(items: list[PairedDifference]) -> Answer:
    verdicts = {item.verdict for item in items}
    shown = {"metric": items[0].metric, "against": items}
    told = "; ".join(_told(item) for item in items)
    summary = f"{items[0].metric.replace('_', ' ')}: {told}"
    fix = "Train longer or at another rate, or give the encoder more width; look at the pictures."
    if verdicts == {Verdict.better}:
        return Answer(Status.passed, sentence([summary]), shown)
    if any(item.candidate_value is None for item in items):
        fix = "Look at the masks, and whether the rows hold any values."
        return Answer(Status.failed, sentence(["nothing was to be found", summary]), shown, fix)
    left = named([item.reference for item in items if item.verdict != Verdict.better])
    # Worse than some and better than none; of a few rows nothing can be shown.
    failed = Verdict.worse in verdicts and Verdict.better not in verdicts
    status = Status.failed if failed else Status.warned
    return Answer(status, sentence([f"not shown to be better than {left}", summary]), shown, fix)


def _told(item: PairedDifference) -> str:
    if item.candidate_value is None or item.reference_value is None:
        return f"{item.reference}: not measured"
    interval = "" if item.low is None else f" (difference {item.low:.3g} to {item.high:.3g})"
    values = f"{item.candidate_value:.4g} against {item.reference_value:.4g}"
    return f"{values} of guess '{item.reference}'{interval}, {item.verdict.replace('_', ' ')}"


def test_rows_seen(evidence: DataEvidence) -> Answer:
    """Return whether the rows without labels hold test rows of the experiment."""
    report = evidence.given("report", evidence.report)
    found = next((item for item in report.leakage if item.split == Split.test), None)
    if found is None:
        raise NotApplicableError("it learns from the training rows of the experiment")
    shown = {"test_rows": found.rows, "exact": found.exact, "leaked": len(found.leaked)}
    if found.leaked:
        summary = (
            f"{len(found.leaked)} of {found.rows} test rows of the experiment are given away by the"
            f" rows without labels ({found.exact} are among them). No label was read, but figures"
            " on test rows are those of rows that a model has met."
        )
        return Answer(Status.warned, summary, shown, "Take them out of pretrain.unlabelled.")
    summary = f"None of {found.rows} test rows of the experiment is given away by these rows."
    return Answer(Status.passed, summary, shown)


CHECKS: tuple[Check[RunEvidence], ...] = (
    Check(
        "K5",
        "hidden_values",
        "Is what the model must find really hidden from it?",
        hidden_values,
    ),
    Check("K13", "learned", "Did pretraining learn more than guesses know?", learned),
)
DATA_CHECKS: tuple[Check[DataEvidence], ...] = (
    *(check for check in ROW_CHECKS if check.name != "contradictions"),
    Check(
        "K6",
        "test_rows_seen",
        "Do the rows without labels hold test rows of the experiment?",
        test_rows_seen,
    ),
)
