"""What training looked like: the loss and the metric on validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graft.core.ledger import StateChange
from graft.metrics.catalogue import CATALOGUE
from graft.report.chart import (
    Chart,
    Figure,
    Key,
    NotMeasured,
    Panel,
    hover,
    layout,
    rounded,
    thinned,
)
from graft.report.charts_changes import Axis, change_lines, change_marks
from graft.report.numerals import count, decimal
from graft.report.palette import RunStyle
from graft.report.predictions import Styles

Records = Mapping[str, Sequence[dict[str, Any]]]
Changes = Mapping[str, Sequence[StateChange]]
MOST_STEPS = 400
_THAWS = " Dotted lines are thaws, each in the colour of its run."
MOST_KEPT = 6  # kept checkpoints that one sentence can name
# What trainers log beside their metrics: how long the evaluation took.
_CLOCKS = ("_runtime", "_per_second", "_time")


def loss(histories: Records, styles: Styles, changes: Changes | None = None) -> Chart | NotMeasured:
    """Return the training loss of every arm, raw and smoothed, with its thaws.

    Args:
        histories: Step records per run: step, epoch, loss, grad_norm, rows, seconds.
        styles: Look of every run.
        changes: What changed on the way, per run.
    """
    ident, title = "loss", "Training loss"
    found = {name: _losses(histories.get(name, ())) for name in styles}
    frames = {name: frame for name, frame in found.items() if len(frame)}
    if not frames:
        return NotMeasured(ident, title, "no run has a training history with a loss")
    traces: list[Figure] = []
    for name, frame in frames.items():
        style = styles[name]
        smooth = frame["loss"].ewm(span=_span(len(frame))).mean()
        chosen = thinned(len(frame), MOST_STEPS)
        steps = [int(step) for step in frame["step"].iloc[chosen]]
        common = {"type": "scatter", "mode": "lines", "x": steps, "legendgroup": style.name}
        faint = {"color": style.colour, "width": 1}
        traces.append(
            {
                **common,
                "y": rounded(frame["loss"].iloc[chosen]),
                "line": faint,
                "opacity": 0.45,
                "hoverinfo": "skip",
            }
        )
        traces.append(
            {
                **common,
                "y": rounded(smooth.iloc[chosen]),
                "line": {"color": style.colour, "width": 2.5},
                "hoverinfo": "text",
                "hovertext": [
                    hover([style.title, f"step {count(step)}, loss {decimal(raw)}"])
                    for step, raw in zip(steps, frame["loss"].iloc[chosen], strict=True)
                ],
            }
        )
    marks, lines = _changes(changes, styles, list(frames), "step", 0.0)
    figure: Figure = {
        "data": traces + marks,
        "layout": layout(
            320,
            {"title": {"text": "step"}},
            {"title": {"text": "loss"}, "rangemode": "tozero"},
            shapes=lines,
        ),
    }
    reading = "Faint lines are the loss of every logged step, strong lines a moving average"
    reading += (
        "; the losses of two arms compare only if they have the same loss function."
        if len(frames) > 1
        else "."
    )
    reading += _THAWS if lines else ""
    columns = ["run", "step", "epoch", "loss", "grad_norm", "rows", "seconds"]
    table = pd.concat(frame.assign(run=styles[name].title) for name, frame in frames.items())
    table = table[[column for column in columns if column in table]]
    return Chart(
        ident,
        title,
        reading,
        (Panel("", figure),),
        table,
        "<run>/history.jsonl",
        _keys(frames, styles),
    )


def _losses(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the steps that have a loss: a trainer may log it every few steps only."""
    return pd.DataFrame([record for record in records if record.get("loss") is not None])


