"""Everything that the report stands on, read once from the run folder."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from graft.core.costs import RunCost
from graft.core.errors import Problem, RunFolderError
from graft.core.experiment import BASE_RUN, ExperimentIndex, RunEntry
from graft.core.facts import UNKNOWN, RowFacts
from graft.core.files import read_json, read_jsonl
from graft.core.findings import Findings
from graft.core.fusion import FusionRecord
from graft.core.layout import ExperimentPaths, RunPaths
from graft.core.ledger import Ledger
from graft.core.options import OptionUse
from graft.core.origins import LoadReport
from graft.core.plan import ResolvedPlan
from graft.core.probes import Probes
from graft.core.reasons import Reasons
from graft.core.roles import Role, Split
from graft.core.saves import Saves
from graft.core.scores import Score, ScoreBook, Scores
from graft.core.supervision import Supervision
from graft.core.tables import DataReport
from graft.core.verdicts import Comparison, PairedDifference
from graft.report.wishes import Wishes, wishes_of

T = TypeVar("T")


@dataclass(frozen=True)
class RunEvidence:
    """The files of one run; None stands for a file that was not written.

    Args:
        entry: Name, role and title.
        paths: Where the files lie.
        scores: All scores.
        predictions: Test predictions, one row per row of the split.
        text_map: Texts of the test split on two axes, with category and cluster.
        plan: What training was going to do.
        ledger: What training did.
        load: Where every tensor of the base came from.
        steps: One record per optimizer step.
        evaluations: One record per evaluation during training.
        cost: Time, memory, energy and sizes.
        audits: Findings of this run.
        options: Which options were read, and what was in force.
        supervision: What the loss saw of the training rows.
        probes: What was measured on a few rows beside the training.
        saves: Folders that a trainer saved; Graft's own loop writes none.
        fusion: What was merged, None for a run that is no fusion.
        reasons: What decides: columns shuffled, words left out.
        replicates: The trainings of the arm with its further seeds.
    """

    entry: RunEntry
    paths: RunPaths
    scores: ScoreBook | None
    predictions: pd.DataFrame | None
    text_map: pd.DataFrame | None
    plan: ResolvedPlan | None
    ledger: Ledger | None
    load: LoadReport | None
    steps: tuple[dict[str, Any], ...]
    evaluations: tuple[dict[str, Any], ...]
    cost: RunCost | None
    audits: Findings | None
    options: OptionUse | None
    supervision: Supervision | None
    probes: Probes | None
    saves: Saves | None
    fusion: FusionRecord | None
    reasons: Reasons | None
    replicates: tuple[RunEvidence, ...] = ()

    @property
    def trainings(self) -> tuple[RunEvidence, ...]:
        """The run itself, which is the training with the first seed, and its replicates."""
        return (self, *self.replicates)

    @property
    def name(self) -> str:
        """Key of the run in the recipe."""
        return self.entry.name

    @property
    def title(self) -> str:
        """A few words for people; the name where the recipe gives none."""
        return self.entry.title or self.entry.name

    def on_test(self, subset: str = "all") -> Scores | None:
        """Return the scores on a subset of the test split, None if nothing was measured there."""
        for scores in self.scores.items if self.scores else ():
            if scores.split == Split.test and scores.subset == subset:
                return scores
        return None

    def score(self, metric: str, subset: str = "all") -> Score | None:
        """Return one score on the test split, None if it was not asked for."""
        scores = self.on_test(subset)
        return scores[metric] if scores and metric in scores.names else None


@dataclass(frozen=True)
class Evidence:
    """The files of one experiment; `data` and `findings` are None if they were not written."""

    paths: ExperimentPaths
    index: ExperimentIndex
    comparison: Comparison
    data: DataReport | None
    findings: Findings | None
    recipe: str | None
    runs: tuple[RunEvidence, ...]

    @property
    def facts(self) -> RowFacts:
        """Columns and classes of the rows; empty without a data report."""
        return self.data.facts if self.data else UNKNOWN

    @functools.cached_property
    def wishes(self) -> Wishes:
        """What the recipe says of controls and costs."""
        return wishes_of(self.recipe)

    @property
    def arms(self) -> tuple[RunEvidence, ...]:
        """The runs that adapt the base, in the order of the recipe."""
        return tuple(run for run in self.runs if run.entry.role == Role.arm)

    @property
    def seeds(self) -> int:
        """How often the arm was trained that was trained most often."""
        return max((len(arm.trainings) for arm in self.arms), default=1)

    @property
    def base(self) -> RunEvidence | None:
        """The run that the headline compares with, None if it is not among the runs."""
        return self.run(self.index.base_run)

    @property
    def candidates(self) -> tuple[RunEvidence, ...]:
        """The arms that are meant to win: all but the controls."""
        return tuple(arm for arm in self.arms if arm.name not in self.wishes.controls)

    @property
    def compared(self) -> tuple[RunEvidence, ...]:
        """The runs that the headline is about: the candidates, without any arm the baselines."""
        if self.arms:
            return self.candidates
        return tuple(run for run in self.runs if run.name != self.index.base_run)

    @property
    def asks_words(self) -> bool:
        """True if words can be left out of rows: there are texts, and a row has one class."""
        return bool(self.facts.texts) and self.facts.one_class

    def title(self, name: str) -> str:
        """Return the words for people of the run `name`, or of a replicate."""
        trainings = (training for run in self.runs for training in run.trainings)
        return next((training.title for training in trainings if training.name == name), name)

    def place(self, where: str) -> str:
        """Return what a finding is about in words for people."""
        return self.title(where) if where else "experiment"

    def run(self, name: str) -> RunEvidence | None:
        """Return the run `name`, None if there is none."""
        return next((run for run in self.runs if run.name == name), None)

    def reference(self, arm: str) -> str:
        """Return the run that the headline compares the arm with."""
        for item in self.comparison.headline:
            if item.candidate == arm:
                return item.reference
        return self.index.base_run

    def pair(
        self, candidate: str, reference: str, metric: str, subset: str = "all"
    ) -> PairedDifference | None:
        """Return the difference of two runs, None if they were not compared so."""
        wanted = (candidate, reference, metric, subset)
        for item in (*self.comparison.headline, *self.comparison.pairs):
            if (item.candidate, item.reference, item.metric, item.subset) == wanted:
                return item
        return None

    def reference_words(self, name: str, short: str = "the untouched base") -> str:
        """Return a reference run in words: its title, or `short` for the untouched base."""
        return short if name == BASE_RUN else self.title(name)


def read_evidence(root: Path) -> Evidence:
    """Return everything that the run folder `root` holds.

    Raises:
        RunFolderError: A required file is missing, or any file cannot be read; all at once.
    """
    paths, problems = ExperimentPaths(root), list[Problem]()
    index = _read(paths.index, ExperimentIndex, problems, required=True)
    comparison = _read(paths.comparison, Comparison, problems, required=True)
    data = _read(paths.data_report, DataReport, problems)
    findings = _read(paths.findings, Findings, problems)
    entries = index.runs if index else ()
    runs = tuple(_read_arm(entry, paths, problems) for entry in entries)
    if problems or index is None or comparison is None:
        raise RunFolderError("run folder", problems)
    if findings is None and any(run.audits for run in runs):
        audits = [own.audits for run in runs for own in run.trainings if own.audits]
        findings = Findings(tuple(item for audit in audits for item in audit.items))
    recipe = paths.recipe.read_text(encoding="utf-8") if paths.recipe.is_file() else None
    return Evidence(paths, index, comparison, data, findings, recipe, runs)


def read_training(folder: Path) -> RunEvidence:
    """Return the files of a training that belongs to no experiment; it is named as its folder.

    Raises:
        RunFolderError: There is no such folder, or a file cannot be read; all at once.
    """
    problems = list[Problem]()
    if not folder.is_dir():
        problems.append(Problem(str(folder), "is no folder", "give the folder of the callback"))
    root = folder.resolve()
    run = _read_run(RunEntry(root.name, Role.arm, "", trained=True), RunPaths(root), problems)
    if problems:
        raise RunFolderError("training folder", problems)
    return run


def _read_arm(entry: RunEntry, paths: ExperimentPaths, problems: list[Problem]) -> RunEvidence:
    """Return a run with its replicates."""
    run = _read_run(entry, paths.run(entry.name), problems)
    further = zip(entry.replicates[1:], entry.seeds[1:], strict=True)
    replicates = [
        _read_run(
            RunEntry(name, entry.role, f"{run.title}, seed {seed}", entry.trained, (seed,)),
            paths.run(name),
            problems,
        )
        for name, seed in further
    ]
    return replace(run, replicates=tuple(replicates))


def _read_run(entry: RunEntry, paths: RunPaths, problems: list[Problem]) -> RunEvidence:
    try:
        history = read_jsonl(paths.history)
    except json.JSONDecodeError as error:
        problems.append(Problem(str(paths.history), f"cannot be read: {error}", "train again"))
        history = []
    return RunEvidence(
        entry=entry,
        paths=paths,
        scores=_read(paths.scores, ScoreBook, problems),
        predictions=_read_rows(paths.predictions(Split.test), problems),
        text_map=_read_rows(paths.embeddings(Split.test), problems),
        plan=_read(paths.plan, ResolvedPlan, problems),
        ledger=_read(paths.ledger, Ledger, problems),
        load=_read(paths.load, LoadReport, problems),
        steps=tuple(record for record in history if record.get("kind") == "step"),
        evaluations=tuple(record for record in history if record.get("kind") == "evaluation"),
        cost=_read(paths.cost, RunCost, problems),
        audits=_read(paths.audits, Findings, problems),
        options=_read(paths.options, OptionUse, problems),
        supervision=_read(paths.supervision, Supervision, problems),
        probes=_read(paths.probes, Probes, problems),
        saves=_read(paths.saves, Saves, problems),
        fusion=_read(paths.fusion, FusionRecord, problems),
        reasons=_read(paths.reasons, Reasons, problems),
    )


def _read(
    path: Path, kind: type[T], problems: list[Problem], *, required: bool = False
) -> T | None:
    if not required and not path.is_file():
        return None
    try:
        return read_json(path, kind)
    except RunFolderError as error:
        problems.extend(error.problems)
        return None


def _read_rows(path: Path, problems: list[Problem]) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueError or OSError
        problems.append(Problem(str(path), f"cannot be read: {error}", "predict again"))
        return None
