"""The losses of masked series, row by row: of guesses, and of views that are to be told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from graft.models.series.modeling_series import Scaler
from graft.models.series.pretraining import Look, guesses, observed
from graft.tasks.protocol import Array


@dataclass(frozen=True)
class Terms:
    """What one objective says of the rows of a batch.

    Args:
        losses: Mean over the units of each row, 0 without any: `[rows]`.
        units: How many units that are, `[rows]`.
    """

    losses: Tensor
    units: Tensor


def guessed(look: Look, hidden: Tensor, there: Tensor) -> Terms:
    """Return the mean squared error over the values that were hidden, row by row.

    Args:
        look: What the model made of the rest.
        hidden: What it did not see: `[rows, time, channels]`.
        there: Where there is a value; gaps and padding teach nothing.
    """
    counted = hidden & there
    units = counted.sum(dim=(1, 2))
    sums = torch.where(counted, look.squares, 0).sum(dim=(1, 2))
    return Terms(sums / units.clamp(min=1), units)


def told_apart(first: Tensor, second: Tensor, temperature: float) -> Terms:
    """Return InfoNCE (van den Oord et al. 2018) both ways, row by row.

    Args:
        first: Directions of one view of each row, of length 1: `[rows, width]`.
        second: Of another view of the same rows.
        temperature: What cosines are divided by.

    Example:
        >>> told_apart(torch.eye(2), torch.eye(2), temperature=1.0).losses
        tensor([0.3133, 0.3133])
    """
    likeness = first @ second.T / temperature
    own = torch.arange(len(first), device=first.device)
    there, back = (cross_entropy(side, own, reduction="none") for side in (likeness, likeness.T))
    return Terms((there + back) / 2, torch.ones_like(own))


def beside(rows: int, size: int, chance: np.random.Generator) -> list[Array]:
    """Return the rows in groups of about `size`, as a batch would hold them.

    Example:
        >>> [len(group) for group in beside(5, 2, np.random.default_rng(0))]
        [3, 2]
    """
    order = chance.permutation(rows)
    return np.array_split(order, max(1, round(rows / size) if rows % size else rows // size))


def told_apart_in_groups(
    first: Array, second: Array, temperature: float, groups: list[Array]
) -> Array:
    """Return the contrastive loss of each row among those of its group, `[rows]`."""
    losses = np.empty(len(first))
    for group in groups:
        one, other = (torch.from_numpy(view[group]) for view in (first, second))
        losses[group] = told_apart(one, other, temperature).losses.numpy()
    return losses


def chance_levels(groups: list[Array]) -> Array:
    """Return the contrastive loss of each row if its views tell nothing, `[rows]`.

    Example:
        >>> chance_levels([np.array([0]), np.array([1, 2])]).round(2).tolist()
        [0.0, 0.69, 0.69]
    """
    levels = np.empty(sum(map(len, groups)))
    for group in groups:
        levels[group] = math.log(len(group))
    return levels


def guessed_without_model(scaler: Scaler, series: Array, hidden: Array) -> dict[str, float]:
    """Return the error that the model would have with each guess in place of its own.

    Args:
        scaler: What errors are measured by.
        series: `[time, channels]`, NaN is a gap.
        hidden: Same shape, True for what must not be seen.
    """
    values = torch.from_numpy(series)[None]
    there = observed(values, torch.tensor([len(series)]))
    _, scale = scaler.level(values, there)
    found = guesses(series, hidden, scaler.center.cpu().numpy())
    return {
        name: float(
            guessed(
                Look(torch.where(there, torch.from_numpy(guess)[None] - values, 0), scale, None),
                torch.from_numpy(hidden)[None],
                there,
            ).losses
        )
        for name, guess in found.items()
    }
