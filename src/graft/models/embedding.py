"""From token ids to sentence embeddings: no padding, and nothing frozen computed twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sentence_transformers import SentenceTransformer
from torch import Tensor

from graft.models.features import stored_features
from graft.models.packed import packed_embeddings, packing_problem, padded_embeddings
from graft.models.packing import TextBatch

_plain: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def plain_passes() -> Iterator[None]:
    """Let `embed` take no short cut while the block runs: texts are padded, nothing is stored."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def embed(encoder: SentenceTransformer, batch: TextBatch) -> Tensor:
    """Return the embedding of every text: `[texts, dimension]`.

    The distinct texts go through the encoder as one row without padding; a model whose attention
    cannot keep them apart gets them in groups of like length, padded. Where outputs of the frozen
    beginning are stored, only the rest is run.

    Args:
        encoder: The encoder; autocast, gradients and modes are those of the caller.
        batch: The texts.
    """
    plain = _plain.get()
    stored = None if plain else stored_features(encoder, batch)
    if stored is not None:
        distinct = stored
    elif plain or packing_problem(encoder):
        distinct = padded_embeddings(encoder, batch)
    else:
        distinct = packed_embeddings(encoder, batch)
    return distinct.index_select(0, batch.places.to(distinct.device))


def positions(encoder: SentenceTransformer, batch: TextBatch) -> tuple[int, int]:
    """Return the tokens of the batch that the encoder computes, and the padding beside them."""
    if not packing_problem(encoder):
        return batch.tokens, 0
    computed = sum(segment.mask.numel() for segment in batch.segments)
    return batch.tokens, computed - batch.tokens
