"""How a text encoder reads its texts: in training, by tokenising once, and as its users call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling


@dataclass(frozen=True)
class TokenisedText:
    """A text as the encoder reads it.

    Args:
        ids: Token ids: prompt, text up to the limit, special tokens.
        cut: True if the text is longer than the encoder reads.
    """

    ids: list[int]
    cut: bool


def tokenise(encoder: SentenceTransformer, texts: list[str]) -> list[TokenisedText]:
    """Return each text with its prompt, cut at the encoder's limit."""
    prompt = encoder.prompts.get(encoder.default_prompt_name or "", "")
    prompted = [prompt + text for text in texts]
    tokenizer = encoder.tokenizer
    encoded = tokenizer(prompted, truncation=True, max_length=encoder.max_seq_length, padding=False)
    if tokenizer.is_fast:
        cut = [bool(row.overflowing) for row in encoded.encodings]
    else:
        whole = tokenizer(prompted, truncation=False, padding=False, verbose=False)
        cut = [
            len(a) < len(b) for a, b in zip(encoded["input_ids"], whole["input_ids"], strict=True)
        ]
    return [TokenisedText(ids, c) for ids, c in zip(encoded["input_ids"], cut, strict=True)]


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
        "prompt": encoder.prompts.get(encoder.default_prompt_name or "", ""),
        "vocabulary": len(tokenizer),
        "padding_side": tokenizer.padding_side,
    }


def content_length(encoder: SentenceTransformer, text: TokenisedText) -> int:
    """Return the number of tokens that are not special ones."""
    special = set(encoder.tokenizer.all_special_ids) - {encoder.tokenizer.unk_token_id}
    return sum(token not in special for token in text.ids)
