"""Tables put together to one data set: roles, checks, ids and splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from graft.config.recipe import DataSection
from graft.core.errors import DataError, Problem
from graft.core.roles import Split
from graft.data.badrows import settle
from graft.data.checks import check_rows
from graft.data.columns import ALIASES, OPTIONAL_ROLES, PAIR_ROLES, assign_columns, missing_column
from graft.data.dataset import OWN_COLUMNS, Dataset
from graft.data.readers import Table
from graft.data.splits import WORDS, deal

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
    sources: list[Source], section: DataSection, seed: int, problems: list[Problem]
) -> tuple[Dataset, tuple[str, ...]]:
    """Return the data set that the tables make, and what a person should know about it.

    Args:
        sources: Tables that could be read, train first.
        section: Columns, slices, splits and what to do with bad rows.
        seed: Seed of the splits.
        problems: What is wrong with the files that could not be read.

    Raises:
        DataError: `problems`, and whatever is wrong with columns and rows of the tables.
    """
    columns, notes, found = _columns(sources, section)
    problems = problems + found
    parts = []
    for source in sources if columns and not found else ():
        try:
            part, left_out = _part(source, columns, section)
            parts.append(part)
            notes += left_out
        except DataError as error:
            problems += error.problems
    if "time" in columns and len({part["time"].dtype for part in parts}) > 1:
        what = f"column '{columns['time']}' holds numbers in one file and dates in another"
        problems.append(Problem("data", what, "write the times in one way"))
    if problems:
        raise DataError("data", problems)
    frame = pd.concat(parts, ignore_index=True)
    frame["split"], method = _splits(frame, section, seed)
    if not (frame["split"] == Split.validation.value).any():
        notes.append(NO_VALIDATION)
    read = {*columns.values(), *section.slices}
    existing = dict.fromkeys(name for source in sources for name in source.table.frame.columns)
    ignored = tuple(name for name in existing if name not in read)
    return Dataset(frame, columns, section.slices, ignored, method), tuple(notes)


def _columns(
    sources: list[Source], section: DataSection
) -> tuple[dict[str, str], list[str], list[Problem]]:
    """Return role to column for all tables, what to note, and what is wrong."""
    if not sources:
        return {}, [], []
    first = sources[0].table
    try:
        columns = assign_columns(list(first.frame.columns), section.columns, first.name)
    except DataError as error:
        return {}, [], list(error.problems)
    asked = {ALIASES.get(role, role) for role in section.columns}
    notes, problems = [], _slice_problems(section.slices, columns)
    for role in [role for role in OPTIONAL_ROLES if role in columns and role not in asked]:
        column = columns[role]
        lacking = [s.table.name for s in sources if column not in s.table.frame.columns]
        if lacking:
            del columns[role]
            notes.append(f"column '{column}' is not used as {role}: {lacking} have none")
        else:
            notes.append(f"column '{column}' is taken as {role} because of its name")
    for table in [source.table for source in sources]:
        existing = list(table.frame.columns)
        absent = [c for c in (*columns.values(), *section.slices) if c not in existing]
        problems += [missing_column(table.name, column, existing) for column in absent]
    return columns, notes, problems


def _slice_problems(slices: tuple[str, ...], columns: dict[str, str]) -> list[Problem]:
    taken = {*OWN_COLUMNS, *PAIR_ROLES, *OPTIONAL_ROLES}
    return [
        Problem(
            "recipe, data.slices",
            f"'{name}' is a name that the data set itself uses",
            "rename the column in the files",
        )
        for name in slices
        if name in taken and columns.get(name) != name
    ]


def _part(
    source: Source, columns: dict[str, str], section: DataSection
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the good rows of one table under their roles, and the notes on the others."""
    table = source.table
    names = {**columns, **{name: name for name in section.slices}}
    picked = pd.DataFrame({name: table.frame[column] for name, column in names.items()})
    clean, bad = check_rows(picked, table.source_rows, section.label_range)
    notes = settle(table.name, bad, section.on_bad_rows)
    if clean.empty:
        what = f"none of its {len(picked)} rows can be used"
        raise DataError(table.name, [Problem(table.name, what, f"mend them; {notes[1]}")])
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


def _splits(frame: pd.DataFrame, section: DataSection, seed: int) -> tuple[np.ndarray, str]:
    """Return the split of each row and the method in words."""
    splits = frame["split"].to_numpy(dtype=object, copy=True)
    given = [split for split in Split if (splits == split.value).any()]
    wanted = tuple(split for split in Split if split not in given)
    ours = splits == Split.train.value
    splits[ours] = deal(frame[ours].reset_index(drop=True), section.split, seed, wanted)
    shares = {Split.validation: section.split.validation, Split.test: section.split.test}
    words = [f"{', '.join(split.value for split in given)} from files"] if wanted else []
    for split in wanted:
        base = "the rows" if split is Split.test else "the training rows"
        share = f"{shares[split]:.3g} of {base}, {WORDS[section.split.method]} (seed {seed})"
        words.append(f"{split.value}: {share if shares[split] else 'none'}")
    return splits, "; ".join(words) or "as the files give it"
