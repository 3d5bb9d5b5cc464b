"""An experiment on disk: its recipe, its folder, its task and its base."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graft.config.loading import LoadedRecipe, load_recipe
from graft.config.recipe import Recipe
from graft.config.section import Reads, record_reads
from graft.config.sections import ArmSection
from graft.config.series import OWN_BASE
from graft.core.errors import ModelError, Problem, RecipeError, RunFolderError
from graft.core.experiment import ExperimentIndex, RunEntry, replicates_of
from graft.core.facts import UNKNOWN, RowFacts
from graft.core.files import read_json, sha256_text, write_json, write_text
from graft.core.layout import ExperimentPaths
from graft.core.roles import Role
from graft.core.tables import DataReport
from graft.metrics.catalogue import CATALOGUE
from graft.models.locate import LocatedBase, locate_base
from graft.runs.resources import hardware, versions
from graft.tasks.protocol import Task
from graft.tasks.registry import task_of


@dataclass(frozen=True)
class Experiment:
    """A recipe bound to its run folder.

    Args:
        loaded: The recipe and its origins.
        paths: The run folder.
        task: The kind of task, bound to the facts.
        facts: What is known of the rows; nothing before they were read.
        reads: Options that were read since the experiment was opened.
    """

    loaded: LoadedRecipe
    paths: ExperimentPaths
    task: Task
    facts: RowFacts = UNKNOWN
    reads: Reads = field(default_factory=record_reads)

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.loaded.recipe

    @property
    def costs(self) -> tuple[float, float] | None:
        """What a false positive and a false negative cost, None if the recipe does not say."""
        costs = self.recipe.evaluation.costs
        return (costs.false_positive, costs.false_negative) if costs else None

    def replicates(self, run: str) -> tuple[str, ...]:
        """Return the names of the trainings of an arm, its own first; of another run its name."""
        if run not in self.recipe.arms:
            return (run,)
        return tuple(replicates_of(run, self.recipe.seeds_of(run)))

    def arm(self, replicate: str) -> ArmSection:
        """Return the arm that a training belongs to."""
        return self.recipe.arms[self._replicates[replicate][0]]

    def arm_name(self, replicate: str) -> str:
        """Return the name of the arm that a training belongs to."""
        return self._replicates[replicate][0]

    def training_seed(self, replicate: str) -> int:
        """Return the seed of a training: of head, adapter, order, dropout, random weights."""
        return self._replicates[replicate][1]

    @property
    def _replicates(self) -> dict[str, tuple[str, int]]:
        return {
            name: (arm, seed)
            for arm in self.recipe.arms
            for name, seed in replicates_of(arm, self.recipe.seeds_of(arm)).items()
        }

    def base(self, replicate: str | None = None) -> LocatedBase:
        """Return the base model of a training, or of the whole experiment."""
        section = self.arm(replicate).base if replicate else self.recipe.base
        if self.recipe.task == "series" and section.model == OWN_BASE:
            pretrained = self.recipe.pretrain is not None
            folder = self.paths.pretraining.model if pretrained else self.paths.untrained
            return LocatedBase(section.model, folder, "made")
        return locate_base(section.model, self.loaded.folder, section.revision)


def require_made(base: LocatedBase) -> LocatedBase:
    """Return the base.

    Raises:
        ModelError: The experiment makes it itself and has not done so yet.
    """
    if base.found == "made" and not base.folder.is_dir():
        problem = Problem(str(base.folder), "is not made yet", "run `graft pretrain`")
        raise ModelError("base", [problem])
    return base


def open_experiment(
    source: Path | str | Mapping[str, Any],
    overrides: Iterable[str] = (),
    root: Path | str = "runs",
    *,
    restart: bool = False,
) -> Experiment:
    """Return the experiment of a recipe, its folder made or found.

    Args:
        source: Recipe file, or its content.
        overrides: `key=value` pairs.
        root: Folder under which the experiment's folder lies.
        restart: Remove what an earlier run of the experiment left.

    Raises:
        RecipeError: The recipe is wrong.
        RunFolderError: The folder belongs to another recipe.
    """
    loaded = load_recipe(source, overrides)
    expected = RowFacts(problem_type=loaded.recipe.data.problem_type)
    task = task_of(loaded.recipe.task, expected)
    _check_metric_names(loaded.recipe, task)
    _check_losses(loaded.recipe, task)
    paths = ExperimentPaths(Path(root) / loaded.recipe.name)
    if restart and paths.root.exists():
        shutil.rmtree(paths.root)
    if paths.recipe.exists() and sha256_text(paths.recipe.read_text("utf-8")) != loaded.sha256:
        what = "was made by another recipe (or the same one with other values)"
        fix = "give the recipe another name or --runs folder, or use --restart to begin anew"
        raise RunFolderError("run folder", [Problem(str(paths.root), what, fix)])
    return bound(Experiment(loaded, paths, task))


def bound(experiment: Experiment) -> Experiment:
    """Return the experiment with its task bound to the facts of its rows, once they are written.

    Raises:
        RecipeError: A metric of the recipe is not defined for these rows.
    """
    report = experiment.paths.data_report
    if not report.is_file():
        return experiment
    return with_facts(experiment, read_json(report, DataReport).facts)


def with_facts(experiment: Experiment, facts: RowFacts) -> Experiment:
    """Return the experiment with its task bound to these facts.

    Raises:
        RecipeError: A metric of the recipe is not defined for these rows.
    """
    task = task_of(experiment.recipe.task, facts, experiment.costs)
    _check_metric_names(experiment.recipe, task)
    return replace(experiment, task=task, facts=facts)


def write_index(experiment: Experiment) -> ExperimentIndex:
    """Write the recipe, the origin of its values and the index; return the index."""
    recipe, paths = experiment.recipe, experiment.paths
    index = ExperimentIndex(
        name=recipe.name,
        task=recipe.task,
        base=recipe.base.model,
        base_run=recipe.evaluation.reference,
        primary=recipe.evaluation.primary,
        seed=recipe.seed,
        runs=(
            *(
                RunEntry(name, Role.baseline, baseline_title(experiment.task, name), trained=False)
                for name in recipe.baselines
            ),
            *(
                RunEntry(
                    name,
                    Role.arm,
                    arm.title or _title(arm.method),
                    trained=True,
                    seeds=recipe.seeds_of(name),
                )
                for name, arm in recipe.arms.items()
            ),
            *(
                RunEntry(name, Role.arm, fusion.title or f"{fusion.arm} fused", trained=False)
                for name, fusion in recipe.fusion.items()
            ),
        ),
        slices=recipe.data.slices,
        recipe_sha256=experiment.loaded.sha256,
        versions=versions(),
        hardware=hardware(),
    )
    write_text(paths.recipe, experiment.loaded.text)
    write_json(paths.origins, experiment.loaded.origins)
    write_json(paths.index, index)
    return index


def find_experiment(folder: Path) -> Experiment:
    """Return the experiment in a run folder.

    Raises:
        RunFolderError: The folder is no run folder.
    """
    paths = ExperimentPaths(folder)
    if not paths.recipe.is_file():
        problem = Problem(str(folder), "has no recipe.yaml", "give the folder of an experiment")
        raise RunFolderError("run folder", [problem])
    loaded = load_recipe(paths.recipe)
    read_json(paths.index, ExperimentIndex)
    found = LoadedRecipe(loaded.recipe, loaded.origins, Path())
    return bound(Experiment(found, paths, task_of(loaded.recipe.task)))


def baseline_title(task: Task, name: str) -> str:
    """Return the title of a baseline, `base@10` being `base` with 10 rows of each class."""
    kind, _, few = name.partition("@")
    title = task.baselines[kind].title
    return f"{title}, {few} rows a class" if few else title


def _title(method: str) -> str:
    return {"full": "full fine-tuning", "lora": "LoRA", "head": "new head alone"}[method]


def _check_metric_names(recipe: Recipe, task: Task) -> None:
    """Refuse metrics that nobody measures, and choices by a metric that judges nothing."""
    choosing = [("evaluation.primary", recipe.evaluation.primary)]
    choosing += [
        (f"arms.{name}.training.metric_for_best_model", arm.training.metric_for_best_model)
        for name, arm in recipe.arms.items()
        if arm.training.metric_for_best_model
    ]
    named = [(f"gates.{index}.metric", gate.metric) for index, gate in enumerate(recipe.gates)]
    if recipe.published:
        named += [
            (f"published.figures.{run}", name)
            for run, figures in recipe.published.figures.items()
            for name in figures
        ]
    judging = [m.metric.name for m in task.measures if m.metric.higher_is_better is not None]
    problems = [
        Problem(where, f"'{name}' is no metric of {task.name}", _nearest(name, list(CATALOGUE)))
        for where, name in named
        if name not in CATALOGUE
    ]
    problems += [
        Problem(where, f"'{name}' is no metric that can choose", _nearest(name, judging))
        for where, name in choosing
        if name not in judging
    ]
    if problems:
        raise RecipeError("recipe", problems)


def _check_losses(recipe: Recipe, task: Task) -> None:
    """Refuse micro-batches by tokens for a loss that compares the rows of a micro-batch."""
    problems = [
        Problem(
            f"arms.{name}.training.max_tokens_per_micro_batch",
            f"is {arm.training.max_tokens_per_micro_batch}, but the loss {arm.loss} compares the "
            "rows of a micro-batch with one another, so that another division is another loss",
            "take it out, or choose a loss that looks at each row by itself: cosine_similarity "
            "or contrastive",
        )
        for name, arm in recipe.arms.items()
        if arm.training.max_tokens_per_micro_batch is not None and not task.rowwise(arm)
    ]
    if problems:
        raise RecipeError("recipe", problems)


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"choose one of {sorted(known)}"
