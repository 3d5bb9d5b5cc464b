"""The number format of a forward pass; weights and optimizer stay float32."""

from __future__ import annotations

from typing import Literal

import torch

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
