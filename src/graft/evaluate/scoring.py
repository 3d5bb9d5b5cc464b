"""From per-row predictions to scores with intervals: whole splits, clean rows and slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from graft.core.roles import Role, Split
from graft.core.scores import Score, ScoreBook, Scores
from graft.core.seeds import generator
from graft.metrics.measures import Measure
from graft.metrics.resampling import Interval, interval, resample

_MIN_SLICE = 5


@dataclass(frozen=True)
class ScoringSettings:
    """How a run is scored.

    Args:
        measures: What to compute.
        slices: Columns whose values are scored one by one on the test split.
        resamples: Bootstrap resamples per interval.
        alpha: One minus the coverage of the intervals.
        seed: The experiment's seed.
        threshold_note: How the decision threshold was chosen.
    """

    measures: tuple[Measure, ...]
    slices: tuple[str, ...]
    resamples: int
    alpha: float
    seed: int
    threshold_note: str


def score_book(
    run: str,
    role: Role,
    frames: dict[Split, pd.DataFrame],
    settings: ScoringSettings,
    extra: Sequence[Score] = (),
) -> ScoreBook:
    """Return all scores of one run.

    Args:
        run: Its name.
        role: Arm or baseline.
        frames: Predictions per split.
        settings: What to compute.
        extra: Scores on the test split that come from elsewhere, such as cluster purity.
    """
    books = []
    for split, frame in frames.items():
        scores = _score(run, role, split, "all", frame, settings)
        if split == Split.test:
            scores = Scores(run, role, split, "all", (*scores.items, *extra))
        books.append(scores)
        if split == Split.test and frame["leaked"].any():
            books.append(_score(run, role, split, "clean", frame[~frame["leaked"]], settings))
        if split == Split.test:
            books += [
                _score(run, role, split, f"{column}={value}", part, settings, intervals=False)
                for column in settings.slices
                for value, part in frame.groupby(column, sort=True)
                if len(part) >= _MIN_SLICE
            ]
    return ScoreBook(tuple(books))


def _score(
    run: str,
    role: Role,
    split: Split,
    subset: str,
    frame: pd.DataFrame,
    settings: ScoringSettings,
    *,
    intervals: bool = True,
) -> Scores:
    columns = prediction_columns(frame)
    rows = len(frame)
    samples = {}
    if intervals:
        rng = generator(settings.seed, "scores", split, subset)
        samples = resample(settings.measures, {run: columns}, settings.resamples, rng)[run]
    items = []
    decided = "threshold" in columns
    for measure in settings.measures:
        name, value = measure.metric.name, measure.compute(columns)
        if value is None:
            items.append(Score(name, None, None, None, rows, "not defined on these rows"))
            continue
        note = settings.threshold_note if decided and "threshold" in measure.exchange else ""
        found = interval(samples[name], settings.alpha) if intervals else Interval(None, None, 0)
        items.append(Score(name, value, found.low, found.high, rows, note))
    return Scores(run, role, split, subset, tuple(items))


def prediction_columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the numeric columns of a prediction frame as arrays, one entry per row."""
    names = [n for n in frame.columns if pd.api.types.is_numeric_dtype(frame[n]) and n != "leaked"]
    return {name: frame[name].to_numpy(dtype=np.float64) for name in names}
