"""oneDNN keeps kernels for a few shapes only."""

from __future__ import annotations

import os
from functools import cache

import torch

# A pass through a transformer multiplies matrices of about twenty shapes.
_SHAPES = 32
_LIMITS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


@cache
def bound_kernel_caches() -> None:
    """Let oneDNN keep the kernels of a few shapes, unless the environment says how many.

    It keeps 1024, about 0.5 MB each, and batches without padding hardly ever repeat a shape: after
    a hundred steps of training the process would hold some hundred megabytes of kernels. The
    libraries read their limits when they are first used, so this has to run before the process
    computes anything else with a model; the environment is left as it was.
    """
    unset = [name for name in _LIMITS if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, str(_SHAPES)))
    try:
        matrix = torch.zeros(64, 64, dtype=torch.bfloat16)
        torch.nn.functional.linear(matrix, matrix)
    finally:
        for name in unset:
            del os.environ[name]
