"""Where everything lies in a run folder: the one place that knows the file names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graft.core.roles import Split


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

    load = property(lambda self: self.root / "load.json")
    plan = property(lambda self: self.root / "plan.json")
    history = property(lambda self: self.root / "history.jsonl")
    ledger = property(lambda self: self.root / "ledger.json")
    checkpoints = property(lambda self: self.root / "checkpoints")
    model = property(lambda self: self.root / "model")
    adapter = property(lambda self: self.root / "adapter")
    scores = property(lambda self: self.root / "scores.json")
    audits = property(lambda self: self.root / "audits.json")
    cost = property(lambda self: self.root / "cost.json")
    card = property(lambda self: self.root / "README.md")

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
        """Text embeddings of the artefact for the charts: columns text, category, x, y, …"""
        return self.root / "predictions" / f"{split}.map.parquet"


@dataclass(frozen=True)
class ExperimentPaths:
    """The files of one experiment.

    Example:
        >>> ExperimentPaths(Path("runs/demo")).report.as_posix()
        'runs/demo/report.html'
    """

    root: Path

    recipe = property(lambda self: self.root / "recipe.yaml")
    origins = property(lambda self: self.root / "recipe_origins.json")
    index = property(lambda self: self.root / "experiment.json")
    data_report = property(lambda self: self.root / "data" / "report.json")
    splits = property(lambda self: self.root / "data" / "splits.parquet")
    fingerprints = property(lambda self: self.root / "data" / "fingerprints.json")
    comparison = property(lambda self: self.root / "comparison.json")
    findings = property(lambda self: self.root / "findings.json")
    report = property(lambda self: self.root / "report.html")

    def run(self, name: str) -> RunPaths:
        """Return the paths of the arm or baseline `name`."""
        return RunPaths(self.root / name)
