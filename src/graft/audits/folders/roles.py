"""What a tensor is for, told by its name: head, pooler, embedding of tokens, way back to them."""

from __future__ import annotations

import re

_HEAD = re.compile(
    r"(^|\.)(classifier|score|lm_head|cls|qa_outputs|head|heads|pre_classifier"
    # A pooling that has weights is trained with the head.
    r"|classification_head|\d+_Dense|embed_out|pooling)(\.|$)"
)
_POOLER = re.compile(r"(^|\.)pooler\.")
_OUTPUT = re.compile(r"(^|\.)(lm_head|embed_out|decoder)\.(weight|bias)$")
_EMBEDDING = re.compile(r"(^|\.)(embed_tokens|wte|word_embeddings|shared|embed_in)\.weight$")


def is_head(name: str) -> bool:
    """Return True for a tensor of a task head.

    Example:
        >>> is_head("classifier.out_proj.weight"), is_head("encoder.layer.0.output.dense.weight")
        (True, False)
    """
    return bool(_HEAD.search(name))


def is_pooler(name: str) -> bool:
    """Return True for a tensor of BERT's pooler."""
    return bool(_POOLER.search(name))


def is_output_matrix(name: str) -> bool:
    """Return True for the matrix from hidden states to tokens, or its bias."""
    return bool(_OUTPUT.search(name))


def is_embedding_matrix(name: str) -> bool:
    """Return True for the matrix from tokens to vectors.

    Example:
        >>> is_embedding_matrix("bert.embeddings.word_embeddings.weight")
        True
    """
    return bool(_EMBEDDING.search(name))
