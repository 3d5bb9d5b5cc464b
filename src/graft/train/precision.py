"""The number formats of a model's weights."""

from __future__ import annotations

from collections import Counter

from torch import nn


def number_formats(model: nn.Module) -> dict[str, int]:
    """Return how many parameters the model holds in each number format.

    Example:
        >>> number_formats(nn.Linear(2, 2).bfloat16())
        {'bfloat16': 6}
    """
    counts: Counter[str] = Counter()
    for parameter in model.parameters():
        counts[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
    return dict(counts)
