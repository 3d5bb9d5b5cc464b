"""Which column plays which role: by the recipe, else by a customary name, never by a guess."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence

from graft.core.errors import DataError, Problem

CUSTOMARY: dict[str, tuple[str, ...]] = {
    "sentence1": (
        *("sentence1", "sentence_1", "text1", "text_1", "sentence_a", "text_a"),
        *("anchor", "premise", "query", "question", "question1"),
    ),
    "sentence2": (
        *("sentence2", "sentence_2", "text2", "text_2", "sentence_b", "text_b"),
        *("positive", "hypothesis", "answer", "document", "passage", "question2"),
    ),
    "label": ("label", "labels", "score", "scores"),
    "group": ("group", "group_id"),
    "time": ("time", "timestamp", "date"),
    "item": ("item", "item_id", "series_id", "unique_id"),
    "start": ("start", "start_time"),
    "end": ("end", "end_time"),
}
PAIR_ROLES = ("sentence1", "sentence2", "label")
OPTIONAL_ROLES = ("group", "time")
# When the window of a series begins and ends.
SPAN_ROLES = ("start", "end")
ALIASES = {"score": "label"}


def assign_columns(
    existing: Sequence[str],
    wanted: Mapping[str, str],
    where: str,
    required: Sequence[str] = PAIR_ROLES,
    optional: Sequence[str] = OPTIONAL_ROLES,
    *,
    customary: Mapping[str, Sequence[str]] = CUSTOMARY,
    taken: Collection[str] = (),
) -> dict[str, str]:
    """Return role to column: the columns that the recipe names, else those of a customary name.

    Args:
        existing: Columns of the file.
        wanted: Role to column as the recipe names them; `score` is another word for `label`.
        where: Name of the file, for errors.
        required: Roles that must be filled.
        optional: Roles that may be.
        customary: Role to the names by which its column is known, in lower case.
        taken: Columns that the recipe names for something else; only it can give them a role too.

    Raises:
        DataError: A role that does not exist, a column that does not, a role with two candidates
            or none, a column with two roles; all of them at once.

    Example:
        >>> assign_columns(["text_1", "text_2", "score", "colour"], {}, "pairs.csv")
        {'sentence1': 'text_1', 'sentence2': 'text_2', 'label': 'score'}
    """
    roles = (*required, *optional)
    assigned, problems = _named(existing, wanted, where, roles)
    for role in roles:
        if role in assigned:
            continue
        free = [column for column in existing if column not in {*assigned.values(), *taken}]
        found = [column for column in free if column.lower() in customary[role]]
        if len(found) == 1:
            assigned[role] = found[0]
        elif found:
            what = f"the columns {found} could each be '{role}'"
            problems.append(Problem(where, what, f"add to the recipe: {_line(role, found[0])}"))
        elif role in required:
            what = f"no column is known to be '{role}'; the columns are {list(existing)}"
            problems.append(Problem(where, what, f"add to the recipe: {_line(role, '…')}"))
    problems += _shared(assigned, where)
    if problems:
        raise DataError(where, problems)
    return {role: assigned[role] for role in roles if role in assigned}


def missing_column(where: str, column: str, existing: Sequence[str]) -> Problem:
    """Return the problem that `column` does not exist, with the nearest name that does.

    Example:
        >>> print(missing_column("a.csv", "lable", ["text", "label"]))
        a.csv: has no column 'lable'. Fix: did you mean 'label'?
    """
    return Problem(where, f"has no column '{column}'", nearest(column, existing, "it has"))


def nearest(name: str, known: Sequence[str], otherwise: str) -> str:
    """Return the fix for a name that does not exist.

    Example:
        >>> nearest("lable", ["text", "label"], "it has")
        "did you mean 'label'?"
        >>> nearest("x", ["text"], "it has")
        "it has ['text']"
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"{otherwise} {list(known)}"


def _named(
    existing: Sequence[str], wanted: Mapping[str, str], where: str, roles: Sequence[str]
) -> tuple[dict[str, str], list[Problem]]:
    """Return the roles that the recipe fills, and what is wrong with how it does."""
    assigned: dict[str, str] = {}
    problems: list[Problem] = []
    for asked, column in wanted.items():
        role = ALIASES.get(asked, asked)
        key = f"recipe, data.columns.{asked}"
        if role not in roles:
            fix = nearest(asked, [*roles, *ALIASES], "the roles are")
            problems.append(Problem(key, "is no role", fix))
            continue
        if role in assigned:
            problems.append(Problem(key, f"names '{role}' again", "keep one of the two"))
        elif column not in existing:
            problems.append(missing_column(where, column, existing))
        assigned.setdefault(role, column)
    return assigned, problems


def _shared(assigned: Mapping[str, str], where: str) -> list[Problem]:
    columns = list(assigned.values())
    return [
        Problem(
            where,
            f"column '{column}' has the roles {[r for r, c in assigned.items() if c == column]}",
            "give each role its own column",
        )
        for column in sorted(set(columns))
        if columns.count(column) > 1
    ]


def _line(role: str, column: str) -> str:
    return f"data: {{columns: {{{role}: {column}}}}}"
