"""A packed path for MPNet, whose attention does not go through Transformers' interface."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import MPNetModel

from graft.models.attention import attend_segment, by_segment
from graft.models.packing import TextBatch


@contextlib.contextmanager
def packed_mpnet(model: MPNetModel, batch: TextBatch) -> Iterator[None]:
    """Let the attention of `model` keep the texts of `batch` apart while the block runs.

    The bias of relative positions is looked up once, for the longest text: a shorter one uses its
    upper left corner.
    """
    encoder = model.encoder
    layers = [layer.attention.attn for layer in encoder.layer]
    longest = batch.lengths[-1]
    table = encoder.compute_position_bias

    def for_longest(hidden: Tensor, *_: object, **__: object) -> Tensor:
        bias: Tensor = table(hidden.new_empty(1, longest, 1))
        return bias

    encoder.compute_position_bias = for_longest
    for attention in layers:
        attention.forward = _Packed(attention, batch)
    try:
        yield
    finally:
        del encoder.compute_position_bias
        for attention in layers:
            del attention.forward


class _Packed:
    """The forward pass of one attention module over a pack."""

    def __init__(self, attention: nn.Module, batch: TextBatch) -> None:
        self.attention, self.batch = attention, batch

    def __call__(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        **_: object,
    ) -> tuple[Tensor]:
        module: Any = self.attention
        shape = (-1, module.num_attention_heads, module.attention_head_size)
        states = [part(hidden_states)[0].view(shape) for part in (module.q, module.k, module.v)]
        # Under autocast the products are of another number format than the table.
        bias = None if position_bias is None else position_bias.to(states[0].dtype)
        mixed = [
            attend_segment(
                *parts,
                segment=segment,
                scale=1 / math.sqrt(module.attention_head_size),
                bias=None if bias is None else bias[..., : segment.longest, : segment.longest],
                dropout=module.dropout.p if module.training else 0.0,
            )
            for segment, *parts in by_segment(self.batch, *states)
        ]
        return (module.o(torch.cat(mixed).flatten(1))[None],)
