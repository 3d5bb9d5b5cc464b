"""Tables put together to one data set: classes, draws and splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from graft.config.data import DataSection, TaskName
from graft.core.errors import DataError, Problem
from graft.core.facts import MULTI_LABEL, SINGLE_LABEL, RowFacts
from graft.core.roles import Split
from graft.data.classes import alike, classes_of, unlearnable
from graft.data.dataset import Dataset
from graft.data.joining import Source, join
from graft.data.label_sets import label_names, with_label_columns
from graft.data.reading import Layout, layout_of
from graft.data.sampling import drawn_rows
from graft.data.splits import WORDS, deal
from graft.data.targets import target_notes

NO_VALIDATION = (
    "there are no validation rows: the last weights are kept and thresholds are chosen on "
    "training rows"
)


def assemble(
    sources: list[Source],
    section: DataSection,
    seed: int,
    problems: list[Problem],
    task: TaskName = "pairs",
) -> Dataset:
    """Return the data set that the tables make, with what a person should know about it.

    Args:
        sources: Tables that could be read, train first.
        section: Columns, slices, splits and what to do with bad rows.
        seed: Seed of the splits.
        problems: What is wrong with the files that could not be read.
        task: Kind of task.

    Raises:
        DataError: `problems`, and whatever is wrong with columns and rows of the tables.
    """
    joined = join(sources, section, layout_of(section, task), problems)
    columns, layout, notes = joined.columns, joined.layout, list(joined.notes)
    frame, drawn = _drawn(joined.frame, section, seed, layout)
    frame, facts, found_notes = _labelled(frame, columns["label"], section, layout)
    frame["split"], method = _splits(frame, section, seed, facts)
    strange = unlearnable(frame, facts) if facts.classes else []
    if strange:
        raise DataError("data", strange)
    notes += [*drawn, *alike(facts.classes), *found_notes]
    if not (frame["split"] == Split.validation.value).any():
        notes.append(NO_VALIDATION)
    read = {*columns.values(), *section.slices, *layout.named}
    existing = dict.fromkeys(name for source in sources for name in source.table.frame.columns)
    ignored = tuple(name for name in existing if name not in read)
    return Dataset(frame, columns, section.slices, ignored, method, facts, tuple(notes))


def _drawn(
    frame: pd.DataFrame, section: DataSection, seed: int, layout: Layout
) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame with no more training rows than the recipe wants, and the note on that."""
    training = np.flatnonzero(frame["split"] == Split.train.value)
    if section.max_rows is None or len(training) <= section.max_rows:
        return frame, []
    whole = "group" if section.split.method == "grouped" and "group" in frame else None
    rows = frame.iloc[training]
    by = "label" if layout.problem_type == SINGLE_LABEL else None
    kept = drawn_rows(rows, section.max_rows, seed, by=by, whole=whole)
    notes = [f"{len(kept):,} of {len(training):,} rows, drawn by seed {seed} (data.max_rows)"]
    lost = _names(rows["label"], layout) - _names(rows["label"].iloc[kept], layout)
    if lost:
        notes.append(f"no row of the classes {sorted(lost)} was drawn")
    others = np.flatnonzero(frame["split"] != Split.train.value)
    return frame.iloc[np.sort([*training[kept], *others])].reset_index(drop=True), notes


def _names(labels: pd.Series[Any], layout: Layout) -> set[str]:
    """Return the names of the classes among labels as they were read."""
    if layout.problem_type == SINGLE_LABEL:
        return set(labels)
    return set().union(*labels) if layout.problem_type == MULTI_LABEL else set()


def _labelled(
    frame: pd.DataFrame, column: str, section: DataSection, layout: Layout
) -> tuple[pd.DataFrame, RowFacts, list[str]]:
    """Return the frame with its labels as numbers, the facts, and what to note.

    One class is its place; several labels are their number, and a column of 0 and 1 for each.
    """
    match layout.problem_type:
        case None:
            return frame, layout.facts(()), []
        case "regression":
            return frame, layout.facts(()), target_notes(frame["label"], column)
        case "multi_label_classification":
            facts = layout.facts(label_names(frame["label"].tolist(), column))
            return with_label_columns(frame, facts), facts, []
        case _:
            classes = classes_of(frame["label"], column, section.positive)
            places = {name: float(place) for place, name in enumerate(classes)}
            numbers = frame["label"].map(places).astype(float)
            return frame.assign(label=numbers), layout.facts(classes), []


def _splits(
    frame: pd.DataFrame, section: DataSection, seed: int, facts: RowFacts
) -> tuple[np.ndarray, str]:
    """Return the split of each row and the method in words."""
    splits = frame["split"].to_numpy(dtype=object, copy=True)
    given = [split for split in Split if (splits == split.value).any()]
    wanted = tuple(split for split in Split if split not in given)
    ours = splits == Split.train.value
    splits[ours] = deal(frame[ours].reset_index(drop=True), section.split, seed, wanted, facts)
    shares = {Split.validation: section.split.validation, Split.test: section.split.test}
    words = [f"{', '.join(split.value for split in given)} from files"] if wanted else []
    for split in wanted:
        base = "the rows" if split is Split.test else "the training rows"
        share = f"{shares[split]:.3g} of {base}, {WORDS[section.split.method]} (seed {seed})"
        words.append(f"{split.value}: {share if shares[split] else 'none'}")
    return splits, "; ".join(words) or "as the files give it"
