"""`experiment_results.jsonl` beside the run folders: one line for every run that was finished."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from graft.core.costs import RunCost
from graft.core.experiment import ExperimentIndex, RunEntry
from graft.core.files import append_durably, read_json, sha256_file, sha256_text
from graft.core.jsonable import to_plain
from graft.core.layout import ExperimentPaths
from graft.core.roles import Split
from graft.core.scores import Score, ScoreBook
from graft.core.verdicts import Verdict
from graft.runs.result import Result


@dataclass(frozen=True)
class RunRecord:
    """What one arm, baseline or fusion came to.

    Args:
        experiment: Name of the experiment.
        run: Name of the run.
        role: Arm or baseline.
        seeds: Seeds that it was trained with; of a baseline that of the experiment.
        metrics: Metric to its value on all test rows, with interval and the value of each seed.
        reference: Run of the headline verdict, empty for a baseline.
        verdict: Verdict of the headline, None for a baseline.
        difference: Run minus reference on the primary metric, with its interval.
        findings_failed: Checks that fail the run, as `check name (where)`.
        train_seconds: Of all seeds together; None for what is not trained.
        recipe_sha256: Hash of the resolved recipe.
        rows_sha256: Hash of the fingerprints of all splits.
    """

    experiment: str
    run: str
    role: str
    seeds: tuple[int, ...]
    metrics: dict[str, dict[str, Any]]
    reference: str
    verdict: Verdict | None
    difference: tuple[float | None, float | None, float | None] | None
    findings_failed: tuple[str, ...]
    train_seconds: float | None
    recipe_sha256: str
    rows_sha256: str


def append_results(result: Result) -> int:
    """Append a line for every run of a finished experiment; return how many are new.

    A run that stands there with the same content already is not written again, so that a finished
    experiment that is only reported once more leaves the file as it is.

    Args:
        result: The experiment, finished.
    """
    paths = ExperimentPaths(result.folder)
    index = read_json(paths.index, ExperimentIndex)
    known = paths.results.read_text(encoding="utf-8") if paths.results.is_file() else ""
    added = 0
    for entry in index.runs:
        if not paths.run(entry.name).scores.is_file():
            continue
        content = to_plain(_record(paths, index, entry, result))
        identity = sha256_text(json.dumps(content, sort_keys=True))
        if identity not in known:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            append_durably(paths.results, {"id": identity, "time": now, **content})
            added += 1
    return added


def _record(
    paths: ExperimentPaths, index: ExperimentIndex, entry: RunEntry, result: Result
) -> RunRecord:
    scores = read_json(paths.run(entry.name).scores, ScoreBook).on(Split.test)
    verdicts = {item.candidate: item for item in result.comparison.headline}
    found = verdicts.get(entry.name)
    costs = [paths.run(name).cost for name in entry.replicates]
    trained = entry.trained and all(cost.is_file() for cost in costs)
    places = (*entry.replicates, "data", "recipe")
    return RunRecord(
        experiment=index.name,
        run=entry.name,
        role=str(entry.role),
        seeds=entry.seeds or (index.seed,),
        metrics={score.metric: _measured(score) for score in scores.items},
        reference=found.reference if found else "",
        verdict=found.verdict if found else None,
        difference=(found.difference, found.low, found.high) if found else None,
        findings_failed=tuple(
            f"{finding.check} {finding.name} ({finding.where})"
            for finding in result.findings.blocking
            if finding.where in places
        ),
        train_seconds=sum(read_json(cost, RunCost).train_seconds for cost in costs)
        if trained
        else None,
        recipe_sha256=index.recipe_sha256,
        rows_sha256=sha256_file(paths.fingerprints),
    )


def _measured(score: Score) -> dict[str, Any]:
    found = {"value": score.value, "low": score.low, "high": score.high}
    return {**found, "by_seed": score.by_seed} if score.by_seed else found
