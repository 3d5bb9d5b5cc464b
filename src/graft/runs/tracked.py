"""What a tracker is told about an experiment, read from its run folder; needs no tracker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graft.core.costs import RunCost
from graft.core.files import MANIFEST, read_json, read_jsonl, sha256_file, sha256_text
from graft.core.layout import RunPaths
from graft.core.roles import Split
from graft.core.scores import ScoreBook, Scores

LONGEST_VALUE = 500


@dataclass(frozen=True)
class TrackedRun:
    """One arm or baseline as a tracker sees it; its numbers and files lie in its folder.

    Args:
        name: Name of the arm or baseline.
        folder: Its folder.
        params: What it was asked to do.
        tags: What it is and what came out, in words.
    """

    name: str
    folder: str
    params: dict[str, str]
    tags: dict[str, str]


@dataclass(frozen=True)
class TrackingJob:
    """What is to be logged, and where.

    Args:
        store: URI of the tracking server or database.
        artefacts: URI of the folder for files; None where the server chooses it.
        experiment: Name of the experiment.
        recipe_sha256: Hash of the resolved recipe.
        files: Files of the experiment that go with every run.
        requirements: Packages that load a logged model, in the form of pip.
        runs: The arms and baselines.
    """

    store: str
    artefacts: str | None
    experiment: str
    recipe_sha256: str
    files: tuple[str, ...]
    requirements: tuple[str, ...]
    runs: tuple[TrackedRun, ...]


@dataclass(frozen=True)
class TrackingAnswer:
    """What was logged.

    Args:
        runs: Name of each run to the tracker's id of it.
        warnings: What differs between the tracker and the run folder, one sentence each.
    """

    runs: dict[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Point:
    """One value of a metric that changes while a run trains."""

    name: str
    step: int
    value: float


def flatten(value: object, key: str = "") -> dict[str, str]:
    """Return every leaf of nested mappings as dotted key and text, at most 500 characters each.

    Args:
        value: JSON types.
        key: Key of `value` itself.

    Example:
        >>> flatten({"lora": {"r": 8, "target_modules": ["query"]}, "freeze": [{"name": "top"}]})
        {'lora.r': '8', 'lora.target_modules': '["query"]', 'freeze.0.name': 'top'}
    """
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = {str(index): item for index, item in enumerate(value)}
    if isinstance(value, Mapping) and value:
        found: dict[str, str] = {}
        for name, item in value.items():
            found |= flatten(item, f"{key}.{name}" if key else str(name))
        return found
    return {key: cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}


def cut(text: str) -> str:
    """Return `text`, or its first 499 characters and an ellipsis if it is longer than 500."""
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def score_metrics(paths: RunPaths) -> dict[str, float | None]:
    """Return the scores of a run under the names that all runs of an experiment share.

    The test split gives `test_spearman`, its rows without the leaked ones
    `test_clean_spearman`, and the split that decided the thresholds `final_validation_spearman`:
    the artefact's value, where `validation_spearman` is the curve of the training. The ends of
    an interval are `…_low` and `…_high`. Slices stay in `scores.json`.

    Returns:
        Name to value; None stands for a metric that could not be measured.
    """
    found: dict[str, float | None] = {}
    for scores in read_json(paths.scores, ScoreBook).items:
        if "=" in scores.subset:
            continue
        for score in scores.items:
            name = f"{_prefix(scores)}_{score.metric}"
            found[name] = score.value
            for end, value in (("low", score.low), ("high", score.high)):
                if value is not None:
                    found[f"{name}_{end}"] = value
    return found


def _prefix(scores: Scores) -> str:
    split = str(scores.split) if scores.split == Split.test else f"final_{scores.split}"
    return split if scores.subset == "all" else f"{split}_{scores.subset}"


def cost_metrics(paths: RunPaths) -> dict[str, float]:
    """Return seconds, bytes and joules of a trained run; empty for a baseline."""
    if not paths.cost.is_file():
        return {}
    cost = asdict(read_json(paths.cost, RunCost))
    return {name: float(value) for name, value in cost.items() if isinstance(value, int | float)}


def training_metrics(paths: RunPaths) -> Iterator[Point]:
    """Yield what the history of a run holds, step by step; nothing for a baseline.

    The names are `train_loss`, `gradient_norm`, `learning_rate_<group>` and, for evaluations
    on the way, `validation_<metric>`.
    """
    for record in read_jsonl(paths.history):
        values: dict[str, Any] = dict(record.get("metrics", {}))
        if record["kind"] == "step":
            values = {"train_loss": record["loss"], "gradient_norm": record["grad_norm"]}
            values |= {f"learning_rate_{group}": rate for group, rate in record["rates"].items()}
        for name, value in values.items():
            if value is not None:
                yield Point(name, record["step"], float(value))


def seed_metrics(paths: RunPaths) -> Iterator[Point]:
    """Yield the test scores of every seed as `by_seed_test_<metric>`; nothing if there is one.

    The step is the place of the seed: 0 for the first, whose model is logged.
    """
    for score in read_json(paths.scores, ScoreBook).on(Split.test).items:
        for place, value in enumerate(score.by_seed):
            if value is not None:
                yield Point(f"by_seed_test_{score.metric}", place, value)


def run_files(paths: RunPaths) -> tuple[Path, ...]:
    """Return the files of a run that a tracker keeps, those that exist."""
    own = (paths.scores, paths.audits, paths.plan, paths.cost, paths.card)
    predictions = tuple(paths.predictions(split) for split in Split)
    return tuple(path for path in (*own, *predictions) if path.is_file())


def fingerprint(run: TrackedRun) -> str:
    """Return a hash of what was measured, the parameters, the tags and the weights of a run.

    Times are left out: they change when a finished experiment is only reported again.
    """
    paths = RunPaths(Path(run.folder))
    files = (paths.scores, paths.history, paths.plan, paths.model / MANIFEST)
    hashes = {path.name: sha256_file(path) for path in files if path.is_file()}
    return sha256_text(json.dumps([run.params, run.tags, hashes], sort_keys=True))
