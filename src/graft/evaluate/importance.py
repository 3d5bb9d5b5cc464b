"""How much each column counts: the metric falls when the column is shuffled between the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from graft.core.facts import RowFacts
from graft.core.reasons import ColumnImportance, Importance
from graft.core.seeds import generator
from graft.metrics.measures import Measure
from graft.metrics.resampling import Interval, interval, resample
from graft.tasks.class_outputs import answers
from graft.tasks.protocol import Array

PERMUTATIONS = 10
MOST_ROWS = 400
# Characters that a text model reads for one text column: some twenty seconds of a small one.
MOST_CHARACTERS = 250_000
FEWEST_ROWS = 50  # of a text column; on fewer the metric is mostly chance
RESAMPLES = 100  # of the rows, for each permutation
AT_ONCE = 20_000  # rows of one call, so that memory stays bounded


@dataclass(frozen=True)
class Part:
    """One model of a prediction.

    Args:
        predict: Rows to probabilities of shape (rows, classes), or to numbers of shape (rows, 1).
        reads: Columns that it reads; shuffling another one cannot change it.
    """

    predict: Callable[[pd.DataFrame], Array]
    reads: frozenset[str]


@dataclass(frozen=True)
class Subject:
    """What is asked: a model, or several whose outputs are merged.

    Args:
        parts: The models, by name.
        merge: Outputs of every part to those of the prediction.
        facts: Columns, classes, and what the label is.
        threshold: Where it decides, None where decisions need no threshold.
    """

    parts: Mapping[str, Part]
    merge: Callable[[Mapping[str, Array]], Array]
    facts: RowFacts
    threshold: float | None = None

    @property
    def reads(self) -> frozenset[str]:
        """Columns that any part reads."""
        return frozenset[str]().union(*(part.reads for part in self.parts.values()))

    def columns(self, rows: pd.DataFrame, found: Mapping[str, Array]) -> dict[str, Array]:
        """Return what measures read, of the rows and the outputs that the parts give."""
        columns = answers(self.merge(found), self.facts.problem_type)
        for name in ("label", *self.facts.label_columns):
            columns[name] = rows[name].to_numpy(dtype=np.float64)
        if self.threshold is not None:
            columns["threshold"] = np.full(len(rows), self.threshold)
        return columns


@dataclass(frozen=True)
class _Shuffle:
    """Column `column` of the first `len(order)` rows in another order, the `index`-th of it."""

    column: str
    index: int
    order: Array

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        part = rows.iloc[: len(self.order)]
        return part.assign(**{self.column: part[self.column].to_numpy()[self.order]})


def permutation_importance(
    subject: Subject, rows: pd.DataFrame, measure: Measure, seed: int
) -> Importance:
    """Return how much the measure loses by each column that the subject reads (Breiman 2001).

    A part whose columns stay as they are is not asked again. The interval is the percentile one
    over permutations and bootstrap resamples of the rows together.

    Args:
        subject: What is asked.
        rows: Test rows with label, texts and table columns.
        measure: What is measured.
        seed: The experiment's seed.
    """
    drawn = generator(seed, "reasons", "rows").permutation(len(rows))[:MOST_ROWS]
    sample = rows.iloc[drawn].reset_index(drop=True)
    facts = subject.facts
    counts = _rows_of(sample, facts, subject.reads)
    shuffles = {
        column: [
            _Shuffle(column, index, generator(seed, "reasons", column, index).permutation(count))
            for index in range(PERMUTATIONS)
        ]
        for column, count in counts.items()
        if count
    }
    every = [shuffle for group in shuffles.values() for shuffle in group]
    plain = {name: part.predict(sample) for name, part in subject.parts.items()}
    changed = {name: _shuffled(part, sample, every) for name, part in subject.parts.items()}
    items = []
    for column, count in counts.items():
        kind = _kind(column, facts)
        if not count:
            note = f"fewer than {FEWEST_ROWS} rows of such long texts could be predicted"
            items.append(ColumnImportance(column, kind, None, None, None, 0, note))
            continue
        part = sample.iloc[:count]
        whole = {name: found[:count] for name, found in plain.items()}
        mixed = [
            subject.columns(part, {n: changed[n].get((column, index), whole[n]) for n in plain})
            for index in range(PERMUTATIONS)
        ]
        rng = generator(seed, "reasons", column, "resamples")
        drop, ends = _drop(measure, subject.columns(part, whole), mixed, rng)
        items.append(ColumnImportance(column, kind, drop, ends.low, ends.high, count))
    return Importance(
        metric=measure.metric.name,
        value=measure.compute(subject.columns(sample, plain)),
        rows=len(sample),
        test_rows=len(rows),
        permutations=PERMUTATIONS,
        columns=tuple(sorted(items, key=lambda item: (item.drop is None, -(item.drop or 0.0)))),
    )


def _rows_of(sample: pd.DataFrame, facts: RowFacts, reads: frozenset[str]) -> dict[str, int]:
    """Return on how many rows each column is shuffled, 0 where texts are too long for it."""
    characters = sum(float(sample[name].str.len().mean()) for name in facts.texts)
    affordable = int(MOST_CHARACTERS / (PERMUTATIONS * max(characters, 1.0)))
    of_texts = min(len(sample), affordable)
    if of_texts < min(FEWEST_ROWS, len(sample)):
        of_texts = 0
    counts = dict.fromkeys(facts.texts, of_texts) | dict.fromkeys(facts.table, len(sample))
    return {name: count for name, count in counts.items() if name in reads}


def _kind(column: str, facts: RowFacts) -> str:
    if column in facts.texts:
        return "text"
    return "number" if column in facts.numbers else "category"


def _shuffled(
    part: Part, sample: pd.DataFrame, shuffles: Iterable[_Shuffle]
) -> dict[tuple[str, int], Array]:
    """Return the probabilities after each shuffle that the part can see, by column and index."""
    found = dict[tuple[str, int], Array]()
    for group in _groups([s for s in shuffles if s.column in part.reads]):
        frame = pd.concat([shuffle.of(sample) for shuffle in group], ignore_index=True)
        ends = np.cumsum([len(shuffle.order) for shuffle in group])
        pieces = np.split(part.predict(frame), ends[:-1])
        found |= {(s.column, s.index): piece for s, piece in zip(group, pieces, strict=True)}
    return found


def _groups(shuffles: Sequence[_Shuffle]) -> Iterator[list[_Shuffle]]:
    group, rows = list[_Shuffle](), 0
    for shuffle in shuffles:
        if group and rows + len(shuffle.order) > AT_ONCE:
            yield group
            group, rows = [], 0
        group.append(shuffle)
        rows += len(shuffle.order)
    if group:
        yield group


def _drop(
    measure: Measure,
    plain: Mapping[str, Array],
    mixed: Sequence[Mapping[str, Array]],
    rng: np.random.Generator,
) -> tuple[float | None, Interval]:
    """Return the mean loss over the permutations and its interval; both None if undefined."""
    before, after = measure.compute(plain), [measure.compute(columns) for columns in mixed]
    known = [value for value in after if value is not None]
    if before is None or len(known) < len(after):
        return None, Interval(None, None, len(after) - len(known))
    sign = -1.0 if measure.metric.higher_is_better is False else 1.0
    runs = {"": plain, **{str(index): columns for index, columns in enumerate(mixed)}}
    name = measure.metric.name
    drawn = {run: found[name] for run, found in resample([measure], runs, RESAMPLES, rng).items()}
    losses = np.stack([sign * (drawn[""] - drawn[str(index)]) for index in range(len(mixed))])
    return sign * (before - float(np.mean(known))), interval(losses.ravel())
