"""Predictions of a model in memory: in order, in bounded batches, the same in all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from graft.evaluate.predictions import predict
from graft.models.batches import batches
from graft.tasks.pairs import PairsTask
from tiny_models import colour_pairs


@given(
    tokens=st.lists(st.integers(1, 50), min_size=1, max_size=40),
    budget=st.integers(1, 120),
    most=st.one_of(st.none(), st.integers(1, 9)),
)
def test_every_item_once_and_no_piece_too_large(
    tokens: list[int], budget: int, most: int | None
) -> None:
    order = sorted(range(len(tokens)), key=tokens.__getitem__)
    pieces = list(batches(order, tokens, budget, most))
    assert [place for piece in pieces for place in piece] == order
    assert all(len(piece) == 1 or sum(tokens[i] for i in piece) <= budget for piece in pieces)
    assert most is None or max(map(len, pieces)) <= most


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_scores_do_not_depend_on_the_batch(colour_encoder: Path, batch_size: int) -> None:
    encoder, task = SentenceTransformer(str(colour_encoder), device="cpu"), PairsTask()
    rows = colour_pairs(40, 1).assign(row=[f"train:{index}" for index in range(40)])
    examples = task.prepare(rows, encoder)
    seen: list[int] = []

    class Counted(PairsTask):
        def predict(self, model, batch):  # type: ignore[no-untyped-def]
            seen.append(len(batch.labels))
            return super().predict(model, batch)

    score = predict(Counted(), encoder.train(), examples, batch_size)["score"]
    assert max(seen) == min(batch_size, 40)
    assert sum(seen) == 40
    np.testing.assert_allclose(score, task.encode_rows(encoder, rows)["score"], atol=2e-6)
