"""The chart of arms that were trained with several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from graft.core.experiment import RunEntry
from graft.core.scores import Metric, Score, ScoreBook
from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, label, layout
from graft.report.charts_metrics import measured
from graft.report.numerals import decimal, interval
from graft.report.predictions import Styles

ROW_HEIGHT = 44


def seeds(
    books: Mapping[str, ScoreBook],
    styles: Styles,
    runs: Sequence[RunEntry],
    metrics: Sequence[Metric],
) -> Chart | NotMeasured:
    """Return the value of every seed of every arm, beside their mean and its interval.

    Args:
        books: Scores per run.
        styles: Look of every run.
        runs: Arms and baselines.
        metrics: Metrics to draw, one panel each.
    """
    ident, title = "seeds", "Every seed of every arm"
    entries = {run.name: run for run in runs if len(run.seeds) > 1 and run.name in books}
    panels, records = [], []
    for metric in metrics:
        found = measured(books, styles, metric.name)
        marks = {
            name: score
            for (name, subset), score in found.items()
            if subset == "all" and name in entries and score.by_seed
        }
        if any(score.value is not None for score in marks.values()):
            heading = f"{metric.title} {'↑' if metric.higher_is_better else '↓'}"
            panels.append(Panel(heading, _figure(marks, entries, styles, metric.unit)))
            records += _records(marks, entries, styles)
    if not panels:
        return NotMeasured(ident, title, "no arm has a score for each of several seeds")
    reading = (
        "Small dots are the seeds, the large mark is their mean, the whisker its 95 % interval "
        "over rows and seeds."
    )
    keys = tuple(styles[name].key() for name in entries)
    table = pd.DataFrame(records)
    return Chart(ident, title, reading, tuple(panels), table, "<run>/scores.json", keys)


def _records(
    marks: Mapping[str, Score], entries: Mapping[str, RunEntry], styles: Styles
) -> list[dict[str, object]]:
    return [
        {
            "metric": score.metric,
            "run": styles[name].title,
            "mean": score.value,
            "low": score.low,
            "high": score.high,
            **{
                f"seed {seed}": value
                for seed, value in zip(entries[name].seeds, score.by_seed, strict=True)
            },
        }
        for name, score in marks.items()
    ]


def _figure(
    marks: Mapping[str, Score], entries: Mapping[str, RunEntry], styles: Styles, unit: str
) -> Figure:
    levels = {name: len(marks) - 1 - place for place, name in enumerate(marks)}
    traces = [
        trace
        for name, score in marks.items()
        for trace in (
            _dots(score, entries[name], styles, levels[name]),
            *_mean(score, name, styles, levels[name]),
        )
    ]
    x = {"title": {"text": unit}, "nticks": 6, "fixedrange": True}
    ticks = [label(styles[name].title, 15) for name in marks]
    y = {"tickvals": list(levels.values()), "ticktext": ticks, "range": [-0.6, len(marks) - 0.4]}
    height = 60 + ROW_HEIGHT * len(marks)
    return {
        "data": traces,
        "layout": layout(height, x, {**y, "fixedrange": True, "showgrid": False}),
    }


def _dots(score: Score, entry: RunEntry, styles: Styles, level: int) -> Figure:
    known = [
        (seed, value)
        for seed, value in zip(entry.seeds, score.by_seed, strict=True)
        if value is not None
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "legendgroup": entry.name,
        "x": [round(value, 5) for _, value in known],
        "y": [level - 0.22] * len(known),
        "marker": {"color": styles[entry.name].colour, "size": 7, "opacity": 0.6},
        "hoverinfo": "text",
        "hovertext": [
            hover([styles[entry.name].title, f"seed {seed}", f"{score.metric} {decimal(value)}"])
            for seed, value in known
        ],
    }


def _mean(score: Score, name: str, styles: Styles, level: int) -> list[Figure]:
    if score.value is None:
        return []
    style, value = styles[name], score.value
    facts = [style.title, f"{score.metric}, mean of {len(score.by_seed)} seeds: {decimal(value)}"]
    error: Figure = {"visible": False}
    if score.low is not None and score.high is not None:
        facts.append(f"95 % interval {interval(score.low, score.high)}")
        error = {
            "type": "data",
            "symmetric": False,
            "array": [round(max(score.high - value, 0), 5)],
            "arrayminus": [round(max(value - score.low, 0), 5)],
            "thickness": 1.6,
            "width": 4,
            "color": style.colour,
        }
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "legendgroup": name,
            "x": [round(value, 5)],
            "y": [level + 0.14],
            "error_x": error,
            "marker": {"color": style.colour, "symbol": style.symbol, "size": 11},
            "hoverinfo": "text",
            "hovertext": [hover(facts)],
        }
    ]
