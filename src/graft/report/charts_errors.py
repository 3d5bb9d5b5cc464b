"""Which kinds of rows a run takes for positives that are none."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, label, layout, text_columns
from graft.report.predictions import FILES, Frames, Styles, is_binary, scored

MOST_VALUES = 30


def false_positives(frames: Frames, styles: Styles, slices: Sequence[str]) -> Chart | NotMeasured:
    """Return the negatives that every run takes for positives, by kind of row.

    Args:
        frames: Test predictions per run: score, label 0 or 1, threshold, slices.
        styles: Look of every run.
        slices: Slice columns; `pair_type` is used if it is there, else the last one.
    """
    ident, title = "false-positives", "False positives by kind of row"
    rows = {name: frame for name, frame in scored(frames).items() if "threshold" in frame}
    if not rows or not is_binary(rows):
        return NotMeasured(ident, title, "labels 0 and 1, a score and a threshold are needed")
    column = "pair_type" if "pair_type" in slices else (slices[-1] if slices else "")
    names = [name for name in styles if name in rows]
    records = []
    for name in names:
        negatives = rows[name][rows[name]["label"] == 0]
        groups = (
            negatives.groupby(column) if column in negatives else [("all negatives", negatives)]
        )
        for value, group in groups:
            wrong = group[group["score"] >= group["threshold"]]
            texts = wrong[text_columns(wrong, slices)].head(3).agg(" ↔ ".join, axis=1)
            records.append(
                {
                    "run_key": name,
                    "run": styles[name].title,
                    column or "rows": str(value),
                    "false positives": len(wrong),
                    "negatives": len(group),
                    "share": len(wrong) / len(group),
                    "first texts": list(texts),
                }
            )
    table = pd.DataFrame(records)
    if table.empty:
        return NotMeasured(ident, title, "the test split has no negatives")
    figure = _bars(table, column or "rows", names, styles)
    reading = (
        "Each bar counts the negatives that a run decides to be positive at its threshold, out of "
        "all negatives of that kind; shorter is better."
    )
    keys = tuple(styles[name].key() for name in names)
    table = table.assign(**{"first texts": [" · ".join(texts) for texts in table["first texts"]]})
    return Chart(
        ident,
        title,
        reading,
        (Panel("", figure),),
        table.drop(columns="run_key"),
        FILES,
        keys,
        wide=True,
    )


def _bars(table: pd.DataFrame, column: str, names: list[str], styles: Styles) -> Figure:
    kinds = list(table.groupby(column)["negatives"].max().sort_values(kind="stable").index)
    kinds = kinds[-MOST_VALUES:]
    traces: list[Figure] = []
    for order, name in enumerate(names):
        part = table[table["run_key"] == name].set_index(column).reindex(kinds)
        part = part.dropna(subset=["negatives"])
        step = 0.84 / len(names)
        places = [kinds.index(kind) + 0.42 - step * (order + 0.5) for kind in part.index]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "legendgroup": name,
                "width": step * 0.8,
                "y": [round(place, 4) for place in places],
                "x": [int(value) for value in part["false positives"]],
                "text": [
                    f"{int(w)} of {int(n)}"
                    for w, n in zip(part["false positives"], part["negatives"], strict=True)
                ],
                "textposition": "outside",
                "textfont": {"size": 11, "color": "@muted"},
                "cliponaxis": False,
                "marker": {
                    "color": styles[name].colour,
                    "opacity": 1 if styles[name].dash == "solid" else 0.55,
                    "pattern": {
                        "shape": ""
                        if styles[name].dash == "solid"
                        else {"dash": "", "dot": "/"}[styles[name].dash],
                        "size": 5,
                    },
                },
                "hoverinfo": "text",
                "hovertext": [
                    hover([styles[name].title, str(kind), f"{int(w)} of {int(n)} negatives"], texts)
                    for kind, w, n, texts in zip(
                        part.index,
                        part["false positives"],
                        part["negatives"],
                        part["first texts"],
                        strict=True,
                    )
                ],
            }
        )
    most = float(table["false positives"].max())
    return {
        "data": traces,
        "layout": layout(
            70 + len(kinds) * (16 * len(names) + 14),
            {
                "title": {"text": "false positives"},
                "range": [0, max(most, 1) * 1.22],
                "fixedrange": True,
            },
            {
                "tickvals": list(range(len(kinds))),
                "ticktext": [label(kind, 16, 3) for kind in kinds],
                "range": [-0.6, len(kinds) - 0.4],
                "fixedrange": True,
                "showgrid": False,
            },
            bargap=0,
        ),
    }
