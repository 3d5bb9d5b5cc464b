"""Tables put together to one data set: roles, checks, ids and splits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from graft.config.recipe import DataSection, TaskName
from graft.core.errors import DataError, Problem
from graft.core.facts import RowFacts
from graft.core.roles import Split
from graft.data.badrows import settle
from graft.data.checks import check_rows
from graft.data.classes import alike, classes_of, unlearnable
from graft.data.columns import ALIASES, SPAN_ROLES, assign_columns, missing_column
from graft.data.dataset import Dataset
from graft.data.readers import Table
from graft.data.reading import Layout, layout_of, name_problems
from graft.data.sampling import drawn_rows
from graft.data.series import COLUMN, channel_names
from graft.data.splits import WORDS, deal
from graft.data.tabular import with_numbers

NO_VALIDATION = (
    "there are no validation rows: the last weights are kept and thresholds are chosen on "
    "training rows"
)


@dataclass(frozen=True, eq=False)
class Source:
    """One file (or frame) and what its rows are for.

    Args:
        split: What the recipe names it as.
        prefix: First part of the ids of its rows.
        table: Its records.
    """

    split: Split
    prefix: str
    table: Table


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
    layout = layout_of(section, task)
    columns, notes, found = _columns(sources, section, layout)
    if columns and not found:
        tables = [source.table for source in sources]
        layout, typed, found = with_numbers(layout, tables, section.slices)
        notes += typed
        if layout.series:
            layout, found = _with_channels(layout, tables, columns[COLUMN])
    problems = problems + found
    parts = []
    for source in sources if columns and not found else ():
        try:
            part, left_out = _part(source, columns, section, layout)
            parts.append(part)
            notes += left_out
        except DataError as error:
            problems += error.problems
    problems += _kinds_of_time(parts, columns)
    if problems:
        raise DataError("data", problems)
    frame, drawn = _drawn(pd.concat(parts, ignore_index=True), section, seed, layout)
    frame, facts = _with_classes(frame, columns["label"], section, layout)
    frame["split"], method = _splits(frame, section, seed, facts)
    strange = unlearnable(frame, facts.classes) if facts.classes else []
    if strange:
        raise DataError("data", strange)
    notes += [*drawn, *alike(facts.classes)]
    if not (frame["split"] == Split.validation.value).any():
        notes.append(NO_VALIDATION)
    read = {*columns.values(), *section.slices, *layout.named}
    existing = dict.fromkeys(name for source in sources for name in source.table.frame.columns)
    ignored = tuple(name for name in existing if name not in read)
    return Dataset(frame, columns, section.slices, ignored, method, facts, tuple(notes))


def _columns(
    sources: list[Source], section: DataSection, layout: Layout
) -> tuple[dict[str, str], list[str], list[Problem]]:
    """Return role to column for all tables, what to note, and what is wrong."""
    if not sources:
        return {}, [], []
    first = sources[0].table
    named = dict.fromkeys((*layout.named, *section.slices))
    try:
        columns, problems = _assigned(first, section, layout), []
    except DataError as error:
        columns, problems = {}, list(error.problems)
    asked = {ALIASES.get(role, role) for role in section.columns}
    notes = []
    problems += name_problems(layout, section.slices, columns)
    for role in [role for role in layout.optional if role in columns and role not in asked]:
        column = columns[role]
        lacking = [s.table.name for s in sources if column not in s.table.frame.columns]
        if lacking:
            del columns[role]
            notes.append(f"column '{column}' is not used as {role}: {lacking} have none")
        else:
            notes.append(f"column '{column}' is taken as {role} because of its name")
    problems += _absent(sources, [*dict.fromkeys([*columns.values(), *named])])
    return columns, notes, problems


def _assigned(table: Table, section: DataSection, layout: Layout) -> dict[str, str]:
    # A slice may be a group too, but no label.
    free = {name for role in layout.optional for name in layout.customary[role]}
    slices = [name for name in section.slices if name.lower() not in free]
    return assign_columns(
        list(table.frame.columns),
        section.columns,
        table.name,
        layout.required,
        layout.optional,
        customary=layout.customary,
        taken=(*layout.named, *slices) if layout.classes else (),
    )


def _absent(sources: Iterable[Source], wanted: list[str]) -> list[Problem]:
    problems = []
    for table in [source.table for source in sources]:
        existing = list(table.frame.columns)
        absent = [column for column in wanted if column not in existing]
        problems += [missing_column(table.name, column, existing) for column in absent]
    return problems


def _kinds_of_time(parts: list[pd.DataFrame], columns: dict[str, str]) -> list[Problem]:
    """Return where times are numbers in one place and dates in another."""
    problems = []
    for roles in (("time",), SPAN_ROLES):
        known = [role for role in roles if role in columns]
        if len({part[role].dtype for part in parts for role in known}) > 1:
            names = " or ".join(f"'{columns[role]}'" for role in known)
            what = f"column {names} holds numbers in one file and dates in another"
            problems.append(Problem("data", what, "write the times in one way"))
    return problems


def _with_channels(
    layout: Layout, tables: list[Table], column: str
) -> tuple[Layout, list[Problem]]:
    """Return the layout with the names of the channels, and the rows that have others."""
    read = [(table.name, table.source_rows, table.frame[column]) for table in tables]
    names, problems = channel_names(read, layout.channels)
    return replace(layout, channels=names), problems


def _part(
    source: Source, columns: dict[str, str], section: DataSection, layout: Layout
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the good rows of one table under their names, and the notes on the others."""
    table = source.table
    names = {**columns, **{name: name for name in (*layout.named, *section.slices)}}
    picked = pd.DataFrame({name: table.frame[column] for name, column in names.items()})
    clean, bad = check_rows(picked, table.source_rows, section.label_range, layout)
    notes = settle(table.name, bad, section.on_bad_rows)
    if clean.empty:
        what = f"none of its {len(picked)} rows can be used"
        raise DataError(table.name, [Problem(table.name, what, f"mend them; {notes[1]}")])
    if layout.series and "end" in clean and "time" not in clean:
        clean["time"] = clean["end"]
    source_rows = table.source_rows[clean.index]
    own = pd.DataFrame(
        {
            "row": [f"{source.prefix}:{row}" for row in source_rows],
            "split": source.split.value,
            "source": table.name,
            "source_row": source_rows,
        }
    )
    return pd.concat([own, clean.reset_index(drop=True)], axis=1), (*table.notes, *notes)


