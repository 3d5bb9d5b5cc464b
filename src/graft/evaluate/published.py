"""Figures that somebody published, beside the ones measured here."""

from __future__ import annotations

from collections.abc import Mapping

from graft.core.scores import ScoreBook
from graft.core.verdicts import PublishedFigure
from graft.evaluate.gates import measured_on_test
from graft.metrics.catalogue import metric

TOLERANCE = 0.0005  # half a unit in the third decimal, to which figures are published
_ROUNDING = 1e-9  # of 0.8525 and its like, which have no exact binary form


def published_figures(
    figures: Mapping[str, Mapping[str, float]], books: Mapping[str, ScoreBook]
) -> tuple[PublishedFigure, ...]:
    """Return each published figure with ours on all rows of the test split.

    A figure is met if ours is as good, in the direction of the metric, or short of it by at most
    half a unit in the third decimal; for metrics that describe, if ours is equal within that.

    Args:
        figures: Run to metric to published value.
        books: Run to its scores. What was not measured is not met.

    Raises:
        KeyError: A metric that does not exist; says which is nearest.
    """
    return tuple(
        PublishedFigure(run, name, value, ours, ours is not None and _met(name, value, ours))
        for run, values in figures.items()
        for name, value in values.items()
        for ours in (measured_on_test(books, run, name),)
    )


def _met(name: str, published: float, ours: float) -> bool:
    higher_is_better = metric(name).higher_is_better
    short = published - ours
    if higher_is_better is None:
        short = abs(short)
    elif not higher_is_better:
        short = -short
    return short <= TOLERANCE + _ROUNDING
