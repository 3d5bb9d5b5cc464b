"""Whether probabilities mean what they say: the reliability diagram."""

from __future__ import annotations

import pandas as pd

from graft.metrics.label_sets import has_label_sets
from graft.metrics.probabilities import BINS
from graft.metrics.probabilities import reliability as of_bins
from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, layout
from graft.report.numerals import decimal, plural, share
from graft.report.palette import RunStyle
from graft.report.predictions import (
    FILES,
    Frames,
    Styles,
    columns_of,
    is_probability,
    pooled,
    scored,
)


def reliability(frames: Frames, styles: Styles) -> Chart | NotMeasured:
    """Return how often a run is right where it gives a certain probability, with counts.

    Of two classes it is the probability of the positive one against the share of positives; of
    more, the probability of the decided class against the share of right decisions; of several
    labels the probabilities of all of them against the share that is there.

    Args:
        frames: Test predictions per run: score, a probability, and label; `predicted` among more
            than two classes; the probability of each of several labels.
        styles: Runs to draw, in their order.

    Source: DeGroot & Fienberg 1983; Guo et al. 2017.
    """
    ident, title = "reliability", "Reliability of the probabilities"
    usable = scored(frames)
    labels = any(has_label_sets(frame.columns) for frame in usable.values())
    rows = {name: pooled(usable[name]) for name in styles if name in usable}
    if not rows or not is_probability(rows):
        return NotMeasured(ident, title, "no run gives probabilities for rows with labels")
    several = all("predicted" in frame for frame in rows.values())
    tables = {name: _bins(frame) for name, frame in rows.items()}
    what = "of the decided class" if several else "of the positive class"
    happened = "right decisions" if several else "positive rows"
    if labels:
        what, happened = "of a label", "labels that are there"
    diagonal = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip"}
    curves: list[Figure] = [{**diagonal, "line": {"color": "@muted", "width": 1, "dash": "dot"}}]
    curves += [_curve(table, styles[name], happened) for name, table in tables.items()]
    bars = [_bars(table, styles[name], i, len(tables)) for i, (name, table) in
            enumerate(tables.items())]  # fmt: skip
    axis = {"range": [-0.02, 1.02], "dtick": 0.25, "fixedrange": True}
    x = {**axis, "title": {"text": f"probability {what}"}}
    panels = (
        Panel("Share that came true", {"data": curves, "layout": layout(
            340, x, {**axis, "title": {"text": f"share of {happened}"}})}),
        Panel("Rows with that probability", {"data": bars, "layout": layout(
            340, x, {"title": {"text": "rows"}, "fixedrange": True}, bargap=0)}),
    )  # fmt: skip
    reading = (
        f"Rows are gathered in {BINS} bins of the probability {what}; the larger a marker, the "
        "more rows. On the dotted diagonal a probability means what it says: of the rows with 0.8, "
        "80 % come true. "
    ) + (
        "Below it the run is too sure of itself, above it not sure enough."
        if several
        else "Flatter than it, the run is too sure of itself; steeper, not sure enough."
    )
    table = pd.concat(part.assign(run=styles[name].title) for name, part in tables.items())
    table = table[["run", *[column for column in table.columns if column != "run"]]]
    keys = tuple(styles[name].key(line=True) for name in tables)
    return Chart(ident, title, reading, panels, table, FILES, keys)


def _bins(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows, mean probability and share that came true of every bin that has rows."""
    records = [
        (found.low, found.high, found.rows, found.confidence, found.frequency)
        for found in of_bins(columns_of(frame))
        if found.rows
    ]
    columns = ["from", "to", "rows", "mean probability", "share that came true"]
    return pd.DataFrame(records, columns=columns)


def _curve(table: pd.DataFrame, style: RunStyle, happened: str) -> Figure:
    largest = float(table["rows"].max())
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [round(value, 4) for value in table["mean probability"]],
        "y": [round(value, 4) for value in table["share that came true"]],
        "legendgroup": style.name,
        "line": {"color": style.colour, "width": 2, "dash": style.dash},
        "marker": {
            "color": style.colour,
            "symbol": style.symbol,
            "size": [round(5 + 11 * (rows / largest) ** 0.5, 1) for rows in table["rows"]],
        },
        "hoverinfo": "text",
        "hovertext": [
            hover(
                [
                    style.title,
                    f"mean probability {decimal(mean)}",
                    f"{share(true)} of {plural(int(rows), 'row')}: {happened}",
                ]
            )
            for rows, mean, true in zip(
                table["rows"],
                table["mean probability"],
                table["share that came true"],
                strict=True,
            )
        ],
    }


def _bars(table: pd.DataFrame, style: RunStyle, order: int, runs: int) -> Figure:
    width = 0.9 / BINS / runs
    left = [start + 0.05 / BINS + width * (order + 0.5) for start in table["from"]]
    return {
        "type": "bar",
        "x": [round(place, 4) for place in left],
        "y": [int(rows) for rows in table["rows"]],
        "width": width,
        "legendgroup": style.name,
        "marker": {"color": style.colour, "opacity": 1 if style.dash == "solid" else 0.55},
        "hoverinfo": "text",
        "hovertext": [
            hover([style.title, f"{decimal(a, 2)} to {decimal(b, 2)}: {plural(int(rows), 'row')}"])
            for a, b, rows in zip(table["from"], table["to"], table["rows"], strict=True)
        ],
    }
