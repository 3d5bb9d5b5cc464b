"""What another decision threshold would change: F1 and cost at every one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, layout, rounded
from graft.report.numerals import count, decimal
from graft.report.palette import RunStyle
from graft.report.predictions import FILES, Frames, Styles, is_binary, is_probability, scored

STEPS = 100
TOLD = 5  # every so many steps stand in the table


def decision(
    frames: Frames, styles: Styles, costs: tuple[float, float] | None = None
) -> Chart | NotMeasured:
    """Return F1 and, where the recipe names costs, cost by threshold, the chosen one marked.

    Args:
        frames: Test predictions per run: score, a probability, label 0 or 1, threshold.
        styles: Runs to draw, in their order.
        costs: Cost of a false positive and of a false negative.
    """
    ident, title = "decision", "F1 by decision threshold" if costs is None else (
        "F1 and cost by decision threshold"
    )  # fmt: skip
    usable = {n: f for n, f in scored(frames).items() if n in styles and "threshold" in f}
    if not usable or not is_binary(usable) or not is_probability(usable):
        return NotMeasured(ident, title, "labels 0 and 1, a probability and a threshold are needed")
    tables = {name: at_thresholds(usable[name], costs) for name in styles if name in usable}
    panels = [Panel("F1 ↑", _figure(tables, styles, "F1", decimal))]
    if costs:
        cost = _figure(tables, styles, "cost", lambda value: decimal(value, 2))
        panels.append(Panel("Cost per row ↓", cost))
    reading = (
        "Each curve shows what the test rows would give at another threshold; the marker stands at "
        "the one in force, which was chosen without the test rows. A flat top means that the exact "
        "threshold matters little."
    )
    if costs:
        reading += (
            f" A false positive costs {costs[0]:g}, a false negative {costs[1]:g}, a right "
            "decision nothing."
        )
    parts = []
    for name, table in tables.items():
        told = table[(table.index % TOLD == 0) | table["in force"]]
        parts.append(told.assign(run=styles[name].title))
    table = pd.concat(parts)
    table = table[["run", *[column for column in table.columns if column != "run"]]]
    keys = tuple(styles[name].key(line=True) for name in tables)
    return Chart(ident, title, reading, tuple(panels), table, FILES, keys)


def at_thresholds(frame: pd.DataFrame, costs: tuple[float, float] | None) -> pd.DataFrame:
    """Return what is decided at thresholds from 0 to 1, and at the one in force.

    Args:
        frame: Score, label 0 or 1, threshold.
        costs: Cost of a false positive and of a false negative, None to leave costs out.
    """
    chosen = float(frame["threshold"].iloc[0])
    grid = np.append(np.arange(STEPS + 1) / STEPS, chosen)
    positive = frame["label"].to_numpy() == 1
    seen = frame["score"].to_numpy()[None, :] >= grid[:, None]
    caught = (seen & positive).sum(axis=1)
    wrong = (seen & ~positive).sum(axis=1)
    missed = int(positive.sum()) - caught
    table = pd.DataFrame(
        {
            "threshold": grid,
            "F1": 2 * caught / np.maximum(2 * caught + wrong + missed, 1),
            "precision": caught / np.where(caught + wrong > 0, caught + wrong, np.nan),
            "recall": caught / max(int(positive.sum()), 1),
            "false positives": wrong,
            "false negatives": missed,
            "in force": np.arange(len(grid)) == len(grid) - 1,
        }
    )
    if costs:
        paid = costs[0] * wrong + costs[1] * missed
        table.insert(6, "cost", paid / len(frame))
    return table


def _figure(
    tables: dict[str, pd.DataFrame], styles: Styles, column: str, show: Callable[[float], str]
) -> Figure:
    traces: list[Figure] = []
    for name, table in tables.items():
        traces += _curve(table, styles[name], column, show)
    x = {"title": {"text": "threshold"}, "range": [-0.02, 1.02], "dtick": 0.25, "fixedrange": True}
    y = {"title": {"text": column}, "rangemode": "tozero", "fixedrange": True}
    return {"data": traces, "layout": layout(320, x, y)}


def _curve(
    table: pd.DataFrame, style: RunStyle, column: str, show: Callable[[float], str]
) -> list[Figure]:
    line, mark = table[~table["in force"]], table[table["in force"]]
    common = {"type": "scatter", "legendgroup": style.name, "hoverinfo": "text"}
    return [
        {
            **common,
            **_points(part, style, column, show, note),
            "mode": mode,
            "line": {"color": style.colour, "width": 2, "dash": style.dash},
            "marker": {"color": style.colour, "symbol": style.symbol, "size": 12},
        }
        for part, mode, note in ((line, "lines", ""), (mark, "markers", ", in force"))
    ]


def _points(
    part: pd.DataFrame, style: RunStyle, column: str, show: Callable[[float], str], note: str
) -> Figure:
    labels = [
        hover(
            [
                style.title,
                f"threshold {decimal(threshold)}{note}",
                f"{column} {show(value)}",
                f"{count(wrong)} false positives, {count(missed)} false negatives",
            ]
        )
        for threshold, value, wrong, missed in zip(
            part["threshold"],
            part[column],
            part["false positives"],
            part["false negatives"],
            strict=True,
        )
    ]
    return {"x": rounded(part["threshold"]), "y": rounded(part[column]), "hovertext": labels}
