"""The number format of the forward pass; weights and optimizer stay float32."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import torch
from torch import nn


def resolve_precision(requested: Literal["auto", "fp32", "bf16"]) -> Literal["fp32", "bf16"]:
    """Return the precision that training will use; `auto` is bf16 where the machine has it.

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


def autocast(precision: Literal["fp32", "bf16"]) -> torch.autocast:
    """Return the context in which losses are computed."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
