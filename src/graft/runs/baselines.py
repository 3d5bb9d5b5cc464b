"""The stage that runs the baselines: predictions on the same rows as every arm."""

from __future__ import annotations

import gc
from functools import lru_cache, partial

import pandas as pd

from graft.core.experiment import BASE_RUN
from graft.core.files import write_json
from graft.core.roles import Split
from graft.data.sampling import rows_per_class
from graft.evaluate.encoding import encode as encoded
from graft.evaluate.fresh import save_embeddings
from graft.evaluate.predictions import (
    decision_split,
    rows_to_predict,
    write_predictions,
)
from graft.evaluate.spread import text_spread
from graft.models.threads import suitable_threads
from graft.runs.experiment import Experiment, require_made
from graft.tasks.protocol import Array, BaselineRows


def run_baselines(
    experiment: Experiment, rows: pd.DataFrame, leaked: frozenset[str], names: tuple[str, ...]
) -> None:
    """Write the predictions of the baselines `names`; those that are there already stay."""
    missing = [n for n in names if not experiment.paths.run(n).predictions(Split.test).is_file()]
    if not missing:
        return
    predicted = rows_to_predict(rows)
    train = rows[rows["split"] == Split.train].reset_index(drop=True)

    @lru_cache(maxsize=4)
    def encode_by_split(splits: tuple[str, ...]) -> dict[str, Array]:
        part = rows[rows["split"].isin(splits)].reset_index(drop=True)
        found = experiment.task.encode_base(
            require_made(experiment.base()), part, partial(encoded, precision="fp32")
        )
        return dict(found)

    def encode(part: pd.DataFrame) -> dict[str, Array]:
        splits = tuple(part["split"].unique())
        places = pd.Index(rows.loc[rows["split"].isin(splits), "row"]).get_indexer(part["row"])
        return {name: values[places] for name, values in encode_by_split(splits).items()}

    def context(few: int | None) -> BaselineRows:
        return BaselineRows(
            train=rows_per_class(train, few, experiment.recipe.seed),
            predicted=predicted,
            encode=encode,
            seed=experiment.recipe.seed,
            facts=experiment.facts,
        )

    deciding = decision_split(predicted)
    for name in missing:
        paths = experiment.paths.run(name)
        with suitable_threads():
            kind, _, few = name.partition("@")
            baseline = experiment.task.baselines[kind]
            columns = baseline.predict(context(int(few) if few else None))
        files = {split: paths.predictions(split) for split in (deciding, Split.test)}
        write_predictions(experiment.task, predicted, columns, files, leaked)
        save_embeddings(paths, columns, predicted)
        if name == BASE_RUN:
            write_json(paths.spread, text_spread(predicted, columns))
    gc.collect()  # the base model is held by cycles; the first arm must not start on top of it
