"""What a pretraining learned: its error beside that of guesses, and series that it filled in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graft.core.verdicts import Comparison, PairedDifference
from graft.metrics import catalogue
from graft.report.chart import Chart, Figure, Key, NotMeasured, Panel, hover, layout, rounded
from graft.report.numerals import decimal, interval, plural
from graft.report.palette import GREY, ORANGE

TRUTH, MODEL, HIDDEN = "truth", "model", "hidden"
GUESS_WORDS = {
    "mean": "mean of what is seen",
    "last": "last value seen",
    "linear": "straight line between values seen",
    "chance": "telling rows at random",
}
MOST_CHANNELS = 6
_CHANNEL_HEIGHT = 96
_HEADINGS = {
    "reconstruction": ("Held-out series, filled in", "masked values"),
    "forecast": ("Held-out series, forecast", "the last steps"),
}


def learned(comparison: Comparison) -> Chart | NotMeasured:
    """Return the error of the model beside that of every guess, a panel for each objective.

    Args:
        comparison: The model against the guesses.
    """
    ident, title = "learned", "What it learned"
    metrics = list(dict.fromkeys(item.metric for item in comparison.pairs))
    known = [item for item in comparison.pairs if item.difference is not None]
    if not known:
        return NotMeasured(ident, title, "nothing was hidden in the held-out rows")
    panels = [
        Panel(catalogue.metric(metric).title, _bars([i for i in known if i.metric == metric]))
        for metric in metrics
        if any(item.metric == metric for item in known)
    ]
    reading = (
        "Errors on the held-out rows, shorter is better; a guess needs no model. The line on a bar "
        "is the 95 % interval of its difference to the model, drawn around the bar's end."
    )
    keys = (Key(MODEL, "pretrained model", ORANGE), Key("guess", "guess without a model", GREY))
    return Chart(ident, title, reading, tuple(panels), _table(known), "comparison.json", keys)


def guess_words(name: str) -> str:
    """Return a guess in words.

    Example:
        >>> guess_words("last")
        'last value seen'
    """
    return GUESS_WORDS.get(name, name)


def _bars(items: Sequence[PairedDifference]) -> Figure:
    guesses: Figure = {
        "type": "bar",
        "orientation": "h",
        "legendgroup": "guess",
        "y": [guess_words(item.reference) for item in items],
        "x": rounded([item.reference_value or 0.0 for item in items]),
        "marker": {"color": GREY},
        # Model minus guess lies between low and high: the guess is that far above the model.
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": rounded([_beyond(item.difference, item.low) for item in items]),
            "arrayminus": rounded([_beyond(item.high, item.difference) for item in items]),
            "color": "@ink",
            "thickness": 1.4,
        },
        "hoverinfo": "text",
        "hovertext": [hover([guess_words(item.reference), *_facts(item)]) for item in items],
    }
    model: Figure = {
        "type": "bar",
        "orientation": "h",
        "legendgroup": MODEL,
        "y": ["pretrained model"],
        "x": rounded([items[0].candidate_value or 0.0]),
        "marker": {"color": ORANGE},
        "hoverinfo": "text",
        "hovertext": [hover(["pretrained model", decimal(items[0].candidate_value)])],
    }
    axis = {"autorange": "reversed", "title": {"text": ""}}
    return {
        "data": [model, guesses],
        "layout": layout(60 + 44 * (len(items) + 1), {"title": {"text": "error"}}, axis),
    }


def _beyond(above: float | None, below: float | None) -> float:
    return 0.0 if above is None or below is None else max(0.0, above - below)


def _facts(item: PairedDifference) -> list[str]:
    return [
        decimal(item.reference_value),
        f"model minus guess {interval(item.low, item.high, 3, True)}, {plural(item.n, 'row')}",
    ]


def _table(items: Sequence[PairedDifference]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "error": catalogue.metric(item.metric).title,
            "guess": guess_words(item.reference),
            "model": item.candidate_value,
            "of the guess": item.reference_value,
            "difference": item.difference,
            "low": item.low,
            "high": item.high,
            "p": item.p_permutation,
            "rows": item.n,
            "verdict": item.verdict.value.replace("_", " "),
        }
        for item in items
    )


def pictures(shown: pd.DataFrame | None) -> Iterator[Chart | NotMeasured]:
    """Yield for each objective the held-out series, what was hidden shaded, truth and model.

    Args:
        shown: A line for each value: objective, row, channel, step, value, hidden, model.
    """
    if shown is None or shown.empty:
        yield NotMeasured("reconstruction", "Pictures", "no objective guesses values")
        return
    for objective, part in shown.groupby("objective", sort=False):
        title, what = _HEADINGS[str(objective)]
        channels = list(dict.fromkeys(part["channel"]))
        cut = f" The first {MOST_CHANNELS} of {len(channels)} channels." * (
            len(channels) > MOST_CHANNELS
        )
        panels = [
            Panel(str(row), _picture(lines, channels[:MOST_CHANNELS]))
            for row, lines in part.groupby("row", sort=False)
        ]
        reading = (
            f"Shaded is what the model did not see, {what}: the line is the truth, the dots are "
            f"what it says from all that is not shaded. Rows were drawn by the seed.{cut}"
        )
        keys = (
            Key(TRUTH, "truth", GREY, "line", "solid"),
            Key(MODEL, "model, where it could not see", ORANGE, "circle"),
        )
        table = part[part["hidden"]].drop(columns="hidden")
        yield Chart(
            str(objective), title, reading, tuple(panels), table, "predictions/shown.parquet", keys
        )


def _picture(lines: pd.DataFrame, channels: Sequence[str]) -> Figure:
    """Return one series, its channels one above the other over the same steps."""
    traces: list[Figure] = []
    shapes: list[Figure] = []
    axes: dict[str, Any] = {}
    height = 1 / len(channels)
    gap = 0.16 * height
    for place, channel in enumerate(channels):
        own = lines[lines["channel"] == channel]
        axis = "" if place == 0 else str(place + 1)
        top = 1 - place * height
        axes[f"yaxis{axis}"] = {
            "domain": [max(0.0, top - height + gap), top],
            "title": {"text": str(channel), "standoff": 4},
            "automargin": True,
            "gridcolor": "@line",
            "zeroline": False,
            "nticks": 4,
        }
        traces += _lines(own, axis)
        shapes += [
            {
                "type": "rect",
                "xref": "x",
                "yref": f"y{axis} domain",
                "x0": first - 0.5,
                "x1": last + 0.5,
                "y0": 0,
                "y1": 1,
                "fillcolor": "@line",
                "opacity": 0.8,
                "line": {"width": 0},
                "layer": "below",
            }
            for first, last in stretches(own["step"].to_numpy(), own["hidden"].to_numpy())
        ]
    bottom = "y" if len(channels) == 1 else f"y{len(channels)}"
    whole = layout(40 + _CHANNEL_HEIGHT * len(channels), {"title": {"text": "step"}}, shapes=shapes)
    whole["xaxis"] = {**whole["xaxis"], "anchor": bottom}
    return {"data": traces, "layout": {**whole, **axes}}


def _lines(own: pd.DataFrame, axis: str) -> list[Figure]:
    hidden = own["hidden"].to_numpy() & own["value"].notna().to_numpy()
    steps = [int(step) for step in own["step"]]
    common = {"type": "scatter", "x": steps, "xaxis": "x", "yaxis": f"y{axis}"}
    said = np.where(hidden, own["model"].to_numpy(dtype=float), np.nan)
    return [
        {
            **common,
            "mode": "lines",
            "legendgroup": TRUTH,
            "y": rounded(own["value"]),
            "line": {"color": GREY, "width": 1.6},
            "hoverinfo": "skip",
        },
        {
            **common,
            "mode": "lines+markers",
            "legendgroup": MODEL,
            "y": rounded(said),
            "line": {"color": ORANGE, "width": 1.2},
            "marker": {"color": ORANGE, "size": 4.5},
            "hoverinfo": "text",
            "hovertext": [
                hover([f"step {step}", f"truth {decimal(value)}", f"model {decimal(guess)}"])
                for step, value, guess in zip(steps, own["value"], said, strict=True)
            ],
        },
    ]


def stretches(steps: np.ndarray, hidden: np.ndarray) -> list[tuple[int, int]]:
    """Return first and last step of each stretch that is hidden.

    Example:
        >>> stretches(np.arange(5), np.array([True, True, False, False, True]))
        [(0, 1), (4, 4)]
    """
    edges = np.diff(np.concatenate([[0], hidden.astype(int), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return [(int(steps[a]), int(steps[b])) for a, b in zip(starts, ends, strict=True)]
