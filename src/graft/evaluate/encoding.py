"""Texts to embeddings: what `SentenceTransformer.encode` returns, faster and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer as TransformerModule

from graft.core.errors import InputError, Problem
from graft.data.badrows import shown
from graft.models.batches import TOKENS, batches
from graft.models.embedding import embed
from graft.models.packed import in_eval_mode
from graft.models.packing import text_batch
from graft.models.precision import (
    NumberFormat,
    Precision,
    RoundedWeights,
    autocast,
    resolve_precision,
)
from graft.tasks.encoder_reading import read_tokens
from graft.tasks.protocol import Array

# Texts that are tokenised and sorted by length together.
_WINDOW = 8192
_TRIAL = ("a", " Two words, with blanks around ", "it " * 600)
_EQUAL = 1e-4


def encode(
    encoder: SentenceTransformer,
    texts: Sequence[str],
    precision: Precision = "auto",
    token_budget: int = TOKENS,
) -> Array:
    """Return the embeddings of the texts in float32: `[texts, dimension]`.

    In float32 they are those of `encoder.encode` but for rounding, 3e-7 of unit vectors; in
    bfloat16 the cosine of the two is 0.99996 or more for all-MiniLM-L6-v2.

    Args:
        encoder: The encoder; run in evaluation mode, and left as it was.
        texts: At least one text; equal ones are encoded once.
        precision: `auto` is bf16 where the processor has it.
        token_budget: Most tokens that are computed at once; a longer text goes alone.

    Raises:
        InputError: A text has no token.
    """
    distinct, places = _distinct(texts)
    windows = (distinct[start : start + _WINDOW] for start in range(0, len(distinct), _WINDOW))
    vectors = np.concatenate(list(encode_stream(encoder, windows, precision, token_budget)))
    return vectors if len(distinct) == len(places) else vectors[places]


def encode_stream(
    encoder: SentenceTransformer,
    chunks: Iterable[Sequence[str]],
    precision: Precision = "auto",
    token_budget: int = TOKENS,
) -> Iterator[Array]:
    """Yield what `encode` returns, chunk by chunk; no more than one chunk is held.

    Args:
        encoder: The encoder.
        chunks: Texts in chunks; some thousands each fill the batches.
        precision: As for `encode`.
        token_budget: As for `encode`.

    Raises:
        InputError: A text has no token.
    """
    number_format = resolve_precision(precision)
    alike: bool | None = None
    for chunk in chunks:
        distinct, places = _distinct(chunk)
        with in_eval_mode(encoder), torch.inference_mode():
            alike = _reads_alike(encoder) if alike is None else alike
            if alike:
                vectors = _packed(encoder, distinct, number_format, token_budget)
            else:
                with autocast(number_format, encoder.device.type):
                    vectors = _served(encoder, distinct)
        yield vectors[places]


def _distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the distinct texts, and for each text its place among them."""
    place = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    return list(place), [place[text] for text in texts]


def _packed(
    encoder: SentenceTransformer, texts: Sequence[str], number_format: NumberFormat, budget: int
) -> Array:
    read = [text.ids for text in read_tokens(encoder, texts)]
    if empty := [shown(text) for text, ids in zip(texts, read, strict=True) if not ids]:
        fix = "leave it out"
        raise InputError("texts", [Problem(text, "has no token", fix) for text in empty])
    pad = encoder.tokenizer.pad_token_id or 0
    order = sorted(range(len(texts)), key=lambda index: len(read[index]))
    vectors: list[Array] = []
    with RoundedWeights(encoder, number_format).autocast():
        for chosen in batches(order, [len(ids) for ids in read], budget):
            batch = text_batch([read[index] for index in chosen], pad)
            vectors.append(embed(encoder, batch).float().cpu().numpy())
    return np.concatenate(vectors)[np.argsort(order)]


def _served(encoder: SentenceTransformer, texts: Sequence[str]) -> Array:
    return np.asarray(encoder.encode(list(texts), show_progress_bar=False), dtype=np.float32)


def _reads_alike(encoder: SentenceTransformer) -> bool:
    """Return True if a few texts come out as by `encoder.encode`.

    They do not where that leaves the prompt out of the pooling, shortens the embedding or reads
    something else than token ids.
    """
    if not isinstance(encoder[0], TransformerModule):
        return False
    served, ours = _served(encoder, _TRIAL), _packed(encoder, _TRIAL, "fp32", TOKENS)
    if served.shape != ours.shape:
        return False
    return bool(np.abs(served - ours).max() <= _EQUAL * np.abs(served).max())
