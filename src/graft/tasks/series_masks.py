"""What is hidden of each row, for which purpose, and from which chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from graft.config.pretraining import PretrainSection
from graft.core.seeds import derive, generator
from graft.models.series.masks import draw_mask, last_steps
from graft.tasks.protocol import Array
from graft.tasks.series_examples import SeriesRow

# Objectives that guess values, and are what values are hidden for.
GUESSING = ("reconstruction", "forecast")
VIEW = "view"  # the second view of a series; the first one has the mask of the reconstruction


@dataclass(frozen=True)
class MaskedBatch:
    """Rows ready for the encoder.

    Args:
        rows: Their ids.
        values: `[rows, time, channels]`; zero after the end of a series, NaN in its gaps.
        lengths: Time steps of each row, `[rows]`.
    """

    rows: tuple[str, ...]
    values: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Masks:
    """The masks of a pretraining.

    Args:
        section: What is hidden for which objective.
        seed: Seed of the masks of evaluation.
    """

    section: PretrainSection
    seed: int

    @property
    def purposes(self) -> tuple[str, ...]:
        """What the encoder passes over a batch for, in their order."""
        wanted = [name for name in GUESSING if name in self.section.objectives]
        if "contrastive" not in self.section.objectives:
            return tuple(wanted)
        return (*dict.fromkeys(["reconstruction", *wanted]), VIEW)

    @property
    def guessing(self) -> tuple[str, ...]:
        """The objectives that guess values."""
        return tuple(name for name in GUESSING if name in self.section.objectives)

    def of_row(self, purpose: str, example: SeriesRow, drawn: int | None = None) -> Array:
        """Return what of a row is hidden for a purpose, `[time, channels]`.

        Args:
            purpose: An objective that guesses, or `view`.
            example: The row.
            drawn: Where chance comes from beside purpose and row; the seed if left out.
        """
        time, channels = example.series.shape
        if purpose == "forecast":
            return last_steps(self.section.forecast_steps, time, channels)
        seed = derive(self.seed, "masks of evaluation") if drawn is None else drawn
        chance = generator(seed, purpose, example.row)
        return draw_mask(self.section.mask, time, channels, chance)

    def of_batch(self, purpose: str, batch: MaskedBatch, drawn: int | None = None) -> Tensor:
        """Return what of each row of a batch is hidden, `[rows, time, channels]`."""
        hidden = np.zeros(batch.values.shape, dtype=bool)
        for place, (row, length) in enumerate(zip(batch.rows, batch.lengths.tolist(), strict=True)):
            example = SeriesRow(row, batch.values[place, :length].numpy())
            hidden[place, :length] = self.of_row(purpose, example, drawn)
        return torch.from_numpy(hidden)
