"""Features of many convolutions with fixed weights (MiniRocket, Dempster et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d

from graft.core.seeds import generator
from graft.tasks.protocol import Array
from graft.tasks.series_shapes import resampled

_LENGTH, _HIGH = 9, 3  # weights of a kernel, and how many of them are 2 instead of −1
_MOST_DILATIONS = 8
_MOST_CHANNELS = 9  # that one kernel reads
FEATURES = 2500
_ROWS_AT_ONCE = 128


@dataclass(frozen=True)
class Convolutions:
    """Convolutions whose biases were taken from training rows.

    Args:
        length: Time steps to which every series is stretched first.
        dilations: Steps between the weights of each group of kernels.
        weights: Of each group `[84, channels, 9]`.
        biases: Of each group `[84, biases]`.
    """

    length: int
    dilations: tuple[int, ...]
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def of(self, series: Sequence[Array]) -> Array:
        """Return the features of each series: the share of steps at which each output is positive.

        Args:
            series: `[time, channels]` each, without gaps.
        """
        values = as_channels(series, self.length)
        parts = [self._features(part) for part in torch.split(values, _ROWS_AT_ONCE)]
        return torch.cat(parts).numpy()

    def _features(self, values: Tensor) -> Tensor:
        found = []
        for dilation, weights, biases in zip(
            self.dilations, self.weights, self.biases, strict=True
        ):
            outputs = convolved(values, weights, dilation)
            found += [(outputs > bias[None, :, None]).float().mean(dim=2) for bias in biases.T]
        return torch.cat(found, dim=1)


def fit_convolutions(series: Sequence[Array], length: int, seed: int) -> Convolutions:
    """Return the convolutions for series like these; biases are quantiles of outputs on them.

    Each of the 84 kernels reads, at each dilation, a few channels that are drawn at random.

    Args:
        series: Training series, `[time, channels]` each, without gaps.
        length: Time steps to which every series is stretched first.
        seed: Seed of what is drawn.
    """
    rng = generator(seed, "random_convolutions")
    values = as_channels(series, length)
    dilations = tuple(_dilations(length))
    each = math.ceil(FEATURES / (len(dilations) * len(_kernels())))
    groups = [_drawn_weights(values.shape[1], rng) for _ in dilations]
    biases = []
    for dilation, weights in zip(dilations, groups, strict=True):
        chosen = rng.integers(len(values), size=min(len(values), _ROWS_AT_ONCE))
        outputs = convolved(values[torch.from_numpy(chosen)], weights, dilation)
        flat = outputs.transpose(0, 1).flatten(1).numpy()
        levels = (np.arange(1, each + 1) / (each + 1)).astype(np.float32)
        biases.append(torch.from_numpy(np.quantile(flat, levels, axis=1).T.astype(np.float32)))
    return Convolutions(length, dilations, tuple(groups), tuple(biases))


def as_channels(series: Sequence[Array], length: int) -> Tensor:
    """Return the series, stretched to one length, as `[rows, channels, length]` in float32."""
    return torch.from_numpy(resampled(series, length).astype(np.float32)).transpose(1, 2)


def convolved(values: Tensor, weights: Tensor, dilation: int) -> Tensor:
    """Return the outputs `[rows, kernels, time]`, zeros around the series."""
    with torch.inference_mode():
        return conv1d(values, weights, padding="same", dilation=dilation)


def _kernels() -> Array:
    """Return the 84 ways to place three 2s among nine weights, the others −1: their sum is 0."""
    places = list(combinations(range(_LENGTH), _HIGH))
    kernels = np.full((len(places), _LENGTH), -1.0, dtype=np.float32)
    for row, high in enumerate(places):
        kernels[row, list(high)] = 2.0
    return kernels


def _dilations(length: int) -> Iterator[int]:
    """Yield the steps between weights, exponentially more, as long as a kernel fits the series."""
    most = max((length - 1) / (_LENGTH - 1), 1.0)
    exponents = np.linspace(0, math.log2(most), _MOST_DILATIONS)
    yield from sorted({int(2**exponent) for exponent in exponents})


def _drawn_weights(channels: int, rng: np.random.Generator) -> Tensor:
    kernels = _kernels()
    weights = np.zeros((len(kernels), channels, _LENGTH), dtype=np.float32)
    most = math.log2(min(channels, _MOST_CHANNELS) + 1)
    for row, kernel in enumerate(kernels):
        size = max(1, int(2 ** rng.uniform(0, most)))
        weights[row, rng.choice(channels, size, replace=False)] = kernel
    return torch.from_numpy(weights)
