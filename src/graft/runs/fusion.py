"""The stage that merges an arm with baselines into one prediction and one artefact."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from graft.audits.evidence import read_frame
from graft.config.evaluation import FusionSection
from graft.core.errors import Problem, RecipeError, RunFolderError
from graft.core.files import committed_folder, manifest_problems, write_json
from graft.core.fusion import FusionRecord
from graft.core.layout import RunPaths
from graft.core.roles import Split
from graft.data.sampling import rows_per_class
from graft.evaluate.fresh import FreshArtefact, FreshJob, predict_in_fresh_process
from graft.evaluate.fusion import Fusion, average, folds, log_loss, stack
from graft.evaluate.fusion_folder import save_fusion
from graft.evaluate.predictions import decision_split, rows_to_predict, write_predictions
from graft.metrics.probabilities import class_columns, probabilities_of
from graft.runs.arms import require_trained
from graft.runs.experiment import Experiment
from graft.runs.folds import fit_member, fold_of, part_of
from graft.tasks.protocol import Array

Parts = dict[str, Array]


def fuse(experiment: Experiment, name: str, rows: pd.DataFrame, leaked: frozenset[str]) -> None:
    """Fuse an arm with baselines; do nothing if that is done.

    The arm must be trained, and its artefact have predicted. Stacking trains it once more for each
    fold; the predictions of a fold are kept, so that an interrupted run takes up again.

    Args:
        experiment: The experiment, bound to the facts of its rows.
        name: The fusion.
        rows: All rows with their splits.
        leaked: Ids of test rows that the training split gives away.

    Raises:
        RecipeError: There are no rows to choose weights on.
        RunFolderError: The arm has no predictions yet.
    """
    section, paths = experiment.recipe.fusion[name], experiment.paths.run(name)
    if is_fused(paths):
        return
    _check(experiment, name, section, rows)
    train_rows = stacked_rows(experiment, section, rows)
    predicted = rows_to_predict(rows)
    members = {
        member: fit_member(experiment, member, train_rows, predicted) for member in section.members
    }
    parts = _saved_parts(experiment, section, predicted)
    parts |= {member: fitted.outputs(predicted) for member, fitted in members.items()}
    if section.method == "stacked":
        fusion, record = _stacked(experiment, name, rows, train_rows)
    else:
        fusion, record = _averaged(section, predicted, parts)
    columns: Parts = dict(class_columns(fusion.predict(parts)))
    files = {split: paths.in_memory(split) for split in (decision_split(rows), Split.test)}
    write_predictions(experiment.task, predicted, columns, files, leaked)
    text = (section.arm, experiment.paths.run(section.arm).model)
    with committed_folder(paths.model) as folder:
        save_fusion(folder, experiment.task, experiment.facts, fusion, text, members)
    _predict_afresh(experiment, paths, leaked)
    write_json(paths.fusion, record)


def is_fused(paths: RunPaths) -> bool:
    """Return True if the fusion is done and its artefact verifies."""
    return paths.fusion.is_file() and not manifest_problems(paths.model)


def stacked_rows(
    experiment: Experiment, section: FusionSection, rows: pd.DataFrame
) -> pd.DataFrame:
    """Return the training rows of a fusion: those that its arm trains on."""
    train_rows = rows[rows["split"] == Split.train].reset_index(drop=True)
    few = experiment.recipe.arms[section.arm].rows_per_class
    return rows_per_class(train_rows, few, experiment.recipe.seed)


def _check(experiment: Experiment, name: str, section: FusionSection, rows: pd.DataFrame) -> None:
    if section.method == "average" and decision_split(rows) != Split.validation:
        what = "is 'average', but there are no validation rows to choose the weights on"
        fix = "use 'stacked', or hold rows out"
        raise RecipeError("recipe", [Problem(f"fusion.{name}.method", what, fix)])
    arm = experiment.paths.run(section.arm)
    require_trained(arm)
    for split in (decision_split(rows), Split.test):
        if not arm.predictions(split).is_file():
            problem = Problem(str(arm.predictions(split)), "is missing", "run `graft evaluate`")
            raise RunFolderError("run folder", [problem])


def _stacked(
    experiment: Experiment, name: str, rows: pd.DataFrame, train_rows: pd.DataFrame
) -> tuple[Fusion, FusionRecord]:
    section, seed = experiment.recipe.fusion[name], experiment.recipe.seed
    fold = folds(train_rows, section.folds, seed)
    held = pd.concat(
        [
            fold_of(experiment, name, rows, train_rows, fold == place, place)
            for place in range(section.folds)
        ]
    )
    held = held[held["held"]].set_index("row").loc[train_rows["row"].astype(str).tolist()]
    parts = {part: part_of(held, part) for part in (section.arm, *section.members)}
    labels = train_rows["label"].to_numpy().astype(int)
    fused = np.zeros((len(labels), len(experiment.facts.classes)))
    for place in range(section.folds):
        others, own = fold != place, fold == place
        once = stack({n: found[others] for n, found in parts.items()}, labels[others], seed)
        fused[own] = once.predict({n: found[own] for n, found in parts.items()})
    fusion = stack(parts, labels, seed)
    chosen_on = f"the training rows, each predicted by models of {section.folds - 1} other folds"
    return fusion, _record(section, fusion, parts, labels, fused, chosen_on)


def _averaged(
    section: FusionSection, predicted: pd.DataFrame, parts: Mapping[str, Array]
) -> tuple[Fusion, FusionRecord]:
    validation = (predicted["split"] == Split.validation).to_numpy()
    chosen = {part: found[validation] for part, found in parts.items()}
    labels = predicted.loc[validation, "label"].to_numpy().astype(int)
    fusion = average(chosen, labels)
    fused = fusion.predict(chosen)
    return fusion, _record(section, fusion, chosen, labels, fused, "the validation rows")


def _record(
    section: FusionSection,
    fusion: Fusion,
    parts: Mapping[str, Array],
    labels: Array,
    fused: Array,
    chosen_on: str,
) -> FusionRecord:
    return FusionRecord(
        arm=section.arm,
        members=section.members,
        method=section.method,
        words=fusion.words,
        weights=dict(zip(fusion.parts, fusion.weights, strict=False)),
        chosen_on=chosen_on,
        rows=len(labels),
        folds=section.folds if section.method == "stacked" else 0,
        losses={part: log_loss(found, labels) for part, found in parts.items()},
        fused_loss=log_loss(fused, labels),
    )


def _saved_parts(experiment: Experiment, section: FusionSection, predicted: pd.DataFrame) -> Parts:
    """Return what the arm's artefact predicted for the rows, in their order."""
    paths = experiment.paths.run(section.arm)
    frames = [read_frame(paths.predictions(split)) for split in predicted["split"].unique()]
    saved = pd.concat(frames).set_index("row").loc[predicted["row"]]
    columns = {str(column): saved[column].to_numpy() for column in saved.columns}
    return {section.arm: probabilities_of(columns, len(experiment.facts.classes))}


def _predict_afresh(experiment: Experiment, paths: RunPaths, leaked: frozenset[str]) -> None:
    """Load the saved fusion in a second process, which writes its predictions."""
    root = experiment.paths.root
    job = FreshJob(
        task=experiment.task.name,
        facts=experiment.facts,
        splits=str(experiment.paths.splits),
        leaked=tuple(sorted(leaked)),
        artefacts=(FreshArtefact(str(paths.root), str(paths.model), None),),
        answer=str(root / "fresh_answer.json"),
        costs=experiment.costs,
    )
    predict_in_fresh_process(job, root)
