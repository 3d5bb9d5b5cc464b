"""From the texts and table columns of rows to the prediction columns of a classification."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from graft.models.heads import ClassifierLayout, TextClassifier
from graft.tasks.class_outputs import answered
from graft.tasks.class_texts import row_texts, separator_of
from graft.tasks.protocol import Array

TextEncoder = Callable[[list[str]], Array | Tensor]


def classified(model: TextClassifier, rows: pd.DataFrame, encode: TextEncoder) -> dict[str, Array]:
    """Return the prediction columns of the rows, and their embeddings by text column.

    The embedding of a joint text has the name of the first column.

    Args:
        model: The classifier.
        rows: Rows with its text columns and table columns.
        encode: Texts to their embeddings `[texts, width]`, by `model.encoder`.
    """
    layout = model.layout
    texts = [found.texts for found in row_texts(model.encoder, rows, layout)]
    vectors = _vectors(texts, encode, layout, model.width)
    device = model.device
    inputs = torch.from_numpy(np.hstack(vectors)).to(device)
    table = torch.from_numpy(model.features.of(rows))
    with torch.inference_mode():
        found = answered(model.logits(inputs, table), layout)
    return {**found, **dict(zip(layout.texts, vectors, strict=False))}


def joint_embeddings(
    encoder: SentenceTransformer, rows: pd.DataFrame, texts: tuple[str, ...], encode: TextEncoder
) -> Array:
    """Return the embedding of each row's texts as one text: `[rows, width]` in float64.

    Args:
        encoder: The encoder, without a head.
        rows: Rows with the text columns.
        texts: Text columns, in order.
        encode: Texts to their embeddings, by the encoder.
    """
    layout = ClassifierLayout((), texts, "joint", separator_of(encoder.tokenizer))
    joint = [found.texts[0] for found in row_texts(encoder, rows, layout)]
    place = {text: index for index, text in enumerate(dict.fromkeys(joint))}
    vectors = np.asarray(encode(list(place)), dtype=np.float64)
    return vectors[[place[text] for text in joint]]


def _vectors(
    texts: list[tuple[str, ...]], encode: TextEncoder, layout: ClassifierLayout, width: int
) -> list[Array]:
    """Return the embeddings of each tower, `[rows, width]` in float32; equal texts once."""
    reads_all = layout.towers == 1
    distinct = list(dict.fromkeys(t for row in texts for t in row if reads_all or t.strip()))
    place = {text: index for index, text in enumerate(distinct)}
    known = np.zeros((len(distinct) + 1, width), dtype=np.float32)  # the last one: no text
    if distinct:
        known[:-1] = np.asarray(encode(distinct), dtype=np.float32)
    towers = zip(*texts, strict=True) if texts else [()] * layout.towers
    return [known[[place.get(text, len(distinct)) for text in tower]] for tower in towers]
