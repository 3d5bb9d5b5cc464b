"""Which values of a series are hidden: single ones, blocks, patches, or the last steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graft.config.pretraining import MaskSection

Array = np.ndarray[Any, Any]


def draw_mask(section: MaskSection, time: int, channels: int, chance: np.random.Generator) -> Array:
    """Return which values are hidden, True for those: `[time, channels]`.

    Of a series of two or more values at least one is hidden and one is not.

    Args:
        section: Kind, share and length.
        time: Time steps.
        channels: Channels.
        chance: Source of chance.

    Example:
        >>> draw_mask(MaskSection(share=0.5), 40, 3, np.random.default_rng(0)).mean(axis=0)
        array([0.4, 0.4, 0.4])
    """
    return _KINDS[section.kind](section, time, channels, chance)


def last_steps(steps: int, time: int, channels: int) -> Array:
    """Return the mask of the last `steps` of a series, at most of half of it.

    Example:
        >>> last_steps(2, 5, 1)[:, 0].tolist()
        [False, False, False, True, True]
    """
    hidden = np.zeros((time, channels), dtype=bool)
    hidden[time - min(steps, time // 2) :] = True
    return hidden


def _single(section: MaskSection, time: int, channels: int, chance: np.random.Generator) -> Array:
    size = time * channels
    hidden = np.zeros(size, dtype=bool)
    hidden[chance.permutation(size)[: _count(section.share, size)]] = True
    return hidden.reshape(time, channels)


def _blocks(section: MaskSection, time: int, channels: int, chance: np.random.Generator) -> Array:
    hidden = np.zeros((time, channels), dtype=bool)
    wanted = _count(section.share, time)
    length = max(min(section.length, wanted), 1)
    blocks = min(round(wanted / length), (time - 1) // length)
    for channel in range(channels):
        # Places of blocks among the steps that are not hidden: no two of them overlap.
        places = np.sort(chance.integers(time - blocks * length + 1, size=blocks))
        for before, place in enumerate(places):
            start = place + before * length
            hidden[start : start + length, channel] = True
    return hidden


def _patches(section: MaskSection, time: int, channels: int, chance: np.random.Generator) -> Array:
    length = min(section.length, max(time // 2, 1))
    patches = math.ceil(time / length)
    chosen = np.zeros(patches, dtype=bool)
    chosen[chance.permutation(patches)[: _count(section.share, patches)]] = True
    return np.repeat(np.repeat(chosen, length)[:time, None], channels, axis=1)


def _count(share: float, size: int) -> int:
    """Return how many of `size` are a share of it, if there are two or more neither none nor all.

    Example:
        >>> _count(0.1, 3), _count(0.99, 3), _count(0.5, 1)
        (1, 2, 0)
    """
    return min(max(round(share * size), 1), size - 1)


_KINDS: dict[str, Callable[[MaskSection, int, int, np.random.Generator], Array]] = {
    "random": _single,
    "block": _blocks,
    "patch": _patches,
}
