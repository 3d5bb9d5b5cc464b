"""The folds of a fusion: each part predicts rows that it did not see."""

from __future__ import annotations

import gc
import logging
import shutil

import numpy as np
import pandas as pd

from graft.audits.evidence import read_frame
from graft.config.evaluation import FusionSection
from graft.core.free_memory import FreeMemory
from graft.core.layout import RunPaths
from graft.core.roles import Split
from graft.data.sampling import rows_per_class
from graft.evaluate.predictions import predict
from graft.metrics.probabilities import probabilities_of
from graft.models.threads import suitable_threads
from graft.runs.arms import prepare_arm, training_job
from graft.runs.experiment import Experiment
from graft.tasks.class_baselines import CLASS_FITS, FittedBaseline
from graft.tasks.protocol import Array, BaselineRows
from graft.train.loop import train

logger = logging.getLogger(__name__)


def fold_of(
    experiment: Experiment,
    name: str,
    rows: pd.DataFrame,
    train_rows: pd.DataFrame,
    held: Array,
    place: int,
) -> pd.DataFrame:
    """Return every training row with the probabilities of those held out, trained or kept.

    Columns: `row`, `label`, `group` if there is one, `held`, `trained` (the row was among those
    that a model of this fold saw), and `<part>/p_<class>`, missing where a row was not held out.

    Args:
        experiment: The experiment, bound to the facts of its rows.
        name: The fusion.
        rows: All rows with their splits.
        train_rows: Training rows of the fusion.
        held: Shape (training rows,), True for the rows of this fold.
        place: 0, 1, … of the fold.
    """
    paths, section = experiment.paths.run(name), experiment.recipe.fusion[name]
    file = paths.folds / f"fold-{place}.parquet"
    if file.is_file():
        return read_frame(file)
    logger.info("fusion %s: fold %d of %d", name, place + 1, section.folds)
    others = train_rows[~held].reset_index(drop=True)
    out = train_rows[held].reset_index(drop=True)
    rest = rows[rows["split"] != Split.train]
    found, seen = _arm_without(
        experiment,
        section,
        pd.concat([others, rest], ignore_index=True),
        out,
        RunPaths(paths.folds / f"fold-{place}"),
    )
    parts = {section.arm: found}
    for member in section.members:
        parts[member] = fit_member(experiment, member, others, out).outputs(out)
    kept = [column for column in ("row", "label", "group") if column in train_rows]
    frame = train_rows[kept].assign(held=held)
    frame["row"] = frame["row"].astype(str)
    frame["trained"] = frame["row"].isin(seen | set(others["row"].astype(str)))
    columns = {
        f"{part}/p_{index}": pd.Series(values[:, index], index=frame.index[held])
        for part, values in parts.items()
        for index in range(values.shape[1])
    }
    frame = pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)
    partial = file.with_suffix(".partial")
    frame.to_parquet(partial, index=False)
    partial.replace(file)
    shutil.rmtree(paths.folds / f"fold-{place}", ignore_errors=True)
    return frame


def _arm_without(
    experiment: Experiment,
    section: FusionSection,
    rows: pd.DataFrame,
    out: pd.DataFrame,
    paths: RunPaths,
) -> tuple[Array, set[str]]:
    """Train the arm's recipe on `rows`; return its probabilities of `out`, and the rows it saw."""
    paths.root.mkdir(parents=True, exist_ok=True)
    prepared = prepare_arm(experiment, section.arm, rows)
    with suitable_threads(prepared.model, prepared.tokens_at_once):
        train(training_job(experiment, prepared, rows, paths))
        size = prepared.arm.training.per_device_eval_batch_size
        examples = experiment.task.prepare(out, prepared.model)
        columns = predict(experiment.task, prepared.model, examples, size)
    seen = {str(example.row) for example in prepared.examples}
    del prepared, examples
    gc.collect()
    FreeMemory().release(now=True)
    return probabilities_of(columns, len(experiment.facts.classes)), seen


def fit_member(
    experiment: Experiment, member: str, train_rows: pd.DataFrame, predicted: pd.DataFrame
) -> FittedBaseline:
    """Return the baseline `member`, `table@10` being `table` with 10 rows of each class, fitted.

    Args:
        experiment: The experiment, bound to the facts of its rows.
        member: Name of the baseline.
        train_rows: Rows to fit it to.
        predicted: Rows that it is going to predict.
    """
    kind, _, few = member.partition("@")
    seed = experiment.recipe.seed
    context = BaselineRows(
        train=rows_per_class(train_rows, int(few) if few else None, seed),
        predicted=predicted,
        encode=lambda _: {},  # what needs embeddings is no member
        seed=seed,
        facts=experiment.facts,
    )
    with suitable_threads():
        return CLASS_FITS[kind](context)


def part_of(frame: pd.DataFrame, part: str) -> Array:
    """Return the probabilities of one part in the frame of a fold, shape (rows, classes)."""
    columns = [column for column in frame.columns if column.startswith(f"{part}/p_")]
    return frame[columns].to_numpy(np.float64)
