"""Rows of a classification as examples and batches, and the logits of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from graft.core.facts import MULTI_LABEL, REGRESSION
from graft.models.embedding import embed
from graft.models.heads import ClassifierLayout, TextClassifier
from graft.models.packing import TextBatch, text_batch
from graft.tasks.class_texts import row_texts
from graft.tasks.encoder_reading import TokenisedText, tokenise
from graft.tasks.protocol import Array


@dataclass(frozen=True)
class ClassExample:
    """One row.

    Args:
        row: Its id.
        texts: Tokens for each embedding that the head reads; None for a tower without text.
        table: Features of the table columns.
        label: Place of its class; 0 or 1 for each of several labels; or its number.
        pad: Token id of padding.
        cut: True if a text is longer than what the model reads of it.
    """

    row: str
    texts: tuple[TokenisedText | None, ...]
    table: Array
    label: Array
    pad: int
    cut: bool

    @property
    def given(self) -> list[TokenisedText]:
        """The texts that there are."""
        return [text for text in self.texts if text is not None]

    @property
    def tokens(self) -> int:
        """Tokens of all texts."""
        return sum(len(text.ids) for text in self.given)


@dataclass(frozen=True)
class ClassBatch:
    """Rows ready for the model.

    Args:
        texts: The texts of all rows, equal ones computed once; None if no row has any.
        places: For each row and tower the place of its text, the number of texts for none:
            `[rows · towers]`.
        table: Features `[rows, features]`.
        labels: `[rows]` places of classes or numbers, or `[rows, labels]` of 0 and 1.
    """

    texts: TextBatch | None
    places: Tensor
    table: Tensor
    labels: Tensor


def class_examples(model: TextClassifier, rows: pd.DataFrame) -> list[ClassExample]:
    """Return one example per row; every text is tokenised once.

    Args:
        model: Knows how texts and table columns are read.
        rows: Rows with `row`, their labels, text columns and table columns.
    """
    encoder = model.encoder
    found = row_texts(encoder, rows, model.layout)
    # A joint text is read even if it is empty; a tower without a text gives zeros instead.
    reads_all = model.layout.towers == 1
    texts = [text for row in found for text in row.texts if reads_all or text.strip()]
    tokens = dict(zip(texts, tokenise(encoder, texts), strict=True))
    table, labels = model.features.of(rows), _labels(rows, model.layout)
    pad = int(encoder.tokenizer.pad_token_id or 0)
    examples = []
    for place, row in enumerate(rows["row"]):
        read = tuple(tokens.get(text) for text in found[place].texts)
        cut = found[place].shortened or any(text.cut for text in read if text is not None)
        examples.append(ClassExample(row, read, table[place], labels[place], pad, cut))
    return examples


def _labels(rows: pd.DataFrame, layout: ClassifierLayout) -> Array:
    """Return the labels, one entry per row; see `ClassExample`."""
    if layout.problem_type == MULTI_LABEL:
        names = [f"y_{place}" for place in range(layout.outputs)]
        return rows[names].to_numpy(dtype=np.float32)
    labels = rows["label"].to_numpy(dtype=np.float64)
    return labels if layout.problem_type == REGRESSION else labels.astype(np.int64)


def class_batch(examples: Sequence[ClassExample]) -> ClassBatch:
    """Return the examples as one batch."""
    texts = [text.ids for example in examples for text in example.given]
    places, count = [], 0
    for example in examples:
        for text in example.texts:
            places.append(len(texts) if text is None else count)
            count += text is not None
    return ClassBatch(
        texts=text_batch(texts, examples[0].pad) if texts else None,
        places=torch.tensor(places),
        table=torch.stack([torch.from_numpy(example.table) for example in examples]),
        labels=torch.from_numpy(np.stack([example.label for example in examples])),
    )


def embeddings_of(model: TextClassifier, batch: ClassBatch) -> Tensor:
    """Return the embeddings `[rows, towers · width]` in float32.

    A tower without a text gives zeros, from which nothing is learned.
    """
    device = model.device
    nothing = torch.zeros(1, model.width, device=device)
    if batch.texts is None:
        found = nothing
    else:
        found = torch.cat([embed(model.encoder, batch.texts).float(), nothing])
    embeddings = found.index_select(0, batch.places.to(device))
    return embeddings.view(len(batch.labels), -1)


def logits_of(model: TextClassifier, batch: ClassBatch) -> Tensor:
    """Return the logits `[rows, outputs]` in float32."""
    return model.logits(embeddings_of(model, batch), batch.table).float()