def _span(steps: int) -> int:
    return max(5, steps // 20)


def _changes(
    changes: Changes | None, styles: Styles, runs: Sequence[str], axis: Axis, height: float
) -> tuple[list[Figure], list[Figure]]:
    """Return the marks and the lines of what changed in the runs, each in the colour of its run."""
    marks, lines = list[Figure](), list[Figure]()
    for name in runs:
        found, style = (changes or {}).get(name, ()), styles[name]
        own = change_marks(found, axis, height, style.colour, style.title)
        marks += [{**mark, "legendgroup": style.name} for mark in own]
        lines += change_lines(found, axis, style.colour)
    return marks, lines


def validation(
    histories: Records, styles: Styles, changes: Changes | None = None
) -> Chart | NotMeasured:
    """Return the metrics on the validation split during training, the kept checkpoint marked.

    Args:
        histories: Evaluation records per run: step, metrics; epoch and best where known.
        styles: Look of every run.
        changes: What changed on the way, per run.
    """
    ident, title = "validation", "Validation during training"
    records = [
        {
            "run_key": name,
            "run": styles[name].title,
            "step": record["step"],
            "epoch": record.get("epoch"),
            "metric": metric,
            "value": value,
            "best": bool(record.get("best")),
        }
        for name in styles
        for record in histories.get(name, ())
        for metric, value in record["metrics"].items()
        if not metric.endswith(_CLOCKS)
    ]
    if not records:
        return NotMeasured(ident, title, "nothing was evaluated during training")
    table = pd.DataFrame(records)
    axis: Axis = "step" if table["epoch"].isna().any() else "epoch"
    lines = _changes(changes, styles, list(table["run_key"].unique()), axis, 0.0)[1]
    panels = []
    for metric, part in table.groupby("metric", sort=False):
        traces = [
            _evaluations(group, styles[str(name)], axis)
            for name, group in part.groupby("run_key", sort=False)
        ]
        plain = str(metric).removeprefix("validation_")
        words = CATALOGUE[plain].title if plain in CATALOGUE else str(metric).replace("_", " ")
        panels.append(
            Panel(
                words,
                {
                    "data": traces,
                    "layout": layout(
                        300, {"title": {"text": axis}}, {"title": {"text": ""}}, shapes=lines
                    ),
                },
            )
        )
    kept = table[table["best"]].groupby("run", sort=False)["step"].last()
    reading = "What was measured on the rows held out for choosing a checkpoint"
    if 0 < len(kept) <= MOST_KEPT:
        stars = ", ".join(f"{run}: step {count(step)}" for run, step in kept.items())
        reading += f"; the large star is the last best one ({stars})"
    reading += "." + (_THAWS if lines else "")
    return Chart(
        ident,
        title,
        reading,
        tuple(panels),
        table.drop(columns="run_key"),
        "<run>/history.jsonl",
        _keys(table["run_key"], styles),
    )


def _keys(names: Iterable[str], styles: Styles) -> tuple[Key, ...]:
    """Return the legend: one entry for all seeds of an arm."""
    return tuple(dict.fromkeys(styles[styles[name].name].key(line=True) for name in names))


def _evaluations(group: pd.DataFrame, style: RunStyle, axis: str) -> Figure:
    best = group["best"].to_numpy()
    last = int(np.flatnonzero(best)[-1]) if best.any() else -1
    marks = [position == last for position in range(len(group))]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "legendgroup": style.name,
        "x": rounded(group[axis]),
        "y": rounded(group["value"]),
        "line": {"color": style.colour, "width": 2},
        "marker": {
            "color": style.colour,
            "size": [14 if mark else 6 for mark in marks],
            "symbol": ["star" if mark else style.symbol for mark in marks],
        },
        "hoverinfo": "text",
        "hovertext": [
            hover(
                [
                    style.title,
                    *([f"epoch {epoch:.2f}"] if axis == "epoch" else []),
                    f"step {count(step)}",
                    decimal(value),
                    *(["best so far"] if mark else []),
                ]
            )
            for epoch, step, value, mark in zip(
                group["epoch"], group["step"], group["value"], best, strict=True
            )
        ],
    }
