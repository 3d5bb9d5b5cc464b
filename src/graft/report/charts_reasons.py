"""What each column counts: the metric lost when it is shuffled between the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd

from graft.core.reasons import ColumnImportance, Importance
from graft.metrics import catalogue
from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, label, layout
from graft.report.numerals import count, decimal, interval, signed
from graft.report.palette import RunStyle
from graft.report.predictions import Styles

MOST_COLUMNS = 15


def importances(found: Mapping[str, Importance], styles: Styles) -> Chart | NotMeasured:
    """Return the importance of every column, one panel for each run that was asked.

    Args:
        found: Run to the importance of its columns.
        styles: Look of every run.
    """
    ident, title = "importance", "What each column counts"
    shown = {name: found[name] for name in styles if name in found and found[name].measured}
    if not shown:
        reason = "no run that was asked reads several columns, or the recipe leaves reasons out"
        return NotMeasured(ident, title, reason)
    first = next(iter(shown.values()))
    metric = catalogue.metric(first.metric).title
    reading = (
        f"How much {metric} is lost when a column is shuffled between the rows, so that it no "
        f"longer belongs to them: mean of {first.permutations} shuffles with its 95 % interval. "
        "Of two columns that say the same, neither may seem to count."
    )
    panels = tuple(
        Panel(
            styles[name].title,
            _figure(importance.measured[:MOST_COLUMNS], styles[name], f"{metric} lost"),
            f"{count(importance.rows)} of {count(importance.test_rows)} test rows",
        )
        for name, importance in shown.items()
    )
    records = [
        {"run": styles[name].title, **asdict(item)}
        for name, importance in shown.items()
        for item in importance.columns
    ]
    table = pd.DataFrame(records).astype({"drop": float, "low": float, "high": float})
    return Chart(ident, title, reading, panels, table, "<run>/reasons.json")


def _figure(columns: tuple[ColumnImportance, ...], style: RunStyle, axis: str) -> Figure:
    trace: Figure = {
        "type": "bar",
        "orientation": "h",
        "width": 0.5,
        "x": [round(item.drop or 0.0, 5) for item in columns],
        "y": list(range(len(columns))),
        "marker": {"color": style.colour, "opacity": 0.85},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(item.drop, item.high) for item in columns],
            "arrayminus": [_reach(item.low, item.drop) for item in columns],
            "thickness": 1.6,
            "width": 4,
            "color": "@ink",
        },
        "hoverinfo": "text",
        "hovertext": [
            hover(
                [
                    item.column,
                    f"{signed(item.drop)} lost",
                    f"95 % interval {interval(item.low, item.high)}",
                    f"{item.kind}, {count(item.rows)} rows",
                ]
            )
            for item in columns
        ],
    }
    x = {"title": {"text": axis}, "zeroline": True, "zerolinecolor": "@muted", "nticks": 6}
    y = {
        "tickvals": trace["y"],
        "ticktext": [label(item.column, 20) for item in columns],
        "range": [len(columns) - 0.4, -0.6],
        "showgrid": False,
    }
    still = {"fixedrange": True}
    height = 70 + 30 * len(columns)
    return {"data": [trace], "layout": layout(height, x | still, y | still, bargap=0)}


def _reach(low: float | None, high: float | None) -> float:
    return round(max(high - low, 0.0), 5) if low is not None and high is not None else 0.0


def importance_words(importance: Importance) -> str:
    """Return the columns that count most and those that are not shown to count, as sentences.

    Example:
        >>> age = ColumnImportance("age", "number", 0.25, 0.2, 0.3, 400)
        >>> importance_words(Importance("roc_auc", 0.9, 400, 400, 10, (age,)))
        'It decides most by age: shuffled between the rows, that column takes 0.250 of the ROC-AUC.'
    """
    known = importance.measured
    counted = [item for item in known if item.low is not None and item.low > 0]
    title = catalogue.metric(importance.metric).title
    if not counted:
        return "No single column is shown to count." if known else ""
    first, others = counted[0], counted[1:3]
    rest = " and ".join(f"{item.column} {decimal(item.drop)}" for item in others)
    idle = [item.column for item in known if item not in counted]
    return (
        f"It decides most by {first.column}: shuffled between the rows, that column takes "
        f"{decimal(first.drop)} of the {title}{f'; {rest}' if rest else ''}."
        + (f" Not shown to count: {', '.join(idle)}." if idle else "")
    )
