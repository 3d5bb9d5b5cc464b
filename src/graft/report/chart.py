"""What a chart is: panels, a key, how to read it, and the table that it shows."""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Figure = dict[str, Any]
# Drawn points per run and group; the table and the Parquet file always hold every row.
MOST_POINTS = 300


@dataclass(frozen=True)
class Key:
    """One entry of a chart's legend.

    Args:
        key: `legendgroup` of the traces that it stands for.
        label: Words for people.
        colour: CSS colour.
        symbol: Marker: `circle`, `square`, `diamond`, `triangle-up`, `cross`, `x`, `line`.
        dash: Line: `solid`, `dash`, `dot`; empty if the traces have no line.
        hollow: True for a marker without filling.
    """

    key: str
    label: str
    colour: str
    symbol: str = "square"
    dash: str = ""
    hollow: bool = False


@dataclass(frozen=True)
class Panel:
    """One plot of a chart; panels lie side by side where there is room.

    Args:
        title: Its heading, empty if the chart has one panel.
        note: A few words under the heading.
        figure: Plotly's `data` and `layout`. A colour that begins with `@` (`@ink`, `@muted`,
            `@line`, `@paper`, `@mid`) is replaced by that of the light or dark theme.
    """

    title: str
    figure: Figure
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart with everything that is needed to read it and to check it.

    Args:
        id: Fixed id in the page.
        title: What it shows.
        reading: One sentence: how to read it.
        panels: The plots.
        table: The data behind the chart.
        source: Files that hold the whole table.
        keys: The legend.
        wide: True if every panel needs the full width.
    """

    id: str
    title: str
    reading: str
    panels: tuple[Panel, ...]
    table: pd.DataFrame
    source: str
    keys: tuple[Key, ...] = ()
    wide: bool = False


@dataclass(frozen=True)
class NotMeasured:
    """A chart that cannot be drawn, and why."""

    id: str
    title: str
    reason: str


def layout(height: int, x: Figure | None = None, y: Figure | None = None, **more: object) -> Figure:
    """Return a quiet layout: hairlines, no legend, room for long labels.

    Args:
        height: Pixels.
        x: Settings of the horizontal axis.
        y: Settings of the vertical axis.
        **more: Anything else that Plotly's layout takes.
    """
    axis = {"automargin": True, "gridcolor": "@line", "linecolor": "@line", "zeroline": False}
    return {
        "height": height,
        "margin": {"l": 10, "r": 14, "t": 8, "b": 10},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {**axis, **(x or {})},
        "yaxis": {**axis, **(y or {})},
        **more,
    }


def escaped(text: object) -> str:
    """Return text that Plotly, which renders a subset of HTML, shows as it is.

    Example:
        >>> escaped("<b>a & b</b>")
        '&lt;b&gt;a &amp; b&lt;/b&gt;'
    """
    return html.escape(str(text), quote=False)


def label(text: object, width: int = 18, lines: int = 2) -> str:
    """Return escaped text for an axis, wrapped, and cut after `lines` lines.

    Example:
        >>> label("a rather long name of a run", width=10)
        'a rather<br>long name…'
    """
    # A word in an identifier ends at its underscore, so that long names wrap there too.
    spaced = str(text).replace("_", "_ ")
    parts = textwrap.wrap(spaced, width, break_long_words=True) or [""]
    if len(parts) > lines:
        parts = [*parts[: lines - 1], parts[lines - 1].rstrip() + "…"]
    return "<br>".join(escaped(part.replace("_ ", "_")) for part in parts)


def hover(facts: Iterable[str], texts: Iterable[object] = ()) -> str:
    """Return a hover label: facts on lines of their own, then the texts, wrapped and escaped.

    Example:
        >>> hover(["score 0.5"], ["a < b"])
        'score 0.5<br><br>a &lt; b'
    """
    head = "<br>".join(escaped(fact) for fact in facts)
    body = []
    for text in texts:
        lines = textwrap.wrap(textwrap.shorten(str(text), 240, placeholder=" …"), 56) or [""]
        body.append("<br>".join(escaped(line) for line in lines))
    return "<br><br>".join(part for part in [head, *body] if part)


def text_columns(frame: pd.DataFrame, slices: Sequence[str]) -> list[str]:
    """Return the columns that are texts of the row: every string column but id and slices."""
    return [
        str(name)
        for name in frame.columns
        if name != "row"
        and name not in slices
        and (pd.api.types.is_string_dtype(frame[name]) or frame[name].dtype == object)
    ]


def thinned(length: int, most: int = MOST_POINTS) -> np.ndarray:
    """Return at most `most` evenly spaced positions of `length`, first and last included.

    Example:
        >>> thinned(5, 3).tolist(), thinned(2, 3).tolist()
        ([0, 2, 4], [0, 1])
    """
    if length <= most:
        return np.arange(length)
    return np.unique(np.linspace(0, length - 1, most).round().astype(int))


def rounded(values: Iterable[float], digits: int = 4) -> list[float | None]:
    """Return numbers for JSON: rounded, with None where they are not finite."""
    array = np.round(np.asarray(list(values), dtype=float), digits)
    return [float(value) if np.isfinite(value) else None for value in array]


def embedded_json(value: object) -> str:
    r"""Return JSON that no text inside can end the script element of.

    Example:
        >>> embedded_json({"a": "</script>"})
        '{"a":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
