"""Where a run is weak: results by slice value and run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from graft.core.roles import Split
from graft.core.scores import Score, ScoreBook
from graft.metrics import catalogue
from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, label, layout
from graft.report.numerals import count, decimal, interval
from graft.report.predictions import Frames, Styles, scored

MOST_VALUES = 30
MEAN = "Mean score"
Record = dict[str, Any]
Cells = dict[tuple[str, str], Record]
# From inverted (rose) over guessing (neutral) to right (blue); the middle follows the theme.
DIVERGING = [[0.0, "#b3486f"], [0.5, "@mid"], [1.0, "#2f7fc1"]]


def heat_map(
    books: Mapping[str, ScoreBook],
    frames: Frames,
    styles: Styles,
    slices: Sequence[str],
    metric: str = "roc_auc",
) -> Chart | NotMeasured:
    """Return a metric by slice value and run; the mean score where most values have only one label.

    Args:
        books: Scores per run, with subsets `column=value`.
        frames: Test predictions per run.
        styles: Look of every run.
        slices: Slice columns.
        metric: The metric; one between 0 and 1 of which 1 is best.
    """
    ident, title = "heatmap", "Results by category"
    usable, panels, records = scored(frames), [], list[Record]()
    for column in slices:
        cells = _scores(books, styles, column, metric) or _means(usable, styles, column)
        if cells:
            names = [name for name in styles if name in {key for _, key in cells}]
            measure = next(iter(cells.values()))["measure"]
            panels.append(Panel(f"{measure} by {column}", _heat(cells, names, styles)))
            records += cells.values()
    if not panels:
        reason = "the recipe names no slice column" if not slices else "nothing was scored by slice"
        return NotMeasured(ident, title, reason)
    reading = (
        "Each cell is one run on the test rows of one value, the lowest values of the last run on "
        "top. "
    ) + (
        "For ROC-AUC blue is good, pale is guessing and red is inverted; the mean score stands "
        "where most values have rows of one label only."
        if metric == "roc_auc"
        else f"The bluer, the higher {catalogue.metric(metric).title}; red is below one half."
    )
    table = pd.DataFrame(records)
    return Chart(ident, title, reading, tuple(panels), table, "<run>/scores.json")


def _scores(books: Mapping[str, ScoreBook], styles: Styles, column: str, metric: str) -> Cells:
    """Return the metric by slice value and run, empty if it is undefined for most values."""
    cells = {
        (value, name): _record(column, value, style.title, score)
        for name, style in styles.items()
        if name in books
        for value, score in _slice_scores(books[name], column, metric)
    }
    measured = sum(cell["value"] is not None for cell in cells.values())
    return cells if 2 * measured >= len(cells) else {}


def _means(frames: Mapping[str, pd.DataFrame], styles: Styles, column: str) -> Cells:
    return {
        (str(value), name): _record(
            column,
            str(value),
            style.title,
            Score(MEAN, float(group["score"].mean()), None, None, len(group)),
        )
        for name, style in styles.items()
        if name in frames and {column, "score"} <= set(frames[name].columns)
        for value, group in frames[name].groupby(column, sort=True)
    }


def _record(column: str, value: str, run: str, score: Score) -> Record:
    return {
        "measure": MEAN if score.metric == MEAN else catalogue.metric(score.metric).title,
        "column": column,
        "slice": value,
        "run": run,
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "rows": score.n,
        "note": score.note,
    }


def _slice_scores(book: ScoreBook, column: str, metric: str) -> list[tuple[str, Score]]:
    start = f"{column}="
    return [
        (scores.subset.removeprefix(start), scores[metric])
        for scores in book.items
        if scores.split == Split.test and scores.subset.startswith(start) and metric in scores.names
    ]


def _heat(cells: Cells, names: list[str], styles: Styles) -> Figure:
    last = {value: cells.get((value, names[-1])) for value, _ in cells}
    found = {value: cell["value"] if cell else None for value, cell in last.items()}
    # The weakest value of the last run on top: that is where a reader should look first.
    order = sorted(found, key=lambda value: (found[value] is None, found[value] or 0.0, value))
    rows = [[cells.get((value, name)) for name in names] for value in order[:MOST_VALUES]]
    numbers = [[cell["value"] if cell else None for cell in row] for row in rows]
    is_metric = next(iter(cells.values()))["measure"] != MEAN
    largest = max((abs(n) for row in numbers for n in row if n is not None), default=1.0)
    trace: Figure = {
        "type": "heatmap",
        "z": [[None if n is None else round(n, 4) for n in row] for row in numbers],
        "x": list(range(len(names))),
        "y": list(range(len(rows))),
        "colorscale": DIVERGING,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "zmin": 0 if is_metric else -largest,
        "zmax": 1 if is_metric else largest,
        "text": [[decimal(n, 2) for n in row] for row in numbers],
        "texttemplate": "%{text}",
        "hoverinfo": "text",
        "hovertext": [
            [
                _cell_hover(cell, value, styles[name].title)
                for cell, name in zip(row, names, strict=True)
            ]
            for value, row in zip(order, rows, strict=False)
        ],
    }
    x = {"side": "top", "autotickangles": [0, -90], "tickvals": trace["x"]}
    y = {"autorange": "reversed", "tickvals": trace["y"]}
    still = {"fixedrange": True, "showgrid": False, "ticks": ""}
    return {
        "data": [trace],
        "layout": layout(
            80 + 34 * len(rows),
            {**x, **still, "ticktext": [label(styles[name].title, 11, 3) for name in names]},
            {**y, **still, "ticktext": [label(value, 20) for value in order[:MOST_VALUES]]},
        ),
    }


def _cell_hover(cell: Record | None, value: object, title: str) -> str:
    if cell is None:
        return hover([title, str(value), "no rows"])
    facts = [
        title,
        str(value),
        f"{cell['measure']} {decimal(cell['value'])}",
        f"n = {count(cell['rows'])}",
    ]
    if cell["low"] is not None:
        facts.append(f"95 % interval {interval(cell['low'], cell['high'])}")
    return hover([*facts, *([cell["note"]] if cell["note"] else [])])
