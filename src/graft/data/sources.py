"""Files as the recipe names them: found, read, and with the first part of the ids of their rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from graft.config.data import DataSection, TaskName
from graft.core.errors import DataError, Problem
from graft.core.roles import Split
from graft.data.joining import Source
from graft.data.readers import Table, read_table
from graft.data.series_columns import series_table


def read_files(
    files: Iterable[tuple[str, Split, str]], section: DataSection, folder: Path, task: TaskName
) -> tuple[list[Source], list[Problem]]:
    """Return the tables of the files that can be read, and what is wrong with the others.

    Args:
        files: Key of the recipe, what the rows are for, and path.
        section: How files are read.
        folder: Folder of the recipe, where relative paths are looked for first.
        task: Kind of task.
    """
    problems: list[Problem] = []
    sources: list[Source] = []
    for key, split, given in files:
        try:
            table = records(_find(given, folder, key), section, task)
        except DataError as error:
            problems += error.problems
        else:
            name = key.rpartition(".")[2]
            before = sum(source.prefix.split("-")[0] == name for source in sources)
            sources.append(Source(split, f"{name}-{before + 1}" if before else name, table))
    return sources, problems


def records(
    source: Path | pd.DataFrame, section: DataSection, task: TaskName, name: str | None = None
) -> Table:
    """Return the records of a file or frame; of series, one for each series.

    Args:
        source: File, folder or frame.
        section: How files are read.
        task: Kind of task.
        name: Name for errors and reports; the file's name if left out.

    Raises:
        DataError: It cannot be read.
    """
    table = read_table(
        source,
        max_cell_bytes=section.max_cell_bytes,
        on_bad_rows=section.on_bad_rows,
        name=name,
    )
    return series_table(table, section) if task == "series" else table


def _find(given: str, folder: Path, key: str) -> Path:
    path = Path(given)
    places = [path] if path.is_absolute() else [folder / path, Path.cwd() / path]
    for place in places:
        if place.exists():
            return place
    looked = " and ".join(str(place) for place in dict.fromkeys(places))
    problem = Problem(
        f"recipe, {key}",
        f"'{given}' does not exist; looked for {looked}",
        "correct the path; it counts from the folder of the recipe, then from the current one",
    )
    raise DataError("data", [problem])