def _drawn(
    frame: pd.DataFrame, section: DataSection, seed: int, layout: Layout
) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame with no more training rows than the recipe wants, and the note on that."""
    training = np.flatnonzero(frame["split"] == Split.train.value)
    if section.max_rows is None or len(training) <= section.max_rows:
        return frame, []
    whole = "group" if section.split.method == "grouped" and "group" in frame else None
    rows = frame.iloc[training]
    by = "label" if layout.classes else None
    kept = drawn_rows(rows, section.max_rows, seed, by=by, whole=whole)
    notes = [f"{len(kept):,} of {len(training):,} rows, drawn by seed {seed} (data.max_rows)"]
    lost = sorted(set(rows["label"]) - set(rows["label"].iloc[kept])) if layout.classes else []
    if lost:
        notes.append(f"no row of the classes {lost} was drawn")
    others = np.flatnonzero(frame["split"] != Split.train.value)
    return frame.iloc[np.sort([*training[kept], *others])].reset_index(drop=True), notes


def _with_classes(
    frame: pd.DataFrame, column: str, section: DataSection, layout: Layout
) -> tuple[pd.DataFrame, RowFacts]:
    """Return the frame with the place of its class for a label, and the facts."""
    if not layout.classes:
        return frame, layout.facts(())
    classes = classes_of(frame["label"], column, section.positive)
    places = {name: float(place) for place, name in enumerate(classes)}
    return frame.assign(label=frame["label"].map(places).astype(float)), layout.facts(classes)


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
