"""The texts of a row as the encoder of a classifier gets them: joined, or one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase

from graft.models.heads import ClassifierLayout
from graft.tasks.encoder_reading import prompt_of, tokenise


@dataclass(frozen=True)
class RowTexts:
    """The texts of one row.

    Args:
        texts: One for each embedding that the head reads; an empty one stands for no text.
        shortened: True if a text was cut to make room for the others.
    """

    texts: tuple[str, ...]
    shortened: bool = False


def separator_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return what stands between joint texts: the tokenizer's separator, else a new line."""
    sign = tokenizer.sep_token
    return f" {sign} " if sign else "\n"


def row_texts(
    encoder: SentenceTransformer, rows: pd.DataFrame, layout: ClassifierLayout
) -> list[RowTexts]:
    """Return what the encoder reads of each row.

    Joint texts are plain text, so that a user gets the same by joining with `layout.separator`.
    Where they are longer than the encoder reads, the longest is cut first, so that a short title
    is never lost behind a long text.

    Args:
        encoder: The encoder without its head.
        rows: Rows with the text columns, an empty string where there is no text.
        layout: How they are put together.
    """
    columns = [list(rows[name]) for name in layout.texts]
    cells = list(zip(*columns, strict=True))
    if layout.input == "towers":
        return [RowTexts(texts) for texts in cells]
    given = [[text for text in texts if text.strip()] for texts in cells]
    joined = [layout.separator.join(texts) for texts in given]
    found = [RowTexts((text,)) for text in joined]
    long = [
        place
        for place, text in enumerate(tokenise(encoder, joined))
        if text.cut and len(given[place]) > 1
    ]
    for place in long if encoder.tokenizer.is_fast else ():
        shorter = layout.separator.join(_fitting(encoder, given[place], layout.separator))
        found[place] = RowTexts((shorter,), shortened=True)
    return found


def _fitting(encoder: SentenceTransformer, texts: Sequence[str], separator: str) -> list[str]:
    """Return the texts cut so that all of them together fit, the longest ones first."""
    tokenizer = encoder.tokenizer
    frame = prompt_of(encoder) + separator * (len(texts) - 1)
    overhead = len(tokenizer(frame, verbose=False)["input_ids"])
    plain = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
    ends = [[end for _, end in tokenizer(text, **plain)["offset_mapping"]] for text in texts]
    allowed = fair_share([len(found) for found in ends], encoder.max_seq_length - overhead)
    return [
        text[: found[allowed - 1]] if len(found) > allowed else text
        for text, found in zip(texts, ends, strict=True)
    ]


def fair_share(lengths: Sequence[int], budget: int) -> int:
    """Return the most tokens that each text may keep so that all together stay in the budget.

    Args:
        lengths: Tokens of each text.
        budget: Tokens for all; every text keeps at least one.

    Example:
        >>> fair_share([3, 100, 40], budget=63)
        30
    """
    left, share = budget, max(budget, 1)
    for rank, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - rank)
        if length > share:
            return max(share, 1)
        left -= length
    return max(lengths, default=1)
