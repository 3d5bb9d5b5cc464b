"""From the data section of a recipe to a data set and its report; every problem told at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from graft.config.data import DataSection, TaskName
from graft.core.errors import DataError, Problem
from graft.core.facts import RowFacts
from graft.core.roles import Split
from graft.core.tables import DataReport, SplitReport
from graft.data.alone import table_columns
from graft.data.assembly import assemble
from graft.data.counts import split_report, unseen_categories
from graft.data.dataset import Dataset
from graft.data.joining import Source
from graft.data.leakage import leakage_report
from graft.data.shapes import shape_notes
from graft.data.sources import read_files, records


def load_dataset(
    section: DataSection, folder: Path, seed: int, task: TaskName = "pairs"
) -> tuple[Dataset, DataReport]:
    """Return the rows that the recipe asks for, dealt out to splits, and the report on them.

    Args:
        section: The data section. Relative paths are looked for in `folder`, then here.
        folder: Folder of the recipe.
        seed: Seed of the recipe.
        task: Kind of task.

    Raises:
        DataError: Files, columns or rows that cannot be used: the problems of all files at once.
    """
    train = (section.train,) if isinstance(section.train, str) else section.train
    named = [(Split.train, path) for path in train]
    named += [(Split.validation, section.validation)] if section.validation else []
    named += [(Split.test, section.test)] if section.test else []
    files = [(f"data.{split}", split, path) for split, path in named]
    sources, problems = read_files(files, section, folder, task)
    dataset = assemble(sources, section, seed, problems, task)
    return dataset, report_on(dataset, section)


def dataset_from_frames(
    train: pd.DataFrame,
    section: DataSection,
    seed: int,
    validation: pd.DataFrame | None = None,
    test: pd.DataFrame | None = None,
    task: TaskName = "pairs",
) -> tuple[Dataset, DataReport]:
    """Return the same as `load_dataset` for rows that are in memory.

    Args:
        train: Rows to train on, and to split where no other frame is given; never changed.
        section: The data section; its file names are not read.
        seed: Seed of the recipe.
        validation: Rows to choose on.
        test: Rows to report on.
        task: Kind of task.

    Raises:
        DataError: Columns or rows that cannot be used: the problems of all frames at once.

    Example:
        >>> rows = pd.DataFrame({"text1": list("abcdefghij"), "text2": list("klmnopqrst"),
        ...                      "label": [0, 1] * 5})
        >>> dataset, report = dataset_from_frames(rows, DataSection(train="memory"), seed=1)
        >>> {split.split: split.rows for split in report.splits}
        {'train': 7, 'validation': 1, 'test': 2}
    """
    problems: list[Problem] = []
    sources = []
    frames = {Split.train: train, Split.validation: validation, Split.test: test}
    for split, frame in frames.items():
        if frame is None:
            continue
        try:
            table = records(frame, section, task, f"{split.value} frame")
            sources.append(Source(split, split.value, table))
        except DataError as error:
            problems += error.problems
    dataset = assemble(sources, section, seed, problems, task)
    return dataset, report_on(dataset, section)


def report_on(dataset: Dataset, section: DataSection) -> DataReport:
    """Return the report on a data set, leakage included; call it again after a repair.

    Args:
        dataset: The data set.
        section: Its section of the recipe, for the leakage policy.
    """
    reports, leaks = [], []
    facts, train = dataset.facts, dataset.rows(Split.train)
    for split in Split:
        rows = dataset.rows(split)
        if rows.empty:
            continue
        report = split_report(rows, split, dataset.slices, facts)
        unseen = unseen_categories(train, rows, facts.categories)
        reports.append(replace(report, unseen=unseen))
        if split is not Split.train:
            leaks.append(leakage_report(train, rows, split, section.leakage, facts))
    return DataReport(
        splits=tuple(reports),
        leakage=tuple(leaks),
        split_method=dataset.split_method,
        columns=dataset.columns,
        ignored_columns=dataset.ignored,
        facts=facts,
        notes=(*dataset.notes, *(note for report in reports for note in _notes(report, facts))),
        table=table_columns(train, facts),
    )


def _notes(report: SplitReport, facts: RowFacts) -> list[str]:
    """Return what a person should know about one split of a classification."""
    notes = [
        f"{report.split}: {count:,} rows have a '{column}' that no training row has"
        for column, count in report.unseen.items()
    ]
    if report.series:
        notes += shape_notes(report.split, report.rows, report.series)
    absent = [name for name in facts.classes if not report.labels[name]]
    if absent:
        shown = ", ".join(f"'{name}'" for name in absent[:5]) + (", …" if absent[5:] else "")
        notes.append(
            f"{report.split}: no row of {len(absent)} of {len(facts.classes)} classes ({shown}), "
            "so it says nothing about them"
        )
    return notes
