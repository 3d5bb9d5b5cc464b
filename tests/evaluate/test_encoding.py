"""Embeddings are those of `SentenceTransformer.encode`, whatever the route and the batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling

from graft.core.errors import InputError
from graft.evaluate.encoding import encode, encode_stream
from tiny_models import WORDS

texts = st.lists(
    st.lists(st.sampled_from([*WORDS, "?", " "]), max_size=40).map(" ".join),
    min_size=1,
    max_size=30,
)


@pytest.fixture
def encoder(colour_encoder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(colour_encoder), device="cpu")


def served(encoder: SentenceTransformer, texts: list[str]) -> np.ndarray:
    return np.asarray(encoder.encode(texts, show_progress_bar=False))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=texts, budget=st.integers(1, 200))
def test_float32_is_what_encode_returns(
    encoder: SentenceTransformer, texts: list[str], budget: int
) -> None:
    ours = encode(encoder, texts, "fp32", budget)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, served(encoder, texts), atol=2e-6)


def test_a_stream_is_the_whole_in_pieces(encoder: SentenceTransformer) -> None:
    rows = [f"{one} {other}" for one in WORDS[:9] for other in WORDS[:9]] * 2
    asked: list[int] = []

    def chunks() -> Iterator[list[str]]:
        for start in range(0, len(rows), 20):
            asked.append(start)
            yield rows[start : start + 20]

    stream = encode_stream(encoder, chunks(), "fp32")
    first = next(stream)
    assert asked == [0]
    joined = np.concatenate([first, *stream])
    np.testing.assert_allclose(joined, encode(encoder, rows, "fp32"), atol=2e-6)


def test_bfloat16_points_the_same_way(encoder: SentenceTransformer) -> None:
    rows = [" ".join(WORDS[:count]) for count in range(1, 40)]
    rounded = encode(encoder, rows, "bf16")
    assert rounded.dtype == np.float32
    cosines = (rounded * served(encoder, rows)).sum(axis=1) / np.linalg.norm(rounded, axis=1)
    assert cosines.min() > 0.999
    assert not np.array_equal(rounded, encode(encoder, rows, "fp32"))


def test_what_the_public_route_does_besides_is_done(encoder: SentenceTransformer) -> None:
    rows = ["red1 red2", "blue3", "green4 green5 red1"]
    plain = served(encoder, rows)
    encoder.prompts, encoder.default_prompt_name = {"query": "blue1 blue2 "}, "query"
    prompted = served(encoder, rows)
    assert np.abs(prompted - plain).max() > 1e-3
    np.testing.assert_allclose(encode(encoder, rows, "fp32"), prompted, atol=2e-6)
    encoder[1] = Pooling(32, "mean", include_prompt=False)
    without = served(encoder, rows)
    assert np.abs(without - prompted).max() > 1e-3
    np.testing.assert_allclose(encode(encoder, rows, "fp32"), without, atol=2e-6)


def test_shortened_embeddings_stay_short(colour_encoder: Path) -> None:
    encoder = SentenceTransformer(str(colour_encoder), device="cpu", truncate_dim=8)
    rows = ["red1 red2", "blue3"]
    np.testing.assert_allclose(encode(encoder, rows, "fp32"), served(encoder, rows), atol=2e-6)


def test_the_encoder_is_left_as_it_was(encoder: SentenceTransformer) -> None:
    encoder.train()
    encoder[1].eval()
    with torch.random.fork_rng(devices=[]):
        before = torch.random.get_rng_state()
        encode(encoder, ["red1", "blue2"])
        assert torch.equal(torch.random.get_rng_state(), before)
    assert encoder[0].training
    assert not encoder[1].training


def test_a_text_without_a_token_is_named(encoder: SentenceTransformer) -> None:
    encoder.tokenizer.backend_tokenizer.post_processor = None
    with pytest.raises(InputError, match="'': has no token"):
        encode(encoder, ["red1", ""])
