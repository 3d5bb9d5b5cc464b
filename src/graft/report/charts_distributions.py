"""How the scores of every run are distributed over the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from graft.report.chart import (
    MOST_POINTS,
    Chart,
    Figure,
    Key,
    NotMeasured,
    Panel,
    hover,
    label,
    layout,
    rounded,
    text_columns,
    thinned,
)
from graft.report.numerals import decimal
from graft.report.palette import NEGATIVE, POSITIVE
from graft.report.predictions import FILES, Frames, Styles, is_binary, scored

# The golden ratio spreads dots over a lane without chance and without a visible pattern.
GOLDEN = 0.618034


def distributions(
    frames: Frames, styles: Styles, slices: Sequence[str], classes: Sequence[str] = ()
) -> Chart | NotMeasured:
    """Return the distribution of the scores of every run, split by label.

    Args:
        frames: Test predictions per run: score, label, threshold, leaked, texts, slices.
        styles: Look of every run, in the order in which they are drawn from the top.
        slices: Columns that are slices and not texts.
        classes: Names of two classes; empty for labels that are numbers.
    """
    ident, title = "distributions", "Similarity distributions by label"
    if classes:
        title = f"Probability of the class {classes[-1]}, by class"
    rows = scored(frames)
    if not rows:
        return NotMeasured(ident, title, "no run has test predictions with a score and a label")
    cut = 0.5 if is_binary(rows) else _middle(rows)
    low_name, high_name = (
        ("label 0", "label 1") if is_binary(rows) else (f"label < {cut:g}", f"label ≥ {cut:g}")
    )
    if classes:
        low_name, high_name = (f"class {name}" for name in classes)
    names = [name for name in styles if name in rows]
    traces, shapes = list[Figure](), list[Figure]()
    for position, name in enumerate(names):
        level = len(names) - 1 - position
        traces += _row_traces(rows[name], level, cut, styles[name].title, slices)
        shapes += _threshold(rows[name], level)
    figure: Figure = {
        "data": traces,
        "layout": layout(
            90 + 105 * len(names),
            {"title": {"text": "probability" if classes else "score"}},
            {
                "tickvals": list(range(len(names)))[::-1],
                "ticktext": [label(styles[name].title, 14) for name in names],
                "range": [-0.5, len(names) - 0.35],
                "fixedrange": True,
                "showgrid": False,
            },
            shapes=shapes,
        ),
    }
    drawn = any(len(frame) > 2 * MOST_POINTS for frame in rows.values())
    reading = (
        "Curves are the densities, every dot is a test row (rings are leaked rows); the further "
        "the two colours stand apart, the better the run separates the labels. The dotted line is "
        "the decision threshold."
        + (f" At most {MOST_POINTS} dots are drawn per run and label." if drawn else "")
    )
    keys = (
        Key("positive", high_name, POSITIVE, "circle"),
        Key("negative", low_name, NEGATIVE, "diamond"),
    )
    table = _summary(rows, names, styles, cut, (low_name, high_name))
    return Chart(ident, title, reading, (Panel("", figure),), table, FILES, keys, wide=True)


def _middle(frames: Frames) -> float:
    labels = pd.concat([frame["label"] for frame in frames.values()])
    return float((labels.min() + labels.max()) / 2)


def _row_traces(
    frame: pd.DataFrame, level: int, cut: float, title: str, slices: Sequence[str]
) -> list[Figure]:
    low, high = float(frame["score"].min()), float(frame["score"].max())
    margin = 0.06 * (high - low) or 0.02
    grid = np.linspace(low - margin, high + margin, 90)
    groups = {
        "positive": (frame[frame["label"] >= cut], POSITIVE, "circle", -0.13),
        "negative": (frame[frame["label"] < cut], NEGATIVE, "diamond", -0.30),
    }
    curves = {key: _density(group["score"], grid) for key, (group, *_) in groups.items()}
    top = max((float(curve.max()) for curve in curves.values()), default=0.0) or 1.0
    traces: list[Figure] = []
    for key, (group, colour, symbol, lane) in groups.items():
        if not len(group):
            continue
        heights = level + 0.56 * curves[key] / top
        floor = {"x": [grid[0], grid[-1]], "y": [level, level]}
        common = {"type": "scatter", "legendgroup": key, "hoverinfo": "skip", "mode": "lines"}
        traces.append({**common, **floor, "line": {"width": 0}})
        traces.append(
            {
                **common,
                "x": rounded(grid),
                "y": rounded(heights),
                "fill": "tonexty",
                "fillcolor": f"{colour}40",
                "line": {"color": colour, "width": 1.5},
            }
        )
        traces.append(
            _dots(group, level + lane, colour, symbol, title, slices) | {"legendgroup": key}
        )
    return traces


def _density(values: pd.Series, grid: np.ndarray) -> np.ndarray:
    if not len(values):
        return np.zeros_like(grid)
    array = values.to_numpy(dtype=float)
    # Silverman's rule, with a floor so that a constant score is a narrow peak and not a division
    # by zero.
    width = max(0.9 * array.std() * len(array) ** -0.2, 0.012 * (grid[-1] - grid[0]))
    places, weights = np.unique(np.round(array, 3), return_counts=True)
    kernel = np.exp(-0.5 * ((grid[:, None] - places[None, :]) / width) ** 2)
    density: np.ndarray = kernel @ weights / width
    return density


def _dots(
    group: pd.DataFrame, lane: float, colour: str, symbol: str, title: str, slices: Sequence[str]
) -> Figure:
    chosen = group.iloc[thinned(len(group))]
    texts = text_columns(chosen, slices)
    leaked = (
        chosen["leaked"].astype(bool) if "leaked" in chosen else pd.Series([False] * len(chosen))
    )
    labels = [
        hover(
            [
                f"{title}: score {decimal(score)}, label {answer:g}",
                *(["leaked"] if out else []),
            ],
            values,
        )
        for score, answer, out, values in zip(
            chosen["score"],
            chosen["label"],
            leaked,
            chosen[texts].itertuples(index=False),
            strict=True,
        )
    ]
    offsets = (np.arange(len(chosen)) * GOLDEN) % 1 - 0.5
    return {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(chosen["score"]),
        "y": rounded(lane + 0.12 * offsets),
        "hoverinfo": "text",
        "hovertext": labels,
        "marker": {
            "color": colour,
            "size": 5,
            "opacity": 0.6,
            "symbol": [f"{symbol}-open" if out else symbol for out in leaked],
        },
    }


def _threshold(frame: pd.DataFrame, level: int) -> list[Figure]:
    if "threshold" not in frame or frame["threshold"].isna().all():
        return []
    value = float(frame["threshold"].dropna().iloc[0])
    line = {"color": "@ink", "width": 1.5, "dash": "dot"}
    return [
        {
            "type": "line",
            "x0": value,
            "x1": value,
            "y0": level - 0.4,
            "y1": level + 0.58,
            "line": line,
        }
    ]


def _summary(
    rows: Frames, names: list[str], styles: Styles, cut: float, labels: tuple[str, str]
) -> pd.DataFrame:
    records = []
    for name in names:
        for text, group in zip(
            reversed(labels),
            (rows[name][rows[name]["label"] >= cut], rows[name][rows[name]["label"] < cut]),
            strict=True,
        ):
            records.append(
                {
                    "run": styles[name].title,
                    "label": text,
                    "rows": len(group),
                    "mean": group["score"].mean(),
                    **{f"{q} %": group["score"].quantile(q / 100) for q in (5, 25, 50, 75, 95)},
                }
            )
    return pd.DataFrame(records)
