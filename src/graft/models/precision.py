"""The number format of a forward pass; weights and optimizer stay float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

Precision = Literal["auto", "fp32", "bf16"]
NumberFormat = Literal["fp32", "bf16"]


def resolve_precision(requested: Precision) -> NumberFormat:
    """Return the precision that will be used; `auto` is bf16 where the machine has it.

    Example:
        >>> resolve_precision("fp32")
        'fp32'
    """
    if requested == "auto":
        return "bf16" if native_bf16() else "fp32"
    return requested


def native_bf16() -> bool:
    """Return True if the processor multiplies bfloat16 in hardware (AVX-512 BF16 or AMX)."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def autocast(precision: NumberFormat, device: str = "cpu") -> torch.autocast:
    """Return the context in which a forward pass computes in that precision."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16")


class RoundedWeights:
    """Weights of linear modules rounded to bfloat16 once, not anew in every pass.

    Autocast keeps what it has rounded only for weights with a gradient, and only within one block.
    The results are the same, bit for bit. Compiled parts were traced without, and stay so.

    Args:
        model: The model.
        precision: Number format of its passes; in float32 nothing is rounded.
        frozen_only: Leave out weights that a step may change.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> rounded = RoundedWeights(layer, "bf16")
        >>> with torch.no_grad(), rounded.autocast():
        ...     layer(torch.ones(1, 2)).dtype
        torch.bfloat16
    """

    def __init__(
        self, model: nn.Module, precision: NumberFormat, *, frozen_only: bool = False
    ) -> None:
        self.precision = precision
        self._device = next((p.device.type for p in model.parameters()), "cpu")
        parts = (part for part in model.modules() if part._compiled_call_impl is not None)
        traced = {inner for part in parts for inner in part.modules()}
        self._forwards = {
            module: _RoundedLinear(module)
            for module in (model.modules() if precision == "bf16" else ())
            if type(module) is nn.Linear
            and module not in traced
            and not (frozen_only and module.weight.requires_grad)
        }

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Compute in the number format, with the rounded weights, while the block runs."""
        with autocast(self.precision, self._device), self.in_place():
            yield

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the modules multiply with their rounded weights while the block runs."""
        for module, forward in self._forwards.items():
            module.forward = forward  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            for module in self._forwards:
                del module.forward


class _RoundedLinear:
    """The forward pass of a linear module; rounds at the first call, as some are never called."""

    def __init__(self, module: nn.Linear) -> None:
        self._module = module
        self._rounded: tuple[Tensor, Tensor | None] | None = None

    def __call__(self, given: Tensor) -> Tensor:
        if self._rounded is None:
            weight, bias = self._module.weight, self._module.bias
            self._rounded = (
                weight.detach().bfloat16(),
                None if bias is None else bias.detach().bfloat16(),
            )
        return nn.functional.linear(given, *self._rounded)
