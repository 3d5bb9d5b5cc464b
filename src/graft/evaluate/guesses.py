"""Whether a pretraining learned anything: its model against guesses that need none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from graft.core.pretraining import NAME
from graft.core.verdicts import Comparison
from graft.evaluate.comparison import ComparisonSettings, compare
from graft.metrics.measures import Columns, Measure

RESAMPLES, ALPHA = 2000, 0.05


def against_guesses(
    model: Columns,
    guesses: Mapping[str, Mapping[str, Columns]],
    measures: Sequence[Measure],
    rows: Sequence[str],
    seed: int,
) -> Comparison:
    """Return the model against every guess of every objective, on the held-out rows.

    The headline has one entry for each objective: against the guess that is best on these rows.

    Args:
        model: Predicted columns of the model.
        guesses: Objective to guess to its columns.
        measures: The measure of each objective that is guessed, in their order.
        rows: Ids of the rows.
        seed: The experiment's seed.
    """
    found = []
    for measure, (_, columns) in zip(measures, guesses.items(), strict=True):
        runs = {NAME: model, **columns}
        frames = {
            name: pd.DataFrame({"row": rows, "label": 0.0, **{k: v[k] for k in _reads(columns)}})
            for name, v in runs.items()
        }
        errors = {name: measure.compute(column) for name, column in columns.items()}
        known = {name: np.inf if error is None else error for name, error in errors.items()}
        best = min(known, key=lambda name: known[name])
        primary = measure.metric.name
        settings = ComparisonSettings(primary, best, (NAME,), RESAMPLES, ALPHA, seed)
        found.append(compare(frames, measures=[measure], settings=settings))
    return Comparison(
        primary=measures[0].metric.name,
        alpha=ALPHA,
        headline=tuple(item for part in found for item in part.headline),
        pairs=tuple(item for part in found for item in part.pairs),
        gates=(),
    )


def _reads(columns: Mapping[str, Columns]) -> list[str]:
    return list(next(iter(columns.values())))
