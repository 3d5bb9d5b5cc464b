"""From summed gradients to the clipped gradient of the mean loss."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

_TINY = 1e-6  # as in torch: no division by a norm of zero


def scale_and_clip(parameters: Iterable[nn.Parameter], count: int, limit: float | None) -> float:
    """Return the norm of the mean loss's gradient before clipping; leave the clipped gradient.

    Division by `count` and clipping are one multiplication, left out where it would change
    nothing. Gradients whose norm is not finite are left as they are.

    Args:
        parameters: Those without a gradient are passed over.
        count: Units that the gradients are summed over, at least 1.
        limit: Largest norm, None for no clipping.

    Example:
        >>> weight = nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([6.0, 8.0])
        >>> scale_and_clip([weight], count=2, limit=1.0), weight.grad
        (5.0, tensor([0.6000, 0.8000]))
    """
    gradients = []
    for parameter in parameters:
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
            gradients.append(stored_values(parameter.grad))
    norm = total_norm(gradients) / count
    clip = 1.0 if limit is None else min(1.0, limit / (norm + _TINY))
    factor = clip / count
    if math.isfinite(norm) and factor != 1:
        with torch.no_grad():
            for values in gradients:
                values.mul_(factor)
    return norm


def total_norm(gradients: Iterable[Tensor]) -> float:
    """Return the norm of the gradients of several tensors as if they were one vector.

    Example:
        >>> total_norm([torch.tensor([3.0]), torch.tensor([4.0])])
        5.0
    """
    # The squares of one tensor are summed in float32, the few sums exactly.
    return math.hypot(*(gradient_norm(gradient) for gradient in gradients))


def gradient_norm(gradient: Tensor) -> float:
    """Return the norm of one gradient, dense or sparse."""
    values = stored_values(gradient)
    return float(
        torch.linalg.vector_norm(values, dtype=torch.promote_types(values.dtype, torch.float32))
    )


def stored_values(gradient: Tensor) -> Tensor:
    """Return the values that a gradient holds: of a sparse one those of its rows, each row once.

    Of a dense gradient, or a sparse one that is coalesced, it is the gradient's own memory.

    Example:
        >>> stored_values(torch.tensor([[0.0, 0.0], [1.0, 2.0]]).to_sparse(1))
        tensor([[1., 2.]])
    """
    return gradient.coalesce().values() if gradient.is_sparse else gradient
