"""The least seconds that the matrix products of a training can take on this machine."""

from __future__ import annotations

import statistics
import time

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from graft.core.plan import ResolvedPlan
from graft.models.encoder import tensor_name
from graft.models.freeze import UNUSED
from graft.models.precision import NumberFormat

_REPEATS = 30
_FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def gemm_rate(tokens: int, width: int, precision: NumberFormat) -> float:
    """Return the operations a second of a matrix product as large as those of a layer.

    Args:
        tokens: Rows of the product: the tokens of a step.
        width: Width of the encoder; the product is that of its wide layers, 4 · width.
        precision: Number format.
    """
    rows = torch.randn(tokens, width, dtype=_FORMATS[precision])
    weight = torch.randn(4 * width, width, dtype=_FORMATS[precision])
    seconds = []
    with torch.inference_mode():
        for _ in range(_REPEATS):
            started = time.perf_counter()
            nn.functional.linear(rows, weight)
            seconds.append(time.perf_counter() - started)
    return 2 * tokens * weight.numel() / statistics.median(seconds)


def operations(encoder: SentenceTransformer, plan: ResolvedPlan) -> tuple[int, int]:
    """Return the operations a token: paid once a run, and paid in every epoch.

    A matrix of n numbers takes 2n for its product, 2n more if it is trained, and 2n more if
    something before it is, because the gradient goes through it. What is frozen from the beginning
    on needs its product once a run. Products within attention (at 13 tokens a text 1 % of the
    others) and of heads, which see a text once, are left out. Key and value of the first trained
    layer count as if a gradient went through them: 1 % too much when two of six layers are trained.

    Args:
        encoder: The encoder; its modules stand in the order in which they run.
        plan: Says what is trained in phase 0, and what is never run.
    """
    trained = plan.trainable_in(0)
    never = {tensor.name for tensor in plan.tensors if tensor.group == UNUSED}
    once = each_epoch = 0
    reached = False
    for name, module in encoder.named_modules():
        own = tensor_name(f"{name}.weight")
        if isinstance(module, nn.Linear) and name.startswith("0.") and own not in never:
            passes = 1 + (own in trained) + reached
            if passes > 1:
                each_epoch += 2 * passes * module.weight.numel()
            else:
                once += 2 * module.weight.numel()
        reached = reached or own in trained
    return once, each_epoch
