"""Tables joined to one frame: roles, clean cells and ids; all problems of all files at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from graft.config.data import DataSection
from graft.core.errors import DataError, Problem
from graft.core.roles import Split
from graft.data.badrows import settle
from graft.data.checks import check_rows
from graft.data.columns import ALIASES, SPAN_ROLES, assign_columns, missing_column
from graft.data.readers import Table
from graft.data.reading import Layout, name_problems
from graft.data.series import COLUMN, channel_names
from graft.data.tabular import with_numbers


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


@dataclass(frozen=True, eq=False)
class Joined:
    """The rows of all files in one frame.

    Args:
        frame: Clean rows under their names, with `row`, `split`, `source` and `source_row`.
        columns: Role to the name of its column in the files.
        layout: What the task reads, with what the values of the files say of it.
        notes: What a person should know.
    """

    frame: pd.DataFrame
    columns: dict[str, str]
    layout: Layout
    notes: tuple[str, ...]


def join(
    sources: list[Source], section: DataSection, layout: Layout, problems: list[Problem]
) -> Joined:
    """Return the good rows of all tables.

    Args:
        sources: Tables that could be read.
        section: Columns, slices and what to do with bad rows.
        layout: What the task reads.
        problems: What is wrong with the files that could not be read.

    Raises:
        DataError: `problems`, and whatever is wrong with columns and rows of the tables.
    """
    columns, notes, found = _columns(sources, section, layout)
    if columns and not found:
        tables = [source.table for source in sources]
        layout, typed, found = with_numbers(layout, tables, section.slices)
        notes += typed
        if layout.series:
            layout, odd = _with_channels(layout, tables, columns[COLUMN])
            found += odd
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
    return Joined(pd.concat(parts, ignore_index=True), columns, layout, tuple(notes))


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
        taken=() if layout.of_pairs else (*layout.named, *slices),
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
