"""Series of which every time step has a column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from graft.core.errors import DataError, Problem
from graft.data.badrows import BadCell, shown
from graft.data.cells import measures_of
from graft.data.series import side_by_side, without_tail

Step = tuple[int, str]


def step_columns(existing: Sequence[str], pattern: str) -> list[Step]:
    """Return number and name of the columns of one channel, by number.

    Args:
        existing: Columns of the file.
        pattern: Name with `*` in place of the number.

    Example:
        >>> step_columns(["label", "t_10", "t_9", "t_mean"], "t_*")
        [(9, 't_9'), (10, 't_10')]
    """
    form = re.compile(re.escape(pattern).replace(r"\*", "([0-9]+)"))
    found = [(form.fullmatch(name), name) for name in existing]
    return sorted((int(match[1]), name) for match, name in found if match)


def wide_series(
    frame: pd.DataFrame, channels: Mapping[str, list[Step]], name: str
) -> list[np.ndarray | BadCell]:
    """Return the series of each row; empty cells at its end are no part of it.

    Args:
        frame: Records.
        channels: Pattern to the columns of its channel.
        name: Name of the file.

    Raises:
        DataError: Steps that are missing or stand twice, or channels with different steps.

    Example:
        >>> frame = pd.DataFrame({"t0": ["1", "2"], "t1": ["3", ""]})
        >>> found = wide_series(frame, {"t*": step_columns(["t0", "t1"], "t*")}, "a.csv")
        >>> [series.ravel().tolist() for series in found]
        [[1.0, 3.0], [2.0]]
    """
    problems = _step_problems(channels, name)
    if problems:
        raise DataError(name, problems)
    names = {pattern: [column for _, column in steps] for pattern, steps in channels.items()}
    read = {column: measures_of(frame[column]) for columns in names.values() for column in columns}
    odd = {column: wrong for column, (_, wrong) in read.items() if wrong.any()}
    blocks = [np.stack([read[column][0] for column in columns], 1) for columns in names.values()]
    series: list[np.ndarray | BadCell] = []
    for row in range(len(frame)):
        wrong = [column for column, rows in odd.items() if rows[row]]
        whole = side_by_side([block[row] for block in blocks], list(names))
        if wrong:
            series.append(_bad(wrong, frame[wrong[0]].iloc[row]))
        else:
            series.append(whole if isinstance(whole, BadCell) else without_tail(whole))
    return series


def _bad(columns: list[str], cell: object) -> BadCell:
    more = f", nor do {len(columns) - 1} more steps" if len(columns) > 1 else ""
    what = f"holds {shown(cell)} in '{columns[0]}', no number{more}"
    return BadCell(what, "write a number, or leave the cell empty")


def _step_problems(channels: Mapping[str, list[Step]], name: str) -> list[Problem]:
    problems = []
    for pattern, steps in channels.items():
        numbers = [number for number, _ in steps]
        for before, number in pairwise(numbers):
            if number != before + 1:
                what = f"the columns {pattern} do not count up: {number} comes after {before}"
                problems.append(Problem(name, what, "give each time step one column"))
                break
    spans = {pattern: (steps[0][0], steps[-1][0]) for pattern, steps in channels.items()}
    if len(set(spans.values())) > 1 and not problems:
        what = f"the channels have different first and last steps: {spans}"
        problems.append(Problem(name, what, "give every channel the same steps"))
    return problems
