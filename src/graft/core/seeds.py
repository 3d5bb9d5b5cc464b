"""One seed in the recipe, many independent streams: each use of chance has its own name."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed that depends on `seed` and on every name, and on nothing else.

    Example:
        >>> derive(42, "order", 1) == derive(42, "order", 1)
        True
        >>> derive(42, "order", 1) == derive(42, "order", 2)
        False
    """
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return a numpy generator for the stream `names` of `seed`.

    Example:
        >>> generator(42, "split").integers(10) == generator(42, "split").integers(10)
        np.True_
    """
    return np.random.default_rng(derive(seed, *names))
