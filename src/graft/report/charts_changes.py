"""Changes of state on the way, such as a thaw, as lines and marks in the charts of a training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from graft.core.ledger import Ledger, StateChange
from graft.report.chart import Figure, hover
from graft.report.numerals import count

Axis = Literal["step", "epoch"]


def changes_of(ledger: Ledger | None) -> tuple[StateChange, ...]:
    """Return the changes that a run went through, none if it has no ledger."""
    return ledger.changes if ledger else ()


def change_lines(changes: Iterable[StateChange], axis: Axis, colour: str) -> list[Figure]:
    """Return a vertical line for each change after the start.

    Args:
        changes: Changes of one run.
        axis: What the horizontal axis counts.
        colour: Colour of the lines.
    """
    places = dict.fromkeys(getattr(change, axis) for change in changes if change.step > 0)
    return [
        {
            "type": "line",
            "x0": place,
            "x1": place,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"color": colour, "width": 1, "dash": "dot"},
        }
        for place in places
    ]


def change_marks(
    changes: Iterable[StateChange], axis: Axis, height: float, colour: str, title: str = ""
) -> list[Figure]:
    """Return a triangle for each change that says what it was.

    Args:
        changes: Changes of one run.
        axis: What the horizontal axis counts.
        height: Where the triangles stand.
        colour: Colour of the triangles.
        title: Title of the run, if the chart shows several.
    """
    found = list(changes)
    if not found:
        return []
    words = [[*([title] if title else []), f"step {count(c.step)}", c.message] for c in found]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [getattr(change, axis) for change in found],
            "y": [height] * len(found),
            "marker": {"symbol": "triangle-up", "size": 11, "color": colour},
            "hoverinfo": "text",
            "hovertext": [hover(lines) for lines in words],
        }
    ]
