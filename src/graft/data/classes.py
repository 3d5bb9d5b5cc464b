"""Labels of a classification: names, their order, and what makes a column no column of classes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from graft.core.errors import DataError, Problem
from graft.core.facts import MULTI_LABEL, REGRESSION, RowFacts
from graft.core.roles import Split
from graft.data.badrows import BadRow, shown
from graft.data.cells import NUMBER, is_empty, number_of, word_of
from graft.data.columns import nearest

MOST_CLASSES = 1000
_LISTED = 20
_SEVERAL = f"set data.problem_type: {MULTI_LABEL} if a row has several labels"


def class_names(column: pd.Series[Any], rows: np.ndarray) -> tuple[list[str], list[BadRow]]:
    """Return the name of the class of each row, and the rows that have none.

    Args:
        column: Labels: texts, numbers or bools.
        rows: [N] row numbers for the errors.

    Example:
        >>> class_names(pd.Series([3.0, "3", True, None, [1]]), np.arange(1, 6))[0]
        ['3', '3', 'true', '(missing)', '[1]']
    """
    names, bad = [], []
    for row, value in zip(rows, column, strict=True):
        truth = isinstance(value, bool | np.bool_)
        names.append(str(bool(value)).lower() if truth else word_of(value))
        if is_empty(value):
            bad.append(BadRow(int(row), "label is missing", "fill it or drop the row"))
        elif not isinstance(value, str) and np.isnan(number_of(value)):
            what = f"label is {shown(value)}, a {type(value).__name__}, not the name of a class"
            several = isinstance(value, list | tuple | np.ndarray)
            fix = _SEVERAL if several else "write a text, a number, or true or false"
            bad.append(BadRow(int(row), what, fix))
    return names, bad


def ordered(names: Collection[str]) -> tuple[str, ...]:
    """Return the classes in order: numbers by value, else by their letters.

    Example:
        >>> ordered({"10", "9"}), ordered({"yes", "no", "10"})
        (('9', '10'), ('10', 'no', 'yes'))
    """
    if all(NUMBER.fullmatch(name) for name in names):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return tuple(sorted(names))


def classes_of(labels: pd.Series[str], column: str, positive: str | None) -> tuple[str, ...]:
    """Return the classes that the labels name, in order.

    Args:
        labels: Name of the class of each row.
        column: Name of the label column.
        positive: The class that the recipe calls positive.

    Raises:
        DataError: The labels are no classes, or the positive one is none of two.

    Example:
        >>> classes_of(pd.Series(["no", "yes", "no"]), "outcome", None)
        ('no', 'yes')
    """
    names = set(labels)
    where = f"label column '{column}'"
    problems = []
    own = len(names) == len(labels) and len(names) > 2
    if own or len(names) > MOST_CLASSES:
        graded = all(NUMBER.fullmatch(name) for name in names)
        what = f"holds {len(names):,} different labels in {len(labels):,} rows"
        kind = "graded labels, not classes" if graded else "identifiers or texts, not classes"
        fix = "name the column of the classes: data: {columns: {label: …}}"
        fix += f", or set data.problem_type: {REGRESSION}" if graded else ""
        problems.append(Problem(where, f"{what}: these look like {kind}", fix))
    elif len(names) < 2:
        what = f"holds one class only, {sorted(names)}"
        problems.append(Problem(where, what, "add rows of another class"))
    if positive is not None:
        problems += _positive_problems(names, positive)
    if problems:
        raise DataError("data", problems)
    classes = ordered(names)
    return classes if classes[-1] == positive or positive is None else classes[::-1]


def _positive_problems(names: Collection[str], positive: str) -> list[Problem]:
    where = "recipe, data.positive"
    known = ordered(names)
    if positive not in known:
        fix = nearest(positive, known[:_LISTED], "the classes are")
        return [Problem(where, f"'{positive}' is no class", fix)]
    if len(known) != 2:
        what = f"is given, but there are {len(known)} classes and not two"
        return [Problem(where, what, "take it out")]
    return []


def class_places(rows: pd.DataFrame, facts: RowFacts) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of rows and places of classes, one of each for every class of a row.

    Args:
        rows: Rows with `label`, of several labels with the columns of these.
        facts: Classes.

    Example:
        >>> facts = RowFacts(classes=("red", "tall"), problem_type=MULTI_LABEL)
        >>> rows = pd.DataFrame({"y_0": [0.0, 1.0, 0.0], "y_1": [1.0, 1.0, 0.0]})
        >>> [found.tolist() for found in class_places(rows, facts)]
        [[0, 1, 1], [1, 0, 1]]
    """
    if facts.multi_label:
        at, places = np.nonzero(rows[list(facts.label_columns)].to_numpy())
        return at, places
    return np.arange(len(rows)), rows["label"].to_numpy().astype(int)


def class_counts(rows: pd.DataFrame, facts: RowFacts) -> list[int]:
    """Return the number of rows of each class, in the order of the classes.

    Example:
        >>> class_counts(pd.DataFrame({"label": [1.0, 1.0]}), RowFacts(classes=("no", "yes")))
        [0, 2]
    """
    places = class_places(rows, facts)[1]
    counts: list[int] = np.bincount(places, minlength=len(facts.classes)).tolist()
    return counts if facts.classes else []


def unlearnable(frame: pd.DataFrame, facts: RowFacts) -> list[Problem]:
    """Return the classes that cannot be learned: a place in an evaluation split, none in training.

    Args:
        frame: Rows with their labels, `split`, `source` and `source_row`.
        facts: Classes.
    """
    classes, (at, places) = facts.classes, class_places(frame, facts)
    training = (frame["split"] == Split.train.value).to_numpy()
    taught = set(places[training[at]].tolist())
    problems = []
    if len(taught) < 2:
        what = f"holds one class only, {[classes[place] for place in sorted(taught)]}"
        fix = "split by another method or seed, or add rows of another class"
        problems.append(Problem("split 'train'", what, fix))
    for place in sorted(set(places.tolist()) - taught):
        rows = frame.iloc[at[places == place]]
        first = rows.iloc[0]
        counts = ", ".join(f"{n} {split} rows" for split, n in rows["split"].value_counts().items())
        problems.append(
            Problem(
                f"{first['source']} row {first['source_row']}",
                f"class '{classes[place]}' stands in {counts} and in no training row",
                "add training rows of it, split by another method or seed, or take its rows out",
            )
        )
    if len(problems) > _LISTED:
        more = len(problems) - _LISTED
        fix = "mend the ones above and run again"
        what = f"{more} more classes stand in no training row"
        return [*problems[:_LISTED], Problem("data", what, fix)]
    return problems


def alike(classes: tuple[str, ...]) -> list[str]:
    """Return notes on classes whose names differ in nothing that a person would mean.

    Example:
        >>> alike(("No", "Yes", "yes "))
        ["classes ['Yes', 'yes '] differ in letter case or spaces only"]
    """
    twins: dict[str, list[str]] = {}
    for name in classes:
        twins.setdefault("".join(name.casefold().split()), []).append(name)
    return [
        f"classes {found} differ in letter case or spaces only"
        for found in twins.values()
        if len(found) > 1
    ]
