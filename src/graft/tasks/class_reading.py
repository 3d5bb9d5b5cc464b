"""How a classifier reads a row, in memory and as its users call it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from graft.core.facts import REGRESSION, SINGLE_LABEL
from graft.core.supervision import Supervision, label_counts
from graft.models.heads import ClassifierLayout, TextClassifier
from graft.tasks.class_examples import ClassExample
from graft.tasks.class_texts import row_texts
from graft.tasks.encoder_reading import content_length, reading_settings, served_ids


def classifier_settings(model: TextClassifier) -> dict[str, Any]:
    """Return what decides how the classifier reads a row, as plain values."""
    layout = model.layout
    return {
        **reading_settings(model),
        "texts": f"{layout.input}: {', '.join(layout.texts)}",
        "separator": layout.separator,
        "table": list(model.features.names),
        "classes": list(layout.classes),
        "problem type": layout.problem_type,
    }


def census(model: TextClassifier, examples: Sequence[ClassExample]) -> Supervision:
    """Return what the loss sees of the examples; every row has a label, so every row has loss.

    A row counts as empty if none of its texts has a word, unless the table is read too.
    """
    encoder, layout = model.encoder, model.layout
    unknown = encoder.tokenizer.unk_token_id
    cut = [e.row for e in examples if e.cut]
    empty = [
        e.row
        for e in examples
        if not (layout.table or any(content_length(encoder, text) for text in e.given))
    ]
    found = {"truncated_rows": cut, "empty_rows": empty}
    return Supervision(
        unit="rows",
        rows=len(examples),
        units=len(examples),
        rows_without_loss=0,
        tokens=sum(example.tokens for example in examples),
        truncated_rows=len(cut),
        limit=encoder.max_seq_length,
        unknown_tokens=sum(text.ids.count(unknown) for e in examples for text in e.given),
        empty_rows=len(empty),
        labels=label_counts(_label_words(layout, examples)),
        examples={name: tuple(rows[:5]) for name, rows in found.items() if rows},
    )


def _label_words(
    layout: ClassifierLayout, examples: Sequence[ClassExample]
) -> list[str] | list[float]:
    """Return the label of each row as a census counts it; several labels are counted together."""
    if layout.problem_type == REGRESSION:
        return [float(example.label) for example in examples]
    if layout.problem_type == SINGLE_LABEL:
        return [layout.classes[int(example.label)] for example in examples]
    return [
        " and ".join(layout.classes[place] for place in np.flatnonzero(example.label)) or "no label"
        for example in examples
    ]


def served_texts(model: TextClassifier, rows: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    """Return row to the token ids that reach the backbone when a user calls `encode`.

    Where the head reads one embedding, that is `encode` of the whole model.

    Args:
        model: The classifier, loaded from its folder.
        rows: Rows with `row` and the text columns.
    """
    served = model if model.layout.texts_alone else model.encoder
    reads_all = model.layout.towers == 1
    found = row_texts(model.encoder, rows, model.layout)
    return {
        row: tuple(
            token
            for text in read.texts
            if reads_all or text.strip()
            for token in served_ids(served, text)
        )
        for row, read in zip(rows["row"], found, strict=True)
    }
