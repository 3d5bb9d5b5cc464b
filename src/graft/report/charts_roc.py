"""How well every run ranks the test rows, at all thresholds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score, roc_curve

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
from graft.report.numerals import count, decimal
from graft.report.palette import RunStyle
from graft.report.predictions import FILES, Frames, Styles, is_binary, scored


def roc(frames: Frames, styles: Styles) -> Chart | NotMeasured:
    """Return the ROC curve of every run, with the point at its threshold marked.

    Args:
        frames: Test predictions per run: score, label 0 or 1, threshold.
        styles: Look of every run.
    """
    ident, title = "roc", "ROC curves"
    rows = {name: frame for name, frame in scored(frames).items() if frame["label"].nunique() == 2}
    if not rows or not is_binary(rows):
        return NotMeasured(ident, title, "labels of two kinds, 0 and 1, and a score are needed")
    names = [name for name in styles if name in rows]
    diagonal = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip"}
    traces: list[Figure] = [{**diagonal, "line": {"color": "@mid", "width": 1, "dash": "dot"}}]
    tables, keys = [], []
    for name in names:
        style, frame = styles[name], rows[name]
        false_rate, true_rate, thresholds = roc_curve(frame["label"], frame["score"])
        area = float(roc_auc_score(frame["label"], frame["score"]))
        chosen = thinned(len(false_rate))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": rounded(false_rate[chosen]),
                "y": rounded(true_rate[chosen]),
                "legendgroup": name,
                "line": {"color": style.colour, "width": 2.5, "dash": style.dash},
                "hoverinfo": "text",
                "hovertext": [
                    hover(
                        [
                            style.title,
                            f"threshold {decimal(thresholds[i])}",
                            f"true positive rate {decimal(true_rate[i])}",
                            f"false positive rate {decimal(false_rate[i])}",
                        ]
                    )
                    for i in chosen
                ],
            }
        )
        traces += _operating_point(frame, style)
        keys.append(
            Key(
                name, f"{style.title}, area {decimal(area)}", style.colour, style.symbol, style.dash
            )
        )
        finite = np.where(np.isfinite(thresholds), thresholds, np.nan)
        tables.append(
            pd.DataFrame(
                {
                    "run": style.title,
                    "threshold": finite,
                    "false positive rate": false_rate,
                    "true positive rate": true_rate,
                }
            )
        )
    axis = {"range": [-0.01, 1.01], "dtick": 0.25}
    figure: Figure = {
        "data": traces,
        "layout": layout(
            420,
            {**axis, "title": {"text": "false positive rate"}},
            {**axis, "title": {"text": "true positive rate"}},
        ),
    }
    reading = (
        "The closer a curve comes to the upper left corner, the better the run ranks; on the "
        "dotted diagonal it guesses, below it the ranking is inverted. Markers stand at the "
        "decision threshold."
    )
    return Chart(ident, title, reading, (Panel("", figure),), pd.concat(tables), FILES, tuple(keys))


def _operating_point(frame: pd.DataFrame, style: RunStyle) -> list[Figure]:
    if "threshold" not in frame or frame["threshold"].isna().all():
        return []
    threshold = float(frame["threshold"].dropna().iloc[0])
    positive, decided = frame["label"] == 1, frame["score"] >= threshold
    caught, wrong = int((positive & decided).sum()), int((~positive & decided).sum())
    facts = [
        f"{style.title} at threshold {decimal(threshold)}",
        f"{count(caught)} of {count(positive.sum())} found, {count(wrong)} false positives",
    ]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [wrong / int((~positive).sum())],
            "y": [caught / int(positive.sum())],
            "legendgroup": style.name,
            "marker": {
                "color": style.colour,
                "symbol": style.symbol,
                "size": 11,
                "line": {"width": 2, "color": style.colour},
            },
            "hoverinfo": "text",
            "hovertext": [hover(facts)],
        }
    ]
