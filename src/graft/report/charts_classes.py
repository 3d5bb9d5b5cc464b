"""Which classes a run is weak at: F1 of every class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from graft.metrics.class_counts import of_each_class
from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, label, layout
from graft.report.numerals import count, decimal
from graft.report.predictions import FILES, Frames, Styles, columns_of, decides, scored

MOST_CLASSES = 20


def class_scores(
    frames: Frames, styles: Styles, classes: Sequence[str], word: str = "class"
) -> Chart | NotMeasured:
    """Return F1 of every class and run as bars, the weakest classes of the last run on top.

    Args:
        frames: Test predictions per run: label, and what was decided.
        styles: Runs to draw, in their order; the last one decides the order of the classes.
        classes: Names of the classes.
        word: What they are called: class or label.
    """
    ident, title = "classes", f"F1 by {word}"
    rows = {name: frame for name, frame in scored(frames).items() if name in styles}
    found = {
        name: _scores(rows[name], classes)
        for name in styles
        if name in rows and decides(rows[name])
    }
    if not found or len(classes) < 2:
        return NotMeasured(ident, title, "classes, and what was decided for each row, are needed")
    last = next(reversed(found.values()))
    order = last["f1"].sort_values(kind="stable", na_position="last").index[:MOST_CLASSES]
    reading = (
        f"F1 is the harmonic mean of precision (how many of those decided for the {word} are of "
        "it) and recall (how many that are of it are found); longer is better."
    )
    if len(order) < len(classes):
        reading += (
            f" The {len(order)} weakest of {count(len(classes))} are drawn; the table holds all."
        )
    table = pd.DataFrame({word: list(classes), "rows": last["support"]})
    for name, scores in found.items():
        for part in ("f1", "precision", "recall"):
            word = "F1" if part == "f1" else part
            table[f"{styles[name].title}: {word}"] = scores[part]
    table = table.loc[last["f1"].sort_values(kind="stable", na_position="last").index]
    panel = Panel("", _figure(found, list(order), styles, classes))
    keys = tuple(styles[name].key() for name in found)
    return Chart(ident, title, reading, (panel,), table, FILES, keys, wide=True)


def _scores(frame: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return precision, recall, F1 and rows of every class, NaN where they are undefined."""
    found = of_each_class(columns_of(frame), classes)
    return pd.DataFrame([asdict(one) for one in found]).astype(
        dict.fromkeys(("precision", "recall", "f1"), float)
    )


def _figure(
    found: dict[str, pd.DataFrame], order: list[int], styles: Styles, classes: Sequence[str]
) -> Figure:
    traces: list[Figure] = []
    step = 0.84 / len(found)
    for position, (name, scores) in enumerate(found.items()):
        style, part = styles[name], scores.loc[order]
        solid = style.dash == "solid"
        known = part["f1"].notna()
        places = (np.arange(len(order)) + 0.42 - step * (len(found) - position - 0.5))[known]
        part = part[known]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "legendgroup": name,
                "width": step * 0.8,
                "y": [round(float(place), 4) for place in places],
                "x": [round(value, 4) for value in part["f1"]],
                "text": [decimal(value, 2) for value in part["f1"]],
                "textposition": "outside",
                "textfont": {"size": 11, "color": "@muted"},
                "cliponaxis": False,
                "marker": {"color": style.colour, "opacity": 1 if solid else 0.55},
                "hoverinfo": "text",
                "hovertext": [
                    hover([style.title, str(classes[place]), *_facts(part.loc[place])])
                    for place in part.index
                ],
            }
        )
    x = {"title": {"text": "F1"}, "range": [0, 1.12], "fixedrange": True, "dtick": 0.25}
    y = {
        "tickvals": list(range(len(order))),
        "ticktext": [label(classes[place], 16, 2) for place in order],
        "range": [len(order) - 0.4, -0.6],
        "fixedrange": True,
        "showgrid": False,
    }
    return {
        "data": traces,
        "layout": layout(70 + len(order) * (15 * len(found) + 12), x, y, bargap=0),
    }


def _facts(scores: pd.Series) -> list[str]:
    shares = [
        f"{word} {decimal(float(scores[name]))}"
        for name, word in (("f1", "F1"), ("precision", "precision"), ("recall", "recall"))
    ]
    return [*shares, f"n = {count(int(scores['support']))}"]
