"""As many threads of torch as the machine can run at once and the work keeps busy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from graft.core.processors import thread_count, usable_cores

# Whoever sets one of these has decided.
_GIVEN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def suitable_threads(model: nn.Module | None = None, tokens: float = 0) -> Iterator[int]:
    """Let torch use as many threads as help inside the block; yield their number.

    Never more than torch may use already, so a lower number that the caller has set holds, as does
    OMP_NUM_THREADS. Afterwards the number is what it was.

    Args:
        model: The model; without one the work is taken to be large.
        tokens: Tokens that it computes at once.

    Example:
        >>> with suitable_threads(nn.Linear(8, 8), tokens=100) as threads:
        ...     threads == torch.get_num_threads()
        True
    """
    before = torch.get_num_threads()
    if any(os.environ.get(name) for name in _GIVEN):
        yield before
        return
    cores = usable_cores()
    wanted = cores if model is None else thread_count(2 * tokens * widest_matrix(model), cores)
    del model  # the block may want to let it go
    torch.set_num_threads(min(before, wanted))
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def widest_matrix(model: nn.Module) -> int:
    """Return the elements of the largest matrix that inputs are multiplied with.

    Example:
        >>> widest_matrix(nn.Sequential(nn.Embedding(1000, 4), nn.Linear(4, 16)))
        64
    """
    return max(multiplied(model), default=0)


def multiplied(model: nn.Module) -> list[int]:
    """Return the elements of each matrix that inputs are multiplied with.

    A table that is only looked up in is not multiplied with.

    Example:
        >>> multiplied(nn.Sequential(nn.Embedding(1000, 4), nn.Linear(4, 16), nn.Linear(16, 2)))
        [64, 32]
    """
    return [
        parameter.numel()
        for module in model.modules()
        if not isinstance(module, nn.Embedding)
        for parameter in module.parameters(recurse=False)
        if parameter.dim() == 2
    ]
