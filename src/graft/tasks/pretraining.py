"""What the stage of pretraining asks of a kind of pretraining, whatever its rows are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd
from torch import nn

from graft.core.origins import LoadReport
from graft.metrics.measures import Measure
from graft.models.locate import LocatedBase
from graft.tasks.protocol import Array, Example, TrainingTask

Columns = dict[str, Array]


class PretrainingTask(TrainingTask, Protocol):
    """Learning from rows without labels: what is hidden of a row is to be found from the rest.

    In training mode chance comes from torch's generator, which checkpoints keep; in evaluation mode
    it depends on the seed and the row alone, so that two evaluations compare.
    """

    @property
    def objectives(self) -> Mapping[str, float]:
        """Objective to its weight in the loss."""
        ...

    @property
    def settings(self) -> Mapping[str, str | int | float]:
        """What else decides what is learned, as far as something reads it."""
        ...

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What held-out rows are measured by; the first, over all objectives, chooses."""
        ...

    def build(self, base: LocatedBase, seed: int) -> tuple[nn.Module, LoadReport]:
        """Return the untrained base with new heads, and where each tensor is from."""
        ...

    def compared(self, columns: Mapping[str, Array]) -> Columns:
        """Return predicted columns with the losses that compare rows, and the whole loss.

        What served to compare them is left out.
        """
        ...

    def guesses(
        self, model: nn.Module, examples: Sequence[Example]
    ) -> Mapping[str, Mapping[str, Columns]]:
        """Return for each objective the columns of guesses that need no model, by their name."""
        ...

    def blind(self, model: nn.Module, examples: Sequence[Example]) -> tuple[Columns, Columns]:
        """Return what the model says of the examples, and of them with other hidden values."""
        ...

    def shown(self, model: nn.Module, examples: Sequence[Example]) -> pd.DataFrame:
        """Return what the model makes of the examples, for a picture; empty if there is none."""
        ...

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the base without its heads as a standard folder that loads without Graft."""
        ...
