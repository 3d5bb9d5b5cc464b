"""How predicted numbers stand to the true ones: side by side, and what is left between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from graft.report.chart import (
    Chart,
    Figure,
    NotMeasured,
    Panel,
    hover,
    layout,
    rounded,
    text_columns,
    thinned,
)
from graft.report.numerals import decimal
from graft.report.palette import RunStyle
from graft.report.predictions import FILES, Frames, Styles, scored

TENTHS = 10
REASON = "no run has test predictions with a number and a label"


def predicted_numbers(frames: Frames, styles: Styles, slices: Sequence[str]) -> Chart | NotMeasured:
    """Return the predicted number of each row against its true one, run by run.

    Args:
        frames: Test predictions per run: score, label, texts.
        styles: Runs to draw, in their order.
        slices: Columns that are slices and not texts.
    """
    ident, title = "predicted", "Predicted and true numbers"
    rows = _shown(frames, styles)
    if not rows:
        return NotMeasured(ident, title, REASON)
    low, high = _range([frame[name] for frame in rows.values() for name in ("label", "score")])
    diagonal = _line([low, high], [low, high])
    axis = {"range": [low, high], "fixedrange": True}
    panels = tuple(
        Panel(
            styles[name].title,
            {
                "data": [
                    diagonal,
                    _dots(frame, frame["label"], frame["score"], styles[name], slices),
                ],
                "layout": layout(
                    340,
                    {**axis, "title": {"text": "true number"}},
                    {**axis, "title": {"text": "predicted number"}},
                ),
            },
        )
        for name, frame in rows.items()
    )
    reading = (
        "Each dot is a test row; on the dotted diagonal the prediction is right. A cloud that is "
        "flatter than the diagonal means that large numbers are predicted too small and small ones "
        "too large. The table gathers the rows by tenths of the true number."
    )
    tables = [_tenths(frame, "label", styles[name].title) for name, frame in rows.items()]
    return Chart(ident, title, reading, panels, pd.concat(tables), FILES)


def residuals(frames: Frames, styles: Styles, slices: Sequence[str]) -> Chart | NotMeasured:
    """Return what is left, true minus predicted, by the predicted number, run by run.

    Args:
        frames: Test predictions per run: score, label, texts.
        styles: Runs to draw, in their order.
        slices: Columns that are slices and not texts.
    """
    ident, title = "residuals", "What is left, by predicted number"
    rows = _shown(frames, styles)
    if not rows:
        return NotMeasured(ident, title, REASON)
    left = {name: frame["label"] - frame["score"] for name, frame in rows.items()}
    low, high = _range([frame["score"] for frame in rows.values()])
    bottom, top = _range(list(left.values()))
    tables = {name: _tenths(frame, "score", styles[name].title) for name, frame in rows.items()}
    panels = tuple(
        Panel(
            styles[name].title,
            {
                "data": [
                    _line([low, high], [0.0, 0.0]),
                    _dots(frame, frame["score"], left[name], styles[name], slices),
                    _means(tables[name], styles[name]),
                ],
                "layout": layout(
                    300,
                    {"range": [low, high], "fixedrange": True, "title": {"text": "predicted"}},
                    {
                        "range": [bottom, top],
                        "fixedrange": True,
                        "title": {"text": "true − predicted"},
                    },
                ),
            },
        )
        for name, frame in rows.items()
    )
    reading = (
        "Each dot is a test row; above the dotted line the true number is larger than the "
        "predicted one. The line joins the means of tenths of the rows: where it leaves zero, the "
        "run is wrong in one direction; where the dots spread more, it is less sure."
    )
    return Chart(ident, title, reading, panels, pd.concat(tables.values()), FILES)


def _shown(frames: Frames, styles: Styles) -> dict[str, pd.DataFrame]:
    usable = scored(frames)
    return {name: usable[name] for name in styles if name in usable}


def _range(columns: Sequence[pd.Series[float]]) -> tuple[float, float]:
    values = pd.concat(list(columns))
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _line(x: list[float], y: list[float]) -> Figure:
    line = {"color": "@muted", "width": 1, "dash": "dot"}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip", "line": line}


def _dots(
    frame: pd.DataFrame,
    x: pd.Series[float],
    y: pd.Series[float],
    style: RunStyle,
    slices: Sequence[str],
) -> Figure:
    at = thinned(len(frame))
    chosen = frame.iloc[at]
    texts = chosen[text_columns(chosen, slices)]
    labels = [
        hover([style.title, f"true {decimal(true)}", f"predicted {decimal(said)}"], values)
        for true, said, values in zip(
            chosen["label"], chosen["score"], texts.itertuples(index=False), strict=True
        )
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(x.iloc[at]),
        "y": rounded(y.iloc[at]),
        "hoverinfo": "text",
        "hovertext": labels,
        "marker": {"color": style.colour, "symbol": style.symbol, "size": 5, "opacity": 0.6},
    }


def _means(table: pd.DataFrame, style: RunStyle) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": rounded(table["mean predicted"]),
        "y": rounded(table["mean true"] - table["mean predicted"]),
        "hoverinfo": "skip",
        "line": {"color": style.colour, "width": 2, "dash": style.dash},
    }


def _tenths(frame: pd.DataFrame, by: str, title: str) -> pd.DataFrame:
    """Return rows and means of the tenths of the rows by one column."""
    edges = np.unique(np.quantile(frame[by], np.linspace(0, 1, TENTHS + 1)[1:-1]))
    tenth = np.searchsorted(edges, frame[by], side="left")
    records = [
        {
            "run": title,
            "from": part[by].min(),
            "to": part[by].max(),
            "rows": len(part),
            "mean true": part["label"].mean(),
            "mean predicted": part["score"].mean(),
            "mean distance": (part["label"] - part["score"]).abs().mean(),
        }
        for _, part in frame.groupby(tenth)
    ]
    return pd.DataFrame(records)
