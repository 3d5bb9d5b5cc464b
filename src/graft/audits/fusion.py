"""K6, K8, K9 and K13 for a fusion: honest folds, a faithful artefact, and more than one part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from graft.audits.agreement import compare
from graft.audits.artefact import artefact_equivalence
from graft.audits.chance import CHECKS as CHANCE
from graft.audits.contract import Answer, Check, listed, named, sentence
from graft.audits.degenerate import CHECKS as DEGENERATE
from graft.audits.evidence import (
    EvidenceMissingError,
    Primary,
    RunEvidence,
    read_evidence,
    read_frame,
)
from graft.audits.folders.sameness import IDENTICAL
from graft.audits.rows import CHECKS as ROWS
from graft.core.errors import NotApplicableError
from graft.core.files import read_json
from graft.core.findings import Status
from graft.core.fusion import FusionRecord
from graft.core.layout import ExperimentPaths
from graft.core.roles import Split


@dataclass(frozen=True)
class FusionEvidence:
    """What a fusion left behind.

    Args:
        run: What it shares with every run: predictions in memory and afresh, splits.
        record: How it was made, None if it is not written.
        folds: For each fold every training row: columns `row`, `held`, `trained`, and `group` if
            there are groups.
        parts: Part to its own predictions of the test rows.
    """

    run: RunEvidence
    record: FusionRecord | None
    folds: tuple[pd.DataFrame, ...]
    parts: Mapping[str, pd.DataFrame]

    @property
    def name(self) -> str:
        """The fusion."""
        return self.run.name


def read_fusion_evidence(paths: ExperimentPaths, name: str, primary: Primary) -> FusionEvidence:
    """Return what the fusion `name` left in its folder.

    Args:
        paths: The experiment.
        name: The fusion.
        primary: The primary metric of a frame of predictions.

    Raises:
        RunFolderError: A file is there and cannot be read.
    """
    files = paths.run(name)
    record = read_json(files.fusion, FusionRecord) if files.fusion.is_file() else None
    folds = sorted(files.folds.glob("fold-*.parquet"))
    predictions = {
        part: paths.run(part).predictions(Split.test) for part in (record.parts if record else ())
    }
    return FusionEvidence(
        run=read_evidence(paths, name, files.model, primary, "fusion"),
        record=record,
        folds=tuple(read_frame(file) for file in folds),
        parts={part: read_frame(file) for part, file in predictions.items() if file.is_file()},
    )


def stacking_folds(evidence: FusionEvidence) -> Answer:
    """Return whether no row was predicted for the stacker by a model that had seen it."""
    record = _record(evidence)
    if record.method != "stacked":
        raise NotApplicableError("the weights were chosen on the validation rows, without folds")
    problems = [
        f"fold {place}: {text}"
        for place, fold in enumerate(evidence.folds)
        for text in _fold_problems(fold)
    ]
    if len(evidence.folds) != record.folds:
        problems.append(f"there are {len(evidence.folds)} folds, {record.folds} were asked for")
    if evidence.folds:
        every = pd.concat(evidence.folds)
        times = every.groupby(every["row"].astype(str))["held"].sum()
        odd = sorted(times.index[times != 1])
        if odd:
            problems.append(f"{len(odd)} rows were not held out exactly once ({named(odd)})")
        if len(times) != record.rows:
            problems.append(f"the folds hold {len(times)} rows, the stacker saw {record.rows}")
    shown = {
        "rows": record.rows,
        "folds": [
            {
                "held": int(fold["held"].sum()),
                "trained": int(fold["trained"].sum()),
                "first_held": listed(fold.loc[fold["held"], "row"].astype(str), limit=5),
            }
            for fold in evidence.folds
        ],
    }
    if problems:
        fix = "Do not trust its figures: train each fold without the rows that it predicts."
        return Answer(Status.failed, sentence(problems), shown, fix)
    groups = "" if "group" not in evidence.folds[0] else ", nor a row of its group"
    summary = (
        f"Each of {record.rows} training rows was predicted once, in {record.folds} folds, by"
        f" models that had not seen it{groups}."
    )
    return Answer(Status.passed, summary, shown)


def _record(evidence: FusionEvidence) -> FusionRecord:
    if evidence.record is None:
        raise EvidenceMissingError(f"{evidence.name}/fusion.json is missing")
    return evidence.record


def _fold_problems(fold: pd.DataFrame) -> list[str]:
    held, trained = fold[fold["held"]], fold[fold["trained"]]
    problems = []
    both = sorted(set(held["row"].astype(str)) & set(trained["row"].astype(str)))
    if both:
        problems.append(f"{len(both)} rows were trained on and predicted ({named(both)})")
    if "group" in fold:
        shared = sorted(set(held["group"].astype(str)) & set(trained["group"].astype(str)))
        if shared:
            problems.append(f"{len(shared)} groups stand on both sides ({named(shared)})")
    if held.empty or trained.empty:
        problems.append(f"{len(held)} rows were predicted and {len(trained)} trained on")
    return problems


def fusion_reloads(evidence: FusionEvidence) -> Answer:
    """Return whether the saved fusion, loaded afresh, predicts what it predicted in memory."""
    return artefact_equivalence(evidence.run)


def fusion_differs(evidence: FusionEvidence) -> Answer:
    """Return whether the fusion predicts other scores than each of its parts."""
    record = _record(evidence)
    test = evidence.run.given("test", evidence.run.test)
    lost = sorted(set(record.parts) - set(evidence.parts))
    distances = {part: compare(test, frame, IDENTICAL) for part, frame in evidence.parts.items()}
    shown = {
        "words": record.words,
        "parts": {
            n: {"largest": d.largest, "differing": d.differing} for n, d in distances.items()
        },
    }
    apart = sorted(n for n, distance in distances.items() if not distance.same_rows)
    same = sorted(n for n, d in distances.items() if d.largest is not None and not d.differing)
    problems = [f"part '{part}' has no predictions of the test rows" for part in lost]
    problems += [f"'{part}' was scored on other rows" for part in apart]
    if same and not problems and any(record.weights.get(part) == 1 for part in same):
        summary = f"All weight lies on '{same[0]}': the fusion is that part and nothing else."
        return Answer(Status.warned, summary, shown, "Leave the fusion out.")
    problems += [f"'{part}' has exactly the same scores" for part in same]
    if problems:
        fix = "Find which part was never merged."
        return Answer(Status.failed, sentence(problems), shown, fix)
    nearest = min(distances, key=lambda part: distances[part].largest or 0.0)
    summary = (
        f"The scores differ from those of all {len(distances)} parts; the nearest, '{nearest}',"
        f" lies up to {distances[nearest].largest:.3g} away. {record.words}"
    )
    return Answer(Status.passed, summary, shown)


def _of_run(check: Check[RunEvidence]) -> Check[FusionEvidence]:
    return Check(check.id, check.name, check.question, lambda evidence: check.run(evidence.run))


_SHARED = ("evaluated_rows", "varied_predictions", "label_order", "beyond_chance")
CHECKS: tuple[Check[FusionEvidence], ...] = (
    Check(
        "K6",
        "stacking_folds",
        "Was every row predicted for the stacker by models that had not seen it?",
        stacking_folds,
    ),
    Check(
        "K8",
        "fusion_reloads",
        "Does the saved fusion, loaded afresh, predict what it predicted in memory?",
        fusion_reloads,
    ),
    Check("K9", "fusion_differs", "Is the fusion more than one of its parts?", fusion_differs),
    *(_of_run(check) for check in (*ROWS, *DEGENERATE, *CHANCE) if check.name in _SHARED),
)
