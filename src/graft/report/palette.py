"""Colours and shapes that people with any colour vision tell apart, on white and on black.

Every colour has a contrast of at least 3:1 on both backgrounds; runs, labels and categories also
differ by marker or line, so that nothing depends on colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graft.core.experiment import RunEntry
from graft.core.roles import Role
from graft.report.chart import Key

BLUE, ORANGE, VIOLET, TEAL, ROSE = "#2f7fc1", "#d4761c", "#8a63d2", "#12937c", "#c2577f"
OLIVE, BROWN, GREY = "#a08a00", "#8c6d5a", "#7a828e"
ARM_COLOURS = (BLUE, ORANGE, VIOLET, TEAL, ROSE, OLIVE)
CATEGORY_COLOURS = (BLUE, ORANGE, TEAL, ROSE, VIOLET, OLIVE, BROWN)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
HOLLOW = ("square-open", "diamond-open", "triangle-up-open", "cross-open", "x-open")
POSITIVE, NEGATIVE = TEAL, ROSE


@dataclass(frozen=True)
class RunStyle:
    """How a run looks in every chart: arms are filled and coloured, baselines hollow and grey."""

    name: str
    title: str
    colour: str
    symbol: str
    dash: str

    def key(self, *, line: bool = False) -> Key:
        """Return the entry of the run in a legend."""
        return Key(self.name, self.title, self.colour, self.symbol, self.dash if line else "")


def run_styles(runs: Iterable[RunEntry], base_run: str = "") -> dict[str, RunStyle]:
    """Return one style per run, in their order, the reference a grey ring.

    Args:
        runs: Arms and baselines.
        base_run: Name of the run that the headline compares with.
    """
    styles, arms, others = {}, 0, 0
    for entry in runs:
        if entry.role == Role.arm:
            colour, symbol, dash = ARM_COLOURS[arms % len(ARM_COLOURS)], SYMBOLS[arms % 6], "solid"
            arms += 1
        elif entry.name == base_run:
            colour, symbol, dash = GREY, "circle-open", "dash"
        else:
            colour, symbol, dash = GREY, HOLLOW[others % 5], "dot"
            others += 1
        styles[entry.name] = RunStyle(entry.name, entry.title or entry.name, colour, symbol, dash)
    return styles


def category_keys(values: Iterable[str]) -> dict[str, Key]:
    """Return one colour and marker per category; the pair repeats only after 42 of them."""
    names = sorted(set(values))
    return {
        name: Key(f"c{i}", name, CATEGORY_COLOURS[i % 7], SYMBOLS[i % 6])
        for i, name in enumerate(names)
    }
