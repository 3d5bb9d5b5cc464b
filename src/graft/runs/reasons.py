"""The stage that asks what decides: each column shuffled, and the words of a few test rows."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from graft.audits.evidence import read_frame
from graft.config.recipe import OF_TABLE
from graft.core.files import MANIFEST, read_json, sha256_file, write_json
from graft.core.layout import RunPaths
from graft.core.reasons import Importance, Reasons
from graft.core.roles import Split
from graft.core.scores import ScoreBook
from graft.data.storage import load_splits
from graft.evaluate.encoding import encode
from graft.evaluate.fusion_folder import load_fusion
from graft.evaluate.importance import Part, Subject, permutation_importance
from graft.evaluate.predictions import decision_split
from graft.evaluate.reasons import explain_rows, frequent_words
from graft.metrics import catalogue
from graft.models.heads import load_classifier
from graft.models.threads import suitable_threads
from graft.runs.experiment import Experiment
from graft.runs.folds import fit_member
from graft.tasks.class_columns import classified
from graft.tasks.class_outputs import outputs_of
from graft.tasks.protocol import Array

logger = logging.getLogger(__name__)


def explain_runs(experiment: Experiment) -> None:
    """Write what decides in a classification, for the runs that are meant to win.

    Columns are shuffled in every fusion; without one in the arms that read the table; without
    those in the baseline that reads it and does best on the rows that thresholds are chosen on; and
    without a table in the arms, if they read several texts. Words are left out of rows of every arm
    but the controls, where a row has one class. What is there and about the same model stays.

    Args:
        experiment: The experiment, bound to the facts of its rows, its runs scored.
    """
    recipe = experiment.recipe
    if recipe.task != "classification" or not recipe.evaluation.reasons:
        return
    fused = [n for n in recipe.fusion if experiment.paths.run(n).predictions(Split.test).is_file()]
    arms = [
        name
        for name, arm in recipe.arms.items()
        if arm.control == "none" and experiment.paths.run(name).predictions(Split.test).is_file()
    ]
    with suitable_threads():
        for name in arms:
            _once(experiment, name, partial(_of_arm, experiment, name))
        for name in fused:
            _once(experiment, name, partial(_of_fusion, experiment, name))
        if experiment.facts.table and not recipe.fusion and not _arms_of_table(experiment):
            name = _best_of_table(experiment)
            if name:
                _once(experiment, name, partial(_of_baseline, experiment, name))
    gc.collect()  # models are held by cycles


def _once(experiment: Experiment, name: str, explain: Callable[[str], Reasons]) -> None:
    paths = experiment.paths.run(name)
    manifest = paths.model / MANIFEST
    asked = sha256_file(manifest if manifest.is_file() else paths.predictions(Split.test))
    if paths.reasons.is_file() and read_json(paths.reasons, Reasons).sha256 == asked:
        return
    started = time.perf_counter()
    write_json(paths.reasons, explain(asked))
    logger.info("reasons of %s: %.1f s", name, time.perf_counter() - started)


def _arms_of_table(experiment: Experiment) -> list[str]:
    arms = experiment.recipe.arms.items()
    return [name for name, arm in arms if arm.classifier.table and arm.control == "none"]


def _of_arm(experiment: Experiment, name: str, sha256: str) -> Reasons:
    recipe, facts, paths = experiment.recipe, experiment.facts, experiment.paths.run(name)
    frame = read_frame(paths.predictions(Split.test))
    predict = _text_model(experiment, paths.model)
    rows = explain_rows(frame, facts, predict) if facts.one_class else ()
    importance = None
    several = not facts.table and len(facts.texts) > 1
    if not recipe.fusion and (name in _arms_of_table(experiment) or several):
        part = Part(predict, _read_by_arm(experiment, name))
        importance = _importance(experiment, {name: part}, lambda parts: parts[name], frame)
    return Reasons(sha256, importance, rows, frequent_words(rows))


def _of_fusion(experiment: Experiment, name: str, sha256: str) -> Reasons:
    paths = experiment.paths.run(name)
    loaded = load_fusion(paths.model)
    text = loaded.said.text
    parts = {text: Part(_text_model(experiment, loaded.model), _read_by_arm(experiment, text))}
    for member, fitted in loaded.members.items():
        parts[member] = Part(fitted.outputs, _read_by_baseline(experiment, member))
    frame = read_frame(paths.predictions(Split.test))
    return Reasons(sha256, _importance(experiment, parts, loaded.said.fusion.predict, frame))


def _of_baseline(experiment: Experiment, name: str, sha256: str) -> Reasons:
    """Fit the baseline once more, which gives the one that predicted."""
    rows = load_splits(experiment.paths.splits).frame
    train = rows[rows["split"] == Split.train].reset_index(drop=True)
    frame = read_frame(experiment.paths.run(name).predictions(Split.test))
    fitted = fit_member(experiment, name, train, frame)
    parts = {name: Part(fitted.outputs, _read_by_baseline(experiment, name))}
    return Reasons(sha256, _importance(experiment, parts, lambda found: found[name], frame))


def _importance(
    experiment: Experiment,
    parts: dict[str, Part],
    merge: Callable[..., Array],
    frame: pd.DataFrame,
) -> Importance:
    primary = experiment.recipe.evaluation.primary
    measure = next(m for m in experiment.task.measures if m.metric.name == primary)
    threshold = float(frame["threshold"].iloc[0]) if "threshold" in frame else None
    subject = Subject(parts, merge, experiment.facts, threshold)
    return permutation_importance(subject, frame, measure, experiment.recipe.seed)


def _text_model(experiment: Experiment, folder: Path) -> Callable[[pd.DataFrame], Array]:
    """Return what predicts rows by the classifier in a folder, which is loaded once."""
    model = load_classifier(folder)

    def predict(rows: pd.DataFrame) -> Array:
        # Packed, and in float32: the effect of a word can be smaller than bfloat16's rounding.
        columns = classified(model, rows, partial(encode, model.encoder, precision="fp32"))
        return outputs_of(columns, experiment.facts)

    return predict


def _read_by_arm(experiment: Experiment, name: str) -> frozenset[str]:
    table = experiment.facts.table if experiment.recipe.arms[name].classifier.table else ()
    return frozenset((*experiment.facts.texts, *table))


def _read_by_baseline(experiment: Experiment, name: str) -> frozenset[str]:
    kind, facts = name.partition("@")[0], experiment.facts
    texts = facts.texts if kind.startswith("tfidf") else ()
    return frozenset((*texts, *(facts.table if kind in OF_TABLE else ())))


def _best_of_table(experiment: Experiment) -> str:
    """Return the baseline that reads the table and does best, empty if there is none."""
    primary = experiment.recipe.evaluation.primary
    sign = -1.0 if catalogue.metric(primary).higher_is_better is False else 1.0
    values = {}
    for name in experiment.recipe.baselines:
        paths: RunPaths = experiment.paths.run(name)
        if name.partition("@")[0] in OF_TABLE and paths.scores.is_file():
            splits = load_splits(experiment.paths.splits).frame
            book = read_json(paths.scores, ScoreBook)
            value = book.on(decision_split(splits))[primary].value
            if value is not None:
                values[name] = sign * value
    return max(values, key=lambda name: values[name], default="")
