"""Which classes a run takes for which: the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, label, layout
from graft.report.numerals import count, plural, share
from graft.report.predictions import FILES, Frames, Styles, decided, scored

MOST_CLASSES = 20
# Above this a cell has no room for its numbers on a telephone; they stand in label and table.
MOST_WRITTEN = 6
Counts = NDArray[np.int64]
# From nothing (the paper) to all rows of a class.
RISING = [[0.0, "@paper"], [0.02, "@mid"], [1.0, "#2f7fc1"]]


def confusion(frames: Frames, styles: Styles, classes: Sequence[str]) -> Chart | NotMeasured:
    """Return how many rows of every class each run takes for which, and which share of the class.

    Args:
        frames: Test predictions per run: label, and what was decided.
        styles: Runs to draw, in their order.
        classes: Names of the classes.
    """
    ident, title = "confusion", "Confusion matrix"
    rows = {name: frame for name, frame in scored(frames).items() if name in styles}
    found = {
        name: confusions(rows[name], len(classes))
        for name in styles
        if name in rows and decided(rows[name]) is not None
    }
    if not found or len(classes) < 2:
        return NotMeasured(ident, title, "classes, and what was decided for each row, are needed")
    drawn = _most_confused(found)
    panels = tuple(
        Panel(styles[name].title, _heat(counts, drawn, classes), _right(counts))
        for name, counts in found.items()
    )
    reading = "A row is a class, its cells are what the run takes the rows of that class for: " + (
        "how many, and which share. What lies off the diagonal is wrong."
        if len(drawn) <= MOST_WRITTEN
        else "the bluer, the more. What lies off the diagonal is wrong."
    )
    if len(drawn) < len(classes):
        reading += (
            f" Of {count(len(classes))} classes the {len(drawn)} most confused are drawn; the "
            "table holds every confusion, the most frequent first."
        )
    table = _table(found, styles, classes)
    return Chart(ident, title, reading, panels, table, FILES)


def confusions(frame: pd.DataFrame, classes: int) -> Counts:
    """Return the rows by class and decision, shape (classes, classes).

    Args:
        frame: Predictions with `label` and a decision.
        classes: Number of classes.
    """
    counts: Counts = np.zeros((classes, classes), dtype=np.int64)
    found = decided(frame)
    if found is not None:
        np.add.at(counts, (frame["label"].to_numpy(dtype=np.int64), found), 1)
    return counts


def _most_confused(found: dict[str, Counts]) -> list[int]:
    """Return the classes to draw, in their order: those with the most wrong rows over all runs."""
    total = np.sum(list(found.values()), axis=0)
    wrong = total.sum(axis=0) + total.sum(axis=1) - 2 * np.diag(total)
    order = np.argsort(-wrong, kind="stable")[:MOST_CLASSES]
    return sorted(int(place) for place in order)


def _right(counts: Counts) -> str:
    right, total = int(np.trace(counts)), int(counts.sum())
    return f"{count(right)} of {plural(total, 'row')} right, {share(right / total)}"


def _heat(counts: Counts, drawn: list[int], classes: Sequence[str]) -> Figure:
    size = counts.sum(axis=1)
    part = counts / np.maximum(size, 1)[:, None]
    written = len(drawn) <= MOST_WRITTEN
    places = list(range(len(drawn)))
    trace: Figure = {
        "type": "heatmap",
        "x": places,
        "y": places,
        "z": [[round(float(part[i, j]), 4) for j in drawn] for i in drawn],
        "zmin": 0,
        "zmax": 1,
        "colorscale": RISING,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hoverinfo": "text",
        "hovertext": [
            [_cell_hover(counts, i, j, int(size[i]), classes) for j in drawn] for i in drawn
        ],
    }
    if written:
        trace["text"] = [
            [f"{count(counts[i, j])}<br>{share(float(part[i, j]))}" for j in drawn] for i in drawn
        ]
        trace["texttemplate"] = "%{text}"
    names = [label(classes[i], 14 if written else 16, 2 if written else 1) for i in drawn]
    still = {"fixedrange": True, "showgrid": False, "ticks": "", "tickvals": places}
    still["ticktext"] = names
    side: Figure = {"title": {"text": "decided"}, "side": "bottom"}
    if not written:
        # So many names stand nowhere below; the columns have the order of the rows.
        side |= {"title": {"text": "decided, in the same order"}, "showticklabels": False}
    return {
        "data": [trace],
        "layout": layout(
            (110 if written else 60) + len(drawn) * (64 if written else 17),
            {**still, **side},
            {**still, "title": {"text": "class"}, "autorange": "reversed"},
        ),
    }


def _cell_hover(counts: Counts, true: int, seen: int, size: int, classes: Sequence[str]) -> str:
    number = int(counts[true, seen])
    part = f" ({share(number / size)})" if size else ""
    facts = [f"class {classes[true]}", f"decided {classes[seen]}"]
    return hover([*facts, f"{count(number)} of {plural(size, 'row')}{part}"])


def _table(found: dict[str, Counts], styles: Styles, classes: Sequence[str]) -> pd.DataFrame:
    records = []
    for name, counts in found.items():
        size = counts.sum(axis=1)
        for i, true in enumerate(classes):
            for j, seen in enumerate(classes):
                if len(classes) > MOST_CLASSES and (i == j or not counts[i, j]):
                    continue
                part = counts[i, j] / size[i] if size[i] else None
                records.append((styles[name].title, true, seen, int(counts[i, j]), part))
    columns = ["run", "class", "decided", "rows", "share of the class"]
    table = pd.DataFrame(records, columns=columns)
    if len(classes) > MOST_CLASSES:
        table = table.sort_values("rows", ascending=False, kind="stable")
    return table
