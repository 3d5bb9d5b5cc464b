"""Where everything lies in a run folder: the one place that knows the file names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from graft.core.roles import Split


class _Rooted(Protocol):
    @property
    def root(self) -> Path: ...


class _Inside:
    """A path below the owner's root, as an attribute."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts

    def __get__(self, owner: _Rooted, kind: type | None = None) -> Path:
        return owner.root.joinpath(*self.parts)


@dataclass(frozen=True)
class RunPaths:
    """The files of one arm or baseline.

    Example:
        >>> RunPaths(Path("runs/demo/lora")).plan.as_posix()
        'runs/demo/lora/plan.json'
    """

    root: Path

    @property
    def name(self) -> str:
        """Name of the arm or baseline."""
        return self.root.name

    load = _Inside("load.json")
    plan = _Inside("plan.json")
    history = _Inside("history.jsonl")
    ledger = _Inside("ledger.json")
    augmentation = _Inside("augmentation.json")
    supervision = _Inside("supervision.json")
    probes = _Inside("probes.json")
    options = _Inside("options.json")
    reading = _Inside("reading.json")
    served = _Inside("served.json")
    spread = _Inside("spread.json")
    saves = _Inside("saves.json")
    checkpoints = _Inside("checkpoints")
    model = _Inside("model")
    adapter = _Inside("adapter")
    scores = _Inside("scores.json")
    audits = _Inside("audits.json")
    cost = _Inside("cost.json")
    card = _Inside("README.md")
    fusion = _Inside("fusion.json")
    folds = _Inside("folds")
    reasons = _Inside("reasons.json")

    def predictions(self, split: Split) -> Path:
        """Per-row predictions of the artefact, loaded from disk in a fresh process."""
        return self.root / "predictions" / f"{split}.parquet"

    def in_memory(self, split: Split) -> Path:
        """Per-row predictions of the model as it was in memory right after training."""
        return self.root / "predictions" / f"{split}.in_memory.parquet"

    def of_adapter(self, split: Split) -> Path:
        """Per-row predictions of base + adapter, loaded from disk in a fresh process."""
        return self.root / "predictions" / f"{split}.adapter.parquet"

    def embeddings(self, split: Split) -> Path:
        """Text embeddings of the artefact for the charts: columns text, category, x, y, cluster."""
        return self.root / "predictions" / f"{split}.map.parquet"


@dataclass(frozen=True)
class PretrainingPaths(RunPaths):
    """The files of the pretraining of an experiment.

    Example:
        >>> PretrainingPaths(Path("runs/demo/pretraining")).record.as_posix()
        'runs/demo/pretraining/pretraining.json'
    """

    record = _Inside("pretraining.json")
    data_report = _Inside("data", "report.json")
    splits = _Inside("data", "splits.parquet")
    comparison = _Inside("comparison.json")
    shown = _Inside("predictions", "shown.parquet")
    report = _Inside("report.html")


@dataclass(frozen=True)
class ExperimentPaths:
    """The files of one experiment.

    Example:
        >>> ExperimentPaths(Path("runs/demo")).report.as_posix()
        'runs/demo/report.html'
    """

    root: Path

    recipe = _Inside("recipe.yaml")
    origins = _Inside("recipe_origins.json")
    index = _Inside("experiment.json")
    data_report = _Inside("data", "report.json")
    reads = _Inside("data", "reads.json")
    options = _Inside("options.json")
    splits = _Inside("data", "splits.parquet")
    fingerprints = _Inside("data", "fingerprints.json")
    comparison = _Inside("comparison.json")
    findings = _Inside("findings.json")
    untrained = _Inside("untrained", "model")
    report = _Inside("report.html")

    @property
    def pretraining(self) -> PretrainingPaths:
        """The paths of the pretraining."""
        return PretrainingPaths(self.root / "pretraining")

    @property
    def results(self) -> Path:
        """What every run of every experiment beside this one came to, a line each."""
        return self.root.parent / "experiment_results.jsonl"

    def run(self, name: str) -> RunPaths:
        """Return the paths of the arm or baseline `name`, or of a replicate of an arm."""
        return RunPaths(self.root / name)
