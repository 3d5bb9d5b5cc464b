"""Series without labels, to pretrain on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from graft.config.data import DataSection
from graft.core.roles import Split
from graft.core.tables import SeriesShape
from graft.data.columns import ALIASES
from graft.data.joining import join
from graft.data.reading import layout_of
from graft.data.series import COLUMN
from graft.data.shapes import series_shape, shape_notes
from graft.data.sources import read_files


@dataclass(frozen=True, eq=False)
class UnlabelledRows:
    """Series of which nobody says what they are.

    Args:
        frame: `row` (str, stable id such as `unlabelled:17`), `source`, `source_row`, `series`, and
            `group`, `time`, `item`, `start` and `end` where every file has such a column.
        channels: Names of the channels.
        shape: Lengths and gaps.
        notes: What a person should know.
    """

    frame: pd.DataFrame
    channels: tuple[str, ...]
    shape: SeriesShape
    notes: tuple[str, ...]


def unlabelled_rows(
    files: Sequence[str], section: DataSection, folder: Path, key: str = "data.unlabelled"
) -> UnlabelledRows:
    """Return the series of files that need no labels; labels that stand there are not read.

    Args:
        files: Paths; relative ones are looked for in `folder`, then here.
        section: How files hold series, and what to do with bad rows.
        folder: Folder of the recipe.
        key: Key of the recipe that names the files; its last part begins the ids of the rows.

    Raises:
        DataError: Files or rows that cannot be used: the problems of all files at once.
    """
    named = [(key, Split.train, path) for path in files]
    sources, problems = read_files(named, section, folder, "series")
    layout = replace(layout_of(section, "series"), required=(COLUMN,))
    known = set.intersection(*({*s.table.frame.columns} for s in sources)) if sources else set()
    columns = {
        role: name
        for role, name in section.columns.items()
        if ALIASES.get(role, role) != "label" and (name in known or role == COLUMN)
    }
    bare = section.model_copy(update={"columns": columns, "slices": ()})
    joined = join(sources, bare, layout, problems)
    frame, channels = joined.frame.drop(columns="split"), joined.layout.channels
    shape = series_shape(frame[COLUMN].tolist(), channels)
    notes = (*joined.notes, *shape_notes("unlabelled", len(frame), shape))
    return UnlabelledRows(frame, channels, shape, notes)
