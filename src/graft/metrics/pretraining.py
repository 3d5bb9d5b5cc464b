"""The measures of a pretraining: what it costs to guess what was hidden, and to tell rows apart.

They read one column for each objective, the loss of every row, and `<objective>_units`, how many
values of the row it is a mean over: a row without any says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from graft.core.scores import Metric
from graft.metrics.measures import Floats, Measure, measure

LOSS = "loss"  # column of the weighted sum of all objectives


def units_of(objective: str) -> str:
    """Return the column that counts what the loss of a row is a mean over."""
    return f"{objective}_units"


def _mean(losses: Floats, units: Floats) -> Floats:
    """Return the mean loss of the rows that have any units, NaN if none has."""
    counts = units > 0
    with np.errstate(invalid="ignore"):
        found: Floats = (losses * counts).sum(axis=-1) / counts.sum(axis=-1)
    return found


def _measure(objective: str, name: str, title: str, definition: str, source: str) -> Measure:
    return measure(
        Metric(name, title, False, 0.0, None, "", definition, source),
        _mean,
        reads=(objective, units_of(objective)),
        exchange=(objective,),
    )


_GUESSED = "squared difference of guess and value, in units of the squared scale that values are"
PRETRAINING_MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        LOSS: _measure(
            LOSS,
            "pretraining_loss",
            "Pretraining loss",
            "Weighted sum of the losses of all objectives, as a mean over the rows.",
            "Sum of the objectives",
        ),
        "reconstruction": _measure(
            "reconstruction",
            "reconstruction_error",
            "Reconstruction error",
            f"Mean {_GUESSED} normalised by, over the masked values of a row, then over the rows.",
            "Zerveas et al. 2021, A transformer-based framework for multivariate time series "
            "representation learning",
        ),
        "forecast": _measure(
            "forecast",
            "forecast_error",
            "Forecast error",
            f"Mean {_GUESSED} normalised by, over the last steps of a row, then over the rows.",
            "Mean squared error",
        ),
        "contrastive": _measure(
            "contrastive",
            "contrastive_loss",
            "Contrastive loss",
            "Cross-entropy of finding the other view of a row among those of the rows beside it.",
            "van den Oord et al. 2018, Representation learning with contrastive predictive coding",
        ),
    }
)


def measures_of_objectives(objectives: Iterable[str]) -> tuple[Measure, ...]:
    """Return the measure of the whole loss and that of each objective.

    Example:
        >>> [measure.metric.name for measure in measures_of_objectives(["forecast"])]
        ['pretraining_loss', 'forecast_error']
    """
    return tuple(PRETRAINING_MEASURES[name] for name in (LOSS, *objectives))
