"""How a text encoder reads its texts: in training, by tokenising once, and as its users call it."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from transformers import PreTrainedTokenizerBase

from graft.config.sections import BaseSection
from graft.models.locate import LocatedBase
from graft.models.reader import load_reader

# Tokens of the texts that are remembered between calls; 4 bytes each, and some 300 a text.
_REMEMBERED_TOKENS = 8_000_000


@dataclass(frozen=True)
class TokenisedText:
    """A text as the encoder reads it.

    Args:
        ids: Token ids: prompt, text up to the limit, special tokens.
        cut: True if the text is longer than the encoder reads.
    """

    ids: array[int]
    cut: bool


_Texts = dict[str, TokenisedText]
_known: dict[Hashable, _Texts] = {}


def tokenise(encoder: SentenceTransformer, texts: Sequence[str]) -> list[TokenisedText]:
    """Return each text with its prompt, cut at the encoder's limit.

    Arms and splits share texts, so what was read is remembered: by the text, the prompt, the limit
    and the tokenizer's own content. When that grows past 8 million tokens, all is forgotten.

    Args:
        encoder: The encoder.
        texts: Texts; equal ones are read once.
    """
    found = _remembered(encoder)
    new = [text for text in dict.fromkeys(texts) if text not in found]
    found |= dict(zip(new, read_tokens(encoder, new), strict=True))
    return [found[text] for text in texts]


def read_tokens(encoder: SentenceTransformer, texts: Sequence[str]) -> list[TokenisedText]:
    """Return each text as `tokenise` does, and remember none.

    The tokenizer is left as it was, so the files of an artefact do not depend on what was read.

    Args:
        encoder: The encoder.
        texts: Texts; a fast tokenizer reads them on all cores.
    """
    if not texts:
        return []
    prompt = prompt_of(encoder)
    prompted = [prompt + text for text in texts]
    tokenizer, limit = encoder.tokenizer, encoder.max_seq_length
    plain = {"padding": False, "return_attention_mask": False, "return_token_type_ids": False}
    with _left_as_it_was(tokenizer):
        encoded = tokenizer(prompted, truncation=True, max_length=limit, **plain)
        if tokenizer.is_fast:
            cut = [bool(row.overflowing) for row in encoded.encodings]
        else:
            whole = tokenizer(prompted, truncation=False, verbose=False, **plain)["input_ids"]
            cut = [len(a) < len(b) for a, b in zip(encoded["input_ids"], whole, strict=True)]
    ids = (array("i", row) for row in encoded["input_ids"])
    return [TokenisedText(row, c) for row, c in zip(ids, cut, strict=True)]


def _remembered(encoder: SentenceTransformer) -> _Texts:
    tokenizer = encoder.tokenizer
    if not tokenizer.is_fast:
        return {}  # its content is in no one place
    with _left_as_it_was(tokenizer):
        backend = tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        content = hashlib.sha256(backend.to_str().encode()).digest()
    if (
        sum(len(text.ids) for texts in _known.values() for text in texts.values())
        > _REMEMBERED_TOKENS
    ):
        _known.clear()
    key = (content, encoder.max_seq_length, tokenizer.truncation_side, prompt_of(encoder))
    return _known.setdefault(key, {})


@contextmanager
def _left_as_it_was(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Put back how the tokenizer cuts and pads: every call writes that into it."""
    if not tokenizer.is_fast:
        yield
        return
    backend = tokenizer.backend_tokenizer
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        backend.enable_truncation(**truncation) if truncation else backend.no_truncation()
        backend.enable_padding(**padding) if padding else backend.no_padding()


def prompt_of(encoder: SentenceTransformer) -> str:
    """Return what the encoder puts before every text."""
    prompt: str = encoder.prompts.get(encoder.default_prompt_name or "", "")
    return prompt


def served_ids(encoder: SentenceTransformer, text: str) -> tuple[int, ...]:
    """Return the token ids that reach the backbone when a user calls `encode(text)`."""
    seen: list[tuple[int, ...]] = []

    def look(_: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        features = inputs[0]
        seen.append(tuple(features["input_ids"][0][features["attention_mask"][0].bool()].tolist()))

    handle = encoder[0].register_forward_pre_hook(look)
    try:
        encoder.encode(text, show_progress_bar=False)
    finally:
        handle.remove()
    return seen[0]


def reading_settings(encoder: SentenceTransformer) -> dict[str, Any]:
    """Return what decides how the encoder reads a text, as plain values."""
    tokenizer = encoder.tokenizer
    return {
        "modules": " → ".join(type(module).__name__ for module in encoder),
        "pooling": ", ".join(m.pooling_mode for m in encoder if isinstance(m, Pooling)),
        "normalised": any(isinstance(module, Normalize) for module in encoder),
        "max_seq_length": encoder.max_seq_length,
        "prompt": prompt_of(encoder),
        "vocabulary": len(tokenizer),
        "padding_side": tokenizer.padding_side,
    }


def token_lengths(
    base: LocatedBase, section: BaseSection, texts: list[str]
) -> tuple[np.ndarray[Any, Any], int]:
    """Return the tokens of each text before truncation, and the limit of the base."""
    reader = load_reader(base, section)
    limit = int(reader.max_seq_length or 0)
    ids = reader.tokenizer(texts, truncation=False, padding=False, verbose=False)["input_ids"]
    return np.array([len(row) for row in ids]), limit


def content_length(encoder: SentenceTransformer, text: TokenisedText) -> int:
    """Return the number of tokens that are not special ones."""
    special = set(encoder.tokenizer.all_special_ids) - {encoder.tokenizer.unk_token_id}
    return sum(token not in special for token in text.ids)
