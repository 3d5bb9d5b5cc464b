"""Attention over packed texts, registered with Transformers: no text sees another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from graft.models.dropout import drop
from graft.models.packing import Segment, TextBatch

NAME = "graft_packed"
# Tokens up to which plain products beat the fused kernel of a processor; in bfloat16 that kernel
# converts its tiles one by one.
_SHORT = {torch.bfloat16: 256}
_SHORT_ELSE = 32
_FOREIGN = ("s_aux", "position_bias")
_packed: ContextVar[TextBatch] = ContextVar("packed")


class CannotPackError(Exception):
    """A model asks for attention that the packed one does not have."""


@contextlib.contextmanager
def packed_attention(backbone: PreTrainedModel, batch: TextBatch) -> Iterator[None]:
    """Let the attention of `backbone` keep the texts of `batch` apart while the block runs."""
    config = backbone.config
    before = config._attn_implementation
    token = _packed.set(batch)
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
        _packed.reset(token)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    **options: object,
) -> tuple[Tensor, None]:
    """Return attention of the active pack, in the form of Transformers' attention functions.

    Args:
        module: The attention module.
        query: `[1, heads, tokens, width]`.
        key: `[1, heads of keys, tokens, width]`.
        value: Like `key`.
        attention_mask: None: the pack says what sees what.
        scaling: Factor of the products; 1 / sqrt(width) if left out.
        options: `dropout`, `is_causal`, `sliding_window`, `softcap` and what else a model passes.

    Returns:
        `[1, tokens, heads, width]`, and no weights.

    Raises:
        CannotPackError: The model wants something else than plain attention.
    """
    foreign = sorted(name for name in _FOREIGN if options.get(name) is not None)
    if foreign or attention_mask is not None:
        raise CannotPackError(f"its attention needs {foreign or 'a mask of its own'}")
    batch = _packed.get()
    given = options.get("is_causal")
    causal = bool(getattr(module, "is_causal", True) if given is None else given)
    window = cast("int | None", options.get("sliding_window"))
    cap = cast("float | None", options.get("softcap"))
    dropout = cast("float", options.get("dropout") or 0.0)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
    plain = not dropout and cap is None
    if query.is_cuda and plain and query.dtype in (torch.float16, torch.bfloat16):
        return _variable_length(q, k, v, batch, scale, causal, window)[None], None
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = (states.repeat_interleave(groups, dim=1) for states in (k, v))
    parts = [
        attend_segment(
            *states,
            segment=segment,
            scale=scale,
            bias=_pattern(segment, causal, window, query),
            dropout=dropout,
            cap=cap,
        )
        for segment, *states in by_segment(batch, q, k, v)
    ]
    return torch.cat(parts)[None], None


def by_segment(batch: TextBatch, *states: Tensor) -> Iterator[tuple[Any, ...]]:
    """Yield each segment of the batch with its part of every tensor in `states`."""
    # The gradient of a split is one joined tensor, that of a slice a whole one filled with zeros.
    sizes = [segment.stop - segment.start for segment in batch.segments]
    yield from zip(batch.segments, *(torch.split(part, sizes) for part in states), strict=True)


def attend_segment(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    segment: Segment,
    scale: float,
    bias: Tensor | None,
    dropout: float,
    cap: float | None = None,
) -> Tensor:
    """Return attention within each text of a segment.

    Args:
        query: `[tokens, heads, width]`, also `key` and `value`.
        key: As `query`.
        value: As `query`.
        segment: Which tokens belong together.
        scale: Factor of the products.
        bias: Added to the scores, in their number format, `[1, 1 or heads, longest, longest]`;
            None for nothing.
        dropout: Probability.
        cap: Scores are bent into -cap to cap (Gemma 2), None for not at all.

    Returns:
        `[tokens, heads, width]`.
    """
    q, k, v = (_rectangle(states, segment) for states in (query, key, value))
    if not segment.even:
        padding = _hidden(~segment.mask[:, None, None, :].to(query.device), query.dtype)
        bias = padding if bias is None else bias.to(query.dtype) + padding
    # With dropout torch has no fused kernel for a processor.
    short = dropout > 0 or segment.longest <= _SHORT.get(query.dtype, _SHORT_ELSE)
    if cap is not None or (short and query.device.type == "cpu"):
        mixed = _plain(q * scale, k, v, bias, dropout, cap)
    else:
        mixed = nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=bias, dropout_p=dropout, scale=scale
        )
    rows = mixed.transpose(1, 2).flatten(0, 1)
    return rows if segment.even else rows.index_select(0, segment.real.to(rows.device))


def _rectangle(states: Tensor, segment: Segment) -> Tensor:
    """Return `[texts, heads, longest, width]`."""
    shape = (len(segment.lengths), segment.longest, *states.shape[1:])
    if not segment.even:
        states = states.index_select(0, segment.filled.to(states.device))
    return states.reshape(shape).transpose(1, 2)


def _plain(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    dropout: float,
    cap: float | None,
) -> Tensor:
    scores = torch.matmul(query, key.transpose(-1, -2))
    if cap is not None:
        scores = torch.tanh(scores / cap) * cap
    if bias is not None:
        scores = scores + bias
    weights = torch.softmax(scores, dim=-1)
    if dropout:
        weights = drop(weights, dropout)
    return torch.matmul(weights.to(value.dtype), value)


def _pattern(segment: Segment, causal: bool, window: int | None, states: Tensor) -> Tensor | None:
    """Return what a causal or windowed model hides from each token: `[1, 1, longest, longest]`."""
    reach = segment.longest if window is None else window
    if not causal and reach >= segment.longest:
        return None
    places = torch.arange(segment.longest, device=states.device)
    distance = places[:, None] - places
    seen = (distance >= 0) & (distance < reach) if causal else distance.abs() < reach
    return _hidden(~seen, states.dtype)[None, None]


def _hidden(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    # Not infinite: a padding position that sees nothing at all would turn the gradient into NaN.
    lowest = torch.finfo(dtype).min / 4
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill(hidden, lowest)


def _variable_length(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    batch: TextBatch,
    scale: float,
    causal: bool,
    window: int | None,
) -> Tensor:
    bounds, longest = batch.bounds.to(query.device), batch.lengths[-1]
    reach = -1 if window is None else window - 1
    sight = (reach, 0 if causal else reach)
    shared = query.shape[1] != key.shape[1]
    mixed = varlen_attn(
        query, key, value, bounds, bounds, longest, longest,
        scale=scale, window_size=sight, enable_gqa=shared,
    )  # fmt: skip
    if not isinstance(mixed, Tensor):
        raise CannotPackError("the kernel gave more than the attention")
    return mixed


def _no_mask(*_: object, **__: object) -> None:
    """Build no mask: the pack says what sees what."""


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, _no_mask)
