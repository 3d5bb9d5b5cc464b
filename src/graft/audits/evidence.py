"""What the checks look at: the files of a run folder, read once, with what is missing named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pyarrow import ArrowException

from graft.core.augmentation import Augmentation
from graft.core.errors import GraftError, Problem, RunFolderError
from graft.core.experiment import BASE_RUN, ExperimentIndex
from graft.core.facts import UNKNOWN, RowFacts
from graft.core.files import read_json, read_jsonl
from graft.core.layout import ExperimentPaths, RunPaths
from graft.core.ledger import Ledger
from graft.core.options import OptionUse
from graft.core.origins import LoadReport
from graft.core.plan import ResolvedPlan
from graft.core.probes import Probes, Reading, Spread
from graft.core.roles import Role, Split
from graft.core.saves import Saves
from graft.core.supervision import Supervision
from graft.core.tables import DataReport

T = TypeVar("T")
Primary = Callable[[pd.DataFrame], float | None]


class EvidenceMissingError(GraftError):
    """What a check looks at is not there; the message names it."""


def undefined(frame: pd.DataFrame) -> float | None:
    """Return the primary metric of a training without labelled rows: there is none."""
    return None


@dataclass(frozen=True)
class RunEvidence:
    """What one arm left behind. A field is None if its file is missing; `missing` says which.

    Args:
        name: The arm, or one of its replicates.
        paths: Its files.
        method: `full`, `lora` or `head`.
        load: Origin of every tensor.
        plan: What training was to do.
        ledger: What training did.
        history: One record per logged step or evaluation.
        test: Predictions of the saved artefact in a fresh process: columns `row`, `label`,
            `score` and, where decisions are made, `threshold`; of several labels `y_0`, `y_1`, …
            and `p_0`, `p_1`, … instead of the score.
        in_memory: Predictions of the trained model in memory, same columns.
        adapter: Predictions of base and adapter folder in a fresh process; `lora` only.
        base: Predictions of the untouched base.
        others: Test predictions of every other arm, and of every other seed.
        base_folder: Folder of the base's weight files.
        primary: The primary metric of a frame of predictions, None where it is undefined.
        data: The report on the data.
        splits: Every row with its split: columns `row`, `split`.
        validation: Predictions of the saved artefact for the validation rows.
        primary_name: Name of the primary metric.
        control: The control that the arm is, `none` for an arm that is meant to win.
        supervision: What the loss saw of the training rows.
        probes: What was measured with the model in hand.
        options: What became of the options.
        reading: How the model in memory reads the probe rows.
        served: How the saved artefact, loaded afresh, reads them.
        spread: How much of their space the artefact's embeddings use.
        base_spread: The same of the untouched base.
        saves: What a trainer wrote to disk; only of trainings that Graft did not run.
        few: Training rows of each class that the arm was to take, None for all.
        augments: True if the arm was to add altered copies to its training rows.
        augmentation: What was added to them.
        runs: Folder of every other arm, and of every other seed.
        missing: Field to the reason why it is None.
    """

    name: str
    paths: RunPaths
    method: str
    load: LoadReport | None = None
    plan: ResolvedPlan | None = None
    ledger: Ledger | None = None
    history: list[dict[str, Any]] | None = None
    test: pd.DataFrame | None = None
    in_memory: pd.DataFrame | None = None
    adapter: pd.DataFrame | None = None
    base: pd.DataFrame | None = None
    others: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    base_folder: Path | None = None
    primary: Primary = undefined
    data: DataReport | None = None
    splits: pd.DataFrame | None = None
    validation: pd.DataFrame | None = None
    primary_name: str | None = None
    control: str = "none"
    supervision: Supervision | None = None
    probes: Probes | None = None
    options: OptionUse | None = None
    reading: Reading | None = None
    served: Reading | None = None
    spread: Spread | None = None
    base_spread: Spread | None = None
    saves: Saves | None = None
    few: int | None = None
    augments: bool = False
    augmentation: Augmentation | None = None
    runs: Mapping[str, RunPaths] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def facts(self) -> RowFacts:
        """What is known of columns and labels; nothing without a data report."""
        return self.data.facts if self.data else UNKNOWN

    @property
    def unit(self) -> float:
        """What a difference of scores is measured in.

        1 of similarities and probabilities; of a regression the deviation of the test labels.
        """
        if not self.facts.regression or self.test is None:
            return 1.0
        return float(self.test["label"].std(ddof=0)) or 1.0

    def given(self, name: str, value: T | None) -> T:
        """Return `value`, the field `name`.

        Raises:
            EvidenceMissingError: It is None.
        """
        return _given(self.missing, name, value)


@dataclass(frozen=True)
class DataEvidence:
    """What is known about the rows of the experiment.

    Args:
        report: The report on the data.
        splits: Every row with its split: columns `row`, `split`.
        seen: Arm to the ledger of the rows that it saw; empty before training.
        options: What became of the options that are not of one arm.
        few: Arms that take a few rows of each class on purpose.
        added: Arm to the altered copies that were added to its rows; only such arms.
        missing: Field to the reason why it is None.
    """

    report: DataReport | None
    splits: pd.DataFrame | None
    seen: Mapping[str, Ledger]
    options: OptionUse | None = None
    few: frozenset[str] = frozenset()
    added: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    name: str = "data"

    def given(self, name: str, value: T | None) -> T:
        """Return `value`, the field `name`.

        Raises:
            EvidenceMissingError: It is None.
        """
        return _given(self.missing, name, value)


def _given(missing: Mapping[str, str], name: str, value: T | None) -> T:
    if value is None:
        raise EvidenceMissingError(missing.get(name, f"there is no {name}"))
    return value


def read_evidence(
    paths: ExperimentPaths,
    run: str,
    base_folder: Path,
    primary: Primary,
    method: str,
    control: str = "none",
    few: int | None = None,
    *,
    augments: bool = False,
) -> RunEvidence:
    """Return what the arm `run` left in its folder.

    Args:
        paths: The experiment.
        run: Name of the arm, or of one of its replicates.
        base_folder: Folder of the base's weight files.
        primary: The primary metric of a frame of predictions.
        method: `full`, `lora` or `head`.
        control: The control that the arm is, or `none`.
        few: Training rows of each class that the arm takes, None for all.
        augments: True if the arm adds altered copies to them.

    Raises:
        RunFolderError: A file is there and cannot be read.
    """
    files, reader = paths.run(run), Reader(paths.root)
    test = Split.test
    others = {
        arm: reader.read("others", paths.run(arm).predictions(test), read_frame)
        for arm in trainings_of(paths)
        if arm != run
    }
    adapter = None
    if method == "lora":
        adapter = reader.read("adapter", files.of_adapter(test), read_frame)
    index = reader.json("primary_name", paths.index, ExperimentIndex)
    base_run = paths.run(BASE_RUN)
    return RunEvidence(
        name=run,
        paths=files,
        method=method,
        **reader.recorded(files),
        test=reader.read("test", files.predictions(test), read_frame),
        in_memory=reader.read("in_memory", files.in_memory(test), read_frame),
        adapter=adapter,
        base=reader.read("base", base_run.predictions(test), read_frame),
        others={arm: frame for arm, frame in others.items() if frame is not None},
        runs={arm: paths.run(arm) for arm in others},
        base_folder=reader.read("base_folder", base_folder, Path),
        primary=primary,
        data=reader.json("data", paths.data_report, DataReport),
        splits=reader.read("splits", paths.splits, read_frame),
        validation=reader.read("validation", files.predictions(Split.validation), read_frame),
        primary_name=index.primary if index else None,
        control=control,
        reading=reader.json("reading", files.reading, Reading),
        served=reader.json("served", files.served, Reading),
        spread=reader.json("spread", files.spread, Spread),
        base_spread=reader.json("base_spread", base_run.spread, Spread),
        few=few,
        augments=augments,
        augmentation=(
            reader.json("augmentation", files.augmentation, Augmentation) if augments else None
        ),
        missing=reader.missing,
    )


def read_trainer_evidence(files: RunPaths, base_folder: Path | None, method: str) -> RunEvidence:
    """Return what a callback recorded of a training that Graft did not run.

    Args:
        files: Folder that the callback wrote.
        base_folder: Folder of the base's weight files, None if it is not on this machine.
        method: `full` or `lora`.

    Raises:
        RunFolderError: A file is there and cannot be read.
    """
    reader = Reader(files.root)
    return RunEvidence(
        name=files.name,
        paths=files,
        method=method,
        **reader.recorded(files),
        base_folder=base_folder,
        saves=reader.json("saves", files.saves, Saves),
        missing=reader.missing,
    )


def read_data_evidence(paths: ExperimentPaths, few: frozenset[str] = frozenset()) -> DataEvidence:
    """Return what is known about the rows, before or after training.

    Args:
        paths: The experiment.
        few: Arms that take a few rows of each class on purpose.

    Raises:
        RunFolderError: A file is there and cannot be read.
    """
    reader = Reader(paths.root)
    ledgers = {arm: paths.run(arm).ledger for arm in trainings_of(paths)}
    return DataEvidence(
        report=reader.json("report", paths.data_report, DataReport),
        splits=reader.read("splits", paths.splits, read_frame),
        seen={arm: read_json(file, Ledger) for arm, file in ledgers.items() if file.exists()},
        options=reader.json("options", paths.options, OptionUse),
        few=few,
        added={
            arm: read_json(paths.run(arm).augmentation, Augmentation).added
            for arm in ledgers
            if paths.run(arm).augmentation.exists()
        },
        missing=reader.missing,
    )


def trainings_of(paths: ExperimentPaths) -> tuple[str, ...]:
    """Return the arms of the experiment and their replicates, by its index or the plans there."""
    if paths.index.exists():
        index = read_json(paths.index, ExperimentIndex)
        arms = (entry for entry in index.runs if entry.role == Role.arm)
        return tuple(name for entry in arms for name in entry.replicates)
    found: Iterable[Path] = sorted(paths.root.iterdir()) if paths.root.is_dir() else ()
    return tuple(folder.name for folder in found if RunPaths(folder).plan.exists())


def read_frame(path: Path) -> pd.DataFrame:
    """Return a Parquet file of the run folder.

    Raises:
        RunFolderError: The file is damaged.
    """
    try:
        return pd.read_parquet(path)
    except (ArrowException, OSError) as error:
        problem = Problem(str(path), f"cannot be read: {error}", "run the stage again")
        raise RunFolderError("run folder", [problem]) from None


class Reader:
    """Reads what is there and remembers what is not.

    Args:
        root: The folder that paths are shown from.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.missing: dict[str, str] = {}

    def json(self, name: str, path: Path, kind: type[T]) -> T | None:
        """Return the result type in the file of the field `name`, None if there is no file."""
        return self.read(name, path, lambda found: read_json(found, kind))

    def recorded(self, files: RunPaths) -> dict[str, Any]:
        """Return the fields of `RunEvidence` that every training leaves, whoever ran it."""
        return {
            "load": self.json("load", files.load, LoadReport),
            "plan": self.json("plan", files.plan, ResolvedPlan),
            "ledger": self.json("ledger", files.ledger, Ledger),
            "history": self.read("history", files.history, read_jsonl),
            "supervision": self.json("supervision", files.supervision, Supervision),
            "probes": self.json("probes", files.probes, Probes),
            "options": self.json("options", files.options, OptionUse),
        }

    def read(self, name: str, path: Path, read: Callable[[Path], T]) -> T | None:
        """Return what `read` makes of the path of the field `name`, None if it does not exist."""
        if path.exists():
            return read(path)
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        reason = f"{shown.as_posix()} is missing"
        before = self.missing.get(name)
        self.missing[name] = f"{before}; {reason}" if before else reason
        return None
