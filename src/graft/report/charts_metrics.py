"""Charts of the metrics of all runs, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from graft.core.roles import Split
from graft.core.scores import Metric, Score, ScoreBook
from graft.report.chart import Chart, Figure, NotMeasured, Panel, hover, label, layout
from graft.report.numerals import count, decimal, interval
from graft.report.palette import RunStyle
from graft.report.predictions import Styles

# Scores of one metric by run and subset.
Marks = dict[tuple[str, str], Score]
SMALL_MARKS = " Small marks underneath are the clean rows."
SUBSETS = {"all": "all rows", "clean": "clean rows"}


def effect_sizes(books: Mapping[str, ScoreBook], styles: Styles) -> Chart | NotMeasured:
    """Return Cohen's d of every run with its interval.

    Args:
        books: Scores per run.
        styles: Look of every run.
    """
    ident, title = "effects", "Effect sizes (Cohen's d)"
    marks = measured(books, styles, "cohens_d")
    if all(score.value is None for score in marks.values()):
        return NotMeasured(ident, title, "no run has a Cohen's d on the test split")
    reading = (
        "How many standard deviations lie between the mean scores of positives and negatives, with "
        "95 % intervals; 0.8 already counts as large, below zero the run is inverted."
        + (SMALL_MARKS if _has_clean(marks) else "")
    )
    panel = Panel("", _figure(marks, styles, "standard deviations", bars=False))
    keys = tuple(style.key() for name, style in styles.items() if (name, "all") in marks)
    table = _table(marks, styles)
    return Chart(ident, title, reading, (panel,), table, "<run>/scores.json", keys, wide=True)


def comparison(
    books: Mapping[str, ScoreBook], styles: Styles, metrics: Sequence[Metric]
) -> Chart | NotMeasured:
    """Return every metric of every run as a bar with its interval.

    Args:
        books: Scores per run.
        styles: Look of every run.
        metrics: Metrics to draw, one panel each.
    """
    ident, title = "comparison-bars", "Metrics of all runs"
    panels, tables, clean = [], [], False
    for metric in metrics:
        marks = measured(books, styles, metric.name)
        if any(score.value is not None for score in marks.values()):
            heading = f"{metric.title} {'↑' if metric.higher_is_better else '↓'}"
            panels.append(Panel(heading, _figure(marks, styles, metric.unit, bars=True)))
            tables.append(_table(marks, styles))
            clean = clean or _has_clean(marks)
    if not panels:
        return NotMeasured(ident, title, "no run has scores on the test split")
    reading = "Bars are the test rows, whiskers the 95 % bootstrap intervals." + (
        SMALL_MARKS if clean else ""
    )
    keys = tuple(style.key() for name, style in styles.items() if name in books)
    table = pd.concat(tables)
    return Chart(ident, title, reading, tuple(panels), table, "<run>/scores.json", keys)


def measured(books: Mapping[str, ScoreBook], styles: Styles, metric: str) -> Marks:
    """Return the scores of one metric on the test split, by run and subset (`all`, `clean`)."""
    return {
        (name, scores.subset): scores[metric]
        for name in styles
        if name in books
        for scores in books[name].items
        if scores.split == Split.test and scores.subset in SUBSETS and metric in scores.names
    }


def _has_clean(marks: Marks) -> bool:
    return any(subset == "clean" for _, subset in marks)


def _table(marks: Marks, styles: Styles) -> pd.DataFrame:
    records = [
        {
            "metric": score.metric,
            "run": styles[name].title,
            "subset": subset,
            "value": score.value,
            "low": score.low,
            "high": score.high,
            "rows": score.n,
            "note": score.note,
        }
        for (name, subset), score in marks.items()
    ]
    return pd.DataFrame(records).astype({"value": float, "low": float, "high": float})


def _figure(marks: Marks, styles: Styles, unit: str, *, bars: bool) -> Figure:
    names = [name for name in styles if any(run == name for run, _ in marks)]
    levels = {name: len(names) - 1 - position for position, name in enumerate(names)}
    traces = [
        _mark(score, score.value, subset == "clean", levels[name], styles[name], bars)
        for (name, subset), score in marks.items()
        if score.value is not None
    ]
    traces += [
        _absence(score, levels[name], name)
        for (name, subset), score in marks.items()
        if score.value is None and subset == "all"
    ]
    x = {"title": {"text": unit}, "zeroline": True, "zerolinecolor": "@muted", "nticks": 6}
    ticks = [label(styles[name].title, 15) for name in names]
    y = {"tickvals": list(levels.values()), "ticktext": ticks, "range": [-0.6, len(names) - 0.4]}
    height = (56 if bars else 70) + (34 if bars else 46) * len(names)
    still = {"fixedrange": True}
    more = {"bargap": 0}
    return {
        "data": traces,
        "layout": layout(height, x | still, {**y, **still, "showgrid": False}, **more),
    }


def _absence(score: Score, level: int, name: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "text",
        "legendgroup": name,
        "x": [0],
        "y": [level + 0.1],
        "text": [" not measured"],
        "textposition": "middle right",
        "textfont": {"size": 11, "color": "@muted"},
        "hoverinfo": "text",
        "hovertext": [hover([score.note or "no reason was recorded"])],
    }


def _mark(
    score: Score, value: float, clean: bool, level: int, style: RunStyle, bars: bool
) -> Figure:
    facts = [
        f"{style.title}, {SUBSETS['clean' if clean else 'all']}",
        f"{score.metric} {decimal(value)}",
        f"n = {count(score.n)}",
    ]
    error: Figure = {"visible": False}
    if score.low is not None and score.high is not None:
        facts.append(f"95 % interval {interval(score.low, score.high)}")
        error = {
            "type": "data",
            "symmetric": False,
            "array": [round(max(score.high - value, 0), 5)],
            "arrayminus": [round(max(value - score.low, 0), 5)],
            "thickness": 1 if clean else 1.6,
            "width": 0 if clean else 4,
            "color": style.colour if clean or not bars else "@ink",
        }
    trace: Figure = {
        "legendgroup": style.name,
        "x": [round(value, 5)],
        "error_x": error,
        "hoverinfo": "text",
        "hovertext": [hover([*facts, *([score.note] if score.note else [])])],
    }
    if bars and not clean:
        look = {"color": style.colour, "opacity": 0.85 if style.dash == "solid" else 0.5}
        shape = {"type": "bar", "orientation": "h", "y": [level + 0.1], "width": 0.46}
        return {**trace, **shape, "marker": look}
    marker = {"color": style.colour, "symbol": style.symbol, "size": 6 if clean else 11}
    place = level - 0.28 if clean else level + 0.1
    return {**trace, "type": "scatter", "mode": "markers", "y": [place], "marker": marker}
