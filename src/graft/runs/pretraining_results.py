"""What a pretraining leaves behind beside its weights: where it is from, and whether it learned."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from torch import nn

from graft.core.files import write_json
from graft.core.layout import PretrainingPaths
from graft.core.origins import LoadReport
from graft.core.pretraining import Pretraining
from graft.core.roles import Split
from graft.core.seeds import generator
from graft.core.tables import DataReport
from graft.evaluate.guesses import against_guesses
from graft.evaluate.predictions import predict
from graft.runs.experiment import Experiment
from graft.runs.resources import versions
from graft.tasks.pretraining import PretrainingTask
from graft.tasks.protocol import Example

_SHOWN_ROWS = 6


def write_judgement(
    paths: PretrainingPaths,
    task: PretrainingTask,
    model: nn.Module,
    held_out: Sequence[Example],
    batch_size: int,
    seed: int,
) -> None:
    """Write what the model makes of the held-out rows, beside what needs no model.

    Args:
        paths: Where to.
        task: What was learned.
        model: The pretrained model, with its heads.
        held_out: The rows.
        batch_size: Most rows of a batch.
        seed: The experiment's seed, which draws the rows that are shown.
    """
    columns = task.compared(predict(task, model, held_out, batch_size))
    rows = [example.row for example in held_out]
    guesses = task.guesses(model, held_out)
    comparison = against_guesses(columns, guesses, task.measures[1:], rows, seed)
    write_json(paths.comparison, comparison)
    place = paths.predictions(Split.validation)
    place.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"row": rows, **columns}).to_parquet(place, index=False)
    order = generator(seed, "shown").permutation(len(held_out))[:_SHOWN_ROWS]
    shown = task.shown(model, [held_out[place] for place in sorted(order)])
    if len(shown):
        shown.to_parquet(paths.shown, index=False)


def record_of(
    experiment: Experiment, task: PretrainingTask, report: DataReport, load: LoadReport
) -> Pretraining:
    """Return what is pretrained on what.

    Args:
        experiment: The experiment.
        task: What is learned.
        report: The report on the rows: to learn from, and held out.
        load: Where each tensor is from.
    """
    train, held_out = report.splits
    return Pretraining(
        experiment=experiment.recipe.name,
        kind=task.name,
        objectives=dict(task.objectives),
        settings=dict(task.settings),
        seed=experiment.recipe.seed,
        recipe_sha256=experiment.loaded.sha256,
        sources=train.sources,
        rows=train.rows,
        rows_sha256=train.fingerprint,
        held_out=held_out.rows,
        held_out_sha256=held_out.fingerprint,
        base=load.files,
        notes=report.notes,
        versions=versions(),
    )
