"""Which columns of the files a task reads, and under which names its rows carry them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from graft.config.data import DataSection, TaskName
from graft.config.series import SeriesSection
from graft.core.errors import Problem
from graft.core.facts import SINGLE_LABEL, RowFacts
from graft.data.columns import CUSTOMARY, OPTIONAL_ROLES, PAIR_ROLES, SPAN_ROLES, nearest
from graft.data.dataset import OWN_COLUMNS, PAIR_FACTS
from graft.data.series import COLUMN
from graft.data.series_columns import series_column

# What predictions of a classification add to its rows.
_PREDICTED = re.compile(r"score|predicted|threshold|leaked|[py]_[0-9]+")
_CLASS_NAMES = ("class", "category", "target", "intent")


@dataclass(frozen=True)
class Layout:
    """What a task reads.

    Args:
        required: Roles that must have a column.
        texts: Text columns of the rows: roles of pairs, names of the files else.
        table: Table columns, by their names in the files.
        categorical: Those of the table columns whose numbers are names.
        numbers: Those of the table columns that hold numbers, once their values were seen.
        problem_type: What the label is: one class, several labels, a number; None for that of
            pairs, which is graded.
        separator: What stands between several labels that are one text.
        customary: Role to the names by which its column is known.
        optional: Roles that may have a column.
        series: True if each row is a series.
        channels: Names of the channels of a series, as far as they are known.
    """

    required: tuple[str, ...]
    texts: tuple[str, ...]
    table: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    problem_type: str | None = None
    separator: str = "|"
    customary: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: CUSTOMARY)
    optional: tuple[str, ...] = OPTIONAL_ROLES
    series: bool = False
    channels: tuple[str, ...] = ()

    @property
    def of_pairs(self) -> bool:
        """True if a row is a pair of texts."""
        return self.problem_type is None

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that are no roles and keep their names, slices aside."""
        return () if self.of_pairs else (*self.texts, *self.table)

    def facts(self, classes: tuple[str, ...]) -> RowFacts:
        """Return what a task must know of the rows, table columns in the order of the recipe."""
        numbers = tuple(name for name in self.table if name in self.numbers)
        categories = tuple(name for name in self.table if name not in self.numbers)
        kind = self.problem_type or SINGLE_LABEL
        return RowFacts(self.texts, numbers, categories, classes, kind, self.channels)


PAIRS = Layout(required=PAIR_ROLES, texts=PAIR_FACTS.texts)


def layout_of(section: DataSection, task: TaskName) -> Layout:
    """Return what the task reads.

    Example:
        >>> layout_of(DataSection(train="a.csv", texts=("review",)), "classification").named
        ('review',)
    """
    if task == "pairs":
        return PAIRS
    customary = {**CUSTOMARY, "label": (*CUSTOMARY["label"], *_CLASS_NAMES)}
    if task == "series":
        return Layout(
            required=(COLUMN, "label"),
            texts=(),
            problem_type=SINGLE_LABEL,
            customary=_of_series(section.series, customary),
            optional=(*OPTIONAL_ROLES, "item", *SPAN_ROLES),
            series=True,
            channels=section.series.channels,
        )
    return Layout(
        required=("label",),
        texts=section.texts,
        table=section.table,
        categorical=section.categorical,
        problem_type=section.problem_type,
        separator=section.label_separator,
        customary=customary,
    )


def _of_series(
    section: SeriesSection, customary: Mapping[str, tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    names = {**customary, COLUMN: (series_column(section),)}
    # NumPy files call what is to be learned `y`.
    names["label"] = (*customary["label"], "y")
    return {**names, "item": (section.item.lower(),)} if section.item else names


def name_problems(
    layout: Layout, slices: tuple[str, ...], columns: Mapping[str, str]
) -> list[Problem]:
    """Return what is wrong with the columns that the recipe names for texts, table and slices.

    Args:
        layout: What the task reads.
        slices: Slice columns.
        columns: Role to column.
    """
    problems = []
    lists = {} if layout.of_pairs else {"texts": layout.texts, "table": layout.table}
    for key, names in {**lists, "slices": slices}.items():
        problems += [
            Problem(
                f"recipe, data.{key}",
                f"'{name}' is a name that the data set itself uses",
                "rename the column in the files",
            )
            for name in names
            if _is_own(name, layout) and not (key == "slices" and columns.get(name) == name)
        ]
    return problems + ([] if layout.of_pairs else _mixed_problems(layout, slices, columns))


def _is_own(name: str, layout: Layout) -> bool:
    own = {*OWN_COLUMNS, *layout.required, *layout.optional}
    return name in own or (not layout.of_pairs and _PREDICTED.fullmatch(name) is not None)


def _mixed_problems(
    layout: Layout, slices: tuple[str, ...], columns: Mapping[str, str]
) -> list[Problem]:
    problems = []
    for key, names in (("texts", layout.texts), ("table", layout.table)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            problems.append(Problem(f"recipe, data.{key}", f"names {twice} twice", "name it once"))
        if columns.get("label") in names:
            what = f"'{columns['label']}' is the label: the model would read the answer"
            problems.append(Problem(f"recipe, data.{key}", what, "take it out"))
    for key, names in (("table", layout.table), ("slices", slices)):
        both = [name for name in layout.texts if name in names]
        if both:
            what = f"{both} are text columns too"
            problems.append(Problem(f"recipe, data.{key}", what, "name them in one place"))
    for name in layout.categorical:
        if name not in layout.table:
            what = f"'{name}' is no column of data.table"
            fix = nearest(name, layout.table, "the table columns are")
            problems.append(Problem("recipe, data.categorical", what, fix))
    return problems
