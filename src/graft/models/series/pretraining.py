"""An encoder of series with the heads that it is pretrained with, and gets rid of afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from graft.models.series.modeling_series import SeriesEncoder

Array = np.ndarray[Any, Any]
ENCODER = "encoder"


@dataclass(frozen=True)
class Look:
    """What the model makes of series of which it saw a part.

    Args:
        difference: Reconstruction minus value, in units of the series, 0 where there is no value,
            and everywhere if nothing is reconstructed: `[rows, time, channels]`.
        scale: What a difference is measured against: `[channels]`, or `[rows, 1, channels]`.
        embedding: Direction of each series, of length 1: `[rows, width]`; None without projection.
    """

    difference: Tensor
    scale: Tensor
    embedding: Tensor | None

    @property
    def squares(self) -> Tensor:
        """The squared differences in units of the scale, `[rows, time, channels]`."""
        return (self.difference / self.scale).square()


class SeriesPretrainer(nn.Module):
    """An encoder, a linear head that fills in what was hidden, and a projection to be compared.

    Args:
        encoder: The encoder.
        guesses: True to have the head that fills in.
        projects: True to have the projection (two layers, Chen et al. 2020).
    """

    def __init__(self, encoder: SeriesEncoder, *, guesses: bool, projects: bool) -> None:
        super().__init__()
        config = encoder.config
        self.encoder = encoder
        self.reconstruction: nn.Module | None = None
        if guesses:
            self.reconstruction = nn.Linear(config.width, config.patch * config.channels)
        self.projection: nn.Module | None = None
        if projects:
            layers = nn.Linear(config.width, config.width), nn.Linear(config.width, config.width)
            self.projection = nn.Sequential(layers[0], nn.GELU(), layers[1])

    def forward(self, values: Tensor, lengths: Tensor, hidden: Tensor) -> Look:
        """Return what the model makes of the series without what is hidden.

        Args:
            values: `[rows, time, channels]`, NaN is a gap.
            lengths: Time steps of each series, `[rows]`.
            hidden: Same shape as the values, True for what the encoder must not see.
        """
        there = observed(values, lengths)
        seen = there & ~hidden
        states, mask = self.encoder(values, lengths, seen)
        away = torch.zeros_like(values)
        if self.reconstruction is not None:
            found = self.reconstruction(states).float().flatten(1)
            found = found.unflatten(1, (-1, values.shape[2]))[:, : values.shape[1]]
            # It knows no more of the level than what it sees; of a flat part that is all.
            center, spread = self.encoder.scaler.level(values, seen)
            away = found * torch.where(spread.isinf(), 0, spread) + (center - values)
        _, scale = self.encoder.scaler.level(values, there)
        embedding = None
        if self.projection is not None:
            mean = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
            embedding = normalize(self.projection(mean).float(), dim=1)
        return Look(torch.where(there, away, 0), scale, embedding)


def observed(values: Tensor, lengths: Tensor) -> Tensor:
    """Return where there is a value, neither gap nor padding: `[rows, time, channels]`."""
    inside = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
    return inside[..., None] & ~values.isnan()


def guesses(series: Array, hidden: Array, center: Array) -> dict[str, Array]:
    """Return what fills the hidden values in without a model: name to `[time, channels]`.

    `mean` of the values that are seen, the `last` one that is, and a `linear` way between the
    nearest two that are.

    Args:
        series: `[time, channels]`, NaN is a gap.
        hidden: Same shape, True for what must not be seen.
        center: Guess for a channel of which nothing is seen, `[channels]`.

    Example:
        >>> series, hidden = np.array([[1.0], [9.0], [3.0]]), np.array([[False], [True], [False]])
        >>> {name: guess[1].tolist() for name, guess in guesses(series, hidden, [0.0]).items()}
        {'mean': [2.0], 'last': [1.0], 'linear': [2.0]}
    """
    found = {name: np.empty(series.shape) for name in ("mean", "last", "linear")}
    steps = np.arange(len(series))
    for channel, values in enumerate(series.T):
        places = np.flatnonzero(~hidden[:, channel] & ~np.isnan(values))
        if not places.size:
            for guess in found.values():
                guess[:, channel] = center[channel]
            continue
        seen = values[places].astype(np.float64)
        before = np.searchsorted(places, steps, side="right") - 1
        found["mean"][:, channel] = seen.mean()
        found["last"][:, channel] = seen[np.maximum(before, 0)]
        found["linear"][:, channel] = np.interp(steps, places, seen)
    return found
