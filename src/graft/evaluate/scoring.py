"""From per-row predictions to scores with intervals: whole splits, clean rows and slices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from graft.core.roles import Role, Split
from graft.core.scores import Metric, Score, ScoreBook, Scores
from graft.metrics.measures import Measure
from graft.metrics.replicates import Sampling, resample_means
from graft.metrics.resampling import Interval, interval
from graft.metrics.significance import mean_of

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
    frames: Sequence[Mapping[Split, pd.DataFrame]],
    settings: ScoringSettings,
    extra: Sequence[Score] = (),
) -> ScoreBook:
    """Return all scores of one run.

    Args:
        run: Its name.
        role: Arm or baseline.
        frames: Predictions per split, for each seed that it was trained with.
        settings: What to compute.
        extra: Scores on the test split that come from elsewhere, such as cluster purity.
    """
    books = []
    for split in frames[0]:
        seeds = [parts[split] for parts in frames]
        scores = _score(run, role, split, "all", seeds, settings)
        if split == Split.test:
            scores = Scores(run, role, split, "all", (*scores.items, *extra))
        books.append(scores)
        if split != Split.test:
            continue
        if seeds[0]["leaked"].any():
            clean = [frame[~frame["leaked"]] for frame in seeds]
            books.append(_score(run, role, split, "clean", clean, settings))
        books += [
            _score(run, role, split, f"{column}={value}", parts, settings, intervals=False)
            for column in settings.slices
            for value, parts in _slices(seeds, column)
        ]
    return ScoreBook(tuple(books))


def _slices(
    seeds: Sequence[pd.DataFrame], column: str
) -> Iterator[tuple[object, list[pd.DataFrame]]]:
    """Yield each value of a column with its rows of every seed, where there are enough."""
    for value, part in seeds[0].groupby(column, sort=True):
        if len(part) >= _MIN_SLICE:
            yield value, [part, *(frame[frame[column] == value] for frame in seeds[1:])]


def _score(
    run: str,
    role: Role,
    split: Split,
    subset: str,
    seeds: Sequence[pd.DataFrame],
    settings: ScoringSettings,
    *,
    intervals: bool = True,
) -> Scores:
    columns = [prediction_columns(frame) for frame in seeds]
    rows = len(seeds[0])
    samples = {}
    if intervals:
        sampling = Sampling(settings.resamples, settings.alpha, settings.seed)
        stream = ("scores", split, subset)
        samples = resample_means(settings.measures, {run: columns}, sampling, *stream)[run]
    items = []
    decided = "threshold" in columns[0]
    for measure in settings.measures:
        name = measure.metric.name
        values = tuple(measure.compute(own) for own in columns)
        value, by_seed = mean_of(values), values if len(values) > 1 else ()
        if value is None:
            note = "not defined on these rows"
            items.append(Score(name, None, None, None, rows, note, by_seed))
            continue
        note = settings.threshold_note if decided and "threshold" in measure.exchange else ""
        found = interval(samples[name], settings.alpha) if intervals else Interval(None, None, 0)
        low, high = (_possible(measure.metric, end) for end in (found.low, found.high))
        items.append(Score(name, value, low, high, rows, note, by_seed))
    return Scores(run, role, split, subset, tuple(items))


def _possible(metric: Metric, end: float | None) -> float | None:
    """Return the end of an interval; what seeds widen beyond the metric's range is cut off."""
    if end is None:
        return None
    low = -math.inf if metric.low is None else metric.low
    high = math.inf if metric.high is None else metric.high
    return min(max(end, low), high)


def prediction_columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the numeric columns of a prediction frame as arrays, one entry per row."""
    names = [n for n in frame.columns if pd.api.types.is_numeric_dtype(frame[n]) and n != "leaked"]
    return {name: frame[name].to_numpy(dtype=np.float64) for name in names}
