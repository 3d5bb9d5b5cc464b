"""The texts of the test split on a plane, before and after adapting the base."""

from __future__ import annotations

import pandas as pd

from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, layout, rounded, thinned
from graft.report.numerals import plural, share
from graft.report.palette import category_keys
from graft.report.predictions import Frames, Styles

MOST_TEXTS = 1200
NOISE = -1


def text_maps(frames: Frames, styles: Styles) -> Chart | NotMeasured:
    """Return one map of the texts per run, coloured by category.

    Args:
        frames: Per run: text, category, row, x, y, cluster (-1 is noise).
        styles: Look of every run; the base comes before the arms.
    """
    ident, title = "maps", "Map of the texts, before and after"
    needed = {"text", "category", "x", "y"}
    rows = {
        name: frames[name].dropna(subset=["x", "y"])
        for name in styles
        if name in frames and needed <= set(frames[name].columns)
    }
    rows = {name: frame for name, frame in rows.items() if len(frame)}
    if not rows:
        return NotMeasured(ident, title, "no run has a map of its embeddings (extra `umap`)")
    keys = category_keys(str(value) for frame in rows.values() for value in frame["category"])
    panels = []
    for name, frame in rows.items():
        traces = []
        chosen = frame.iloc[thinned(len(frame), MOST_TEXTS)]
        for category, group in chosen.groupby(chosen["category"].astype(str), sort=True):
            key = keys[str(category)]
            traces.append(_points(group, str(category), key.key, key.colour, key.symbol))
        panels.append(Panel(styles[name].title, _plane(traces), _clusters(frame)))
    reading = (
        "Every dot is a text, or series, of the test split, placed by UMAP so that near ones have "
        "near embeddings; where adapting took, the colours part after it. Distances between far "
        "groups mean nothing."
    )
    table = pd.concat(
        frame[[c for c in ("category", "text", "x", "y", "cluster") if c in frame]].assign(
            run=styles[name].title
        )
        for name, frame in rows.items()
    )
    table = table[["run", *[column for column in table.columns if column != "run"]]]
    source = "<run>/predictions/test.map.parquet"
    return Chart(ident, title, reading, tuple(panels), table, source, tuple(keys.values()))


def _clusters(frame: pd.DataFrame) -> str:
    if "cluster" not in frame:
        return ""
    clusters = frame["cluster"]
    noise = float((clusters == NOISE).mean())
    return f"{plural(clusters[clusters != NOISE].nunique(), 'cluster')}, {share(noise)} noise"


def _points(group: pd.DataFrame, category: str, key: str, colour: str, symbol: str) -> Figure:
    clusters = group["cluster"] if "cluster" in group else pd.Series([None] * len(group))
    names = ["" if c is None else ("noise" if c == NOISE else f"cluster {c}") for c in clusters]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(group["x"], 3),
        "y": rounded(group["y"], 3),
        "legendgroup": key,
        "marker": {"color": colour, "symbol": symbol, "size": 6, "opacity": 0.75},
        "hoverinfo": "text",
        "hovertext": [
            hover([f"{category}, {name}" if name else category], [text])
            for text, name in zip(group["text"], names, strict=True)
        ],
    }


def _plane(traces: list[Figure]) -> Figure:
    hidden = {
        "showticklabels": False,
        "showgrid": False,
        "ticks": "",
        "showline": True,
        "mirror": True,
    }
    return {"data": traces, "layout": layout(320, hidden, hidden)}
