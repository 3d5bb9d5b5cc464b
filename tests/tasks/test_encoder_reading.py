"""Texts are tokenised once, and never as another tokenizer, limit or prompt would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import SentenceTransformer

from graft.tasks import encoder_reading
from graft.tasks.encoder_reading import read_tokens, tokenise
from tiny_models import WORDS, build_tiny_encoder

TEXTS = [" ".join(WORDS[:count]) for count in (1, 3, 30, 60)] + ["red1", "red1", "what?"]


@pytest.fixture
def encoder(colour_encoder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(colour_encoder), device="cpu")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_reading, "_known", {})


def ids(encoder: SentenceTransformer) -> list[list[int]]:
    return [list(text.ids) for text in tokenise(encoder, TEXTS)]


def test_texts_are_read_as_the_tokenizer_reads_them(encoder: SentenceTransformer) -> None:
    limit = encoder.max_seq_length
    expected = encoder.tokenizer(TEXTS, truncation=True, max_length=limit)["input_ids"]
    for _ in range(2):
        assert ids(encoder) == expected
    whole = encoder.tokenizer(TEXTS)["input_ids"]
    assert [text.cut for text in tokenise(encoder, TEXTS)] == [len(row) > limit for row in whole]
    assert tokenise(encoder, []) == []


def test_a_known_text_is_not_read_again(
    encoder: SentenceTransformer, colour_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def counted(encoder: SentenceTransformer, texts: list[str]) -> Any:
        seen.append(texts)
        return read_tokens(encoder, texts)

    monkeypatch.setattr(encoder_reading, "read_tokens", counted)
    first = tokenise(encoder, TEXTS)
    same = SentenceTransformer(str(colour_encoder), device="cpu")
    assert tokenise(same, TEXTS) == first
    assert [len(texts) for texts in seen] == [len(set(TEXTS)), 0]


def test_what_decides_the_reading_is_part_of_the_key(
    encoder: SentenceTransformer, tmp_path: Path
) -> None:
    before = ids(encoder)
    encoder.max_seq_length = 5
    assert ids(encoder) == [row[:4] + row[-1:] if len(row) > 5 else row for row in before]
    encoder.max_seq_length = 32
    encoder.prompts, encoder.default_prompt_name = {"query": "blue1 "}, "query"
    assert ids(encoder)[4] != before[4]
    encoder.default_prompt_name = None
    assert ids(encoder) == before
    encoder.tokenizer.add_tokens(["what?"])
    assert ids(encoder)[-1] != before[-1]
    other = SentenceTransformer(str(build_tiny_encoder(tmp_path, seed=3)), device="cpu")
    assert ids(other) == before


def test_the_tokenizer_is_left_as_it_was(encoder: SentenceTransformer) -> None:
    backend = encoder.tokenizer.backend_tokenizer
    for state in (lambda: backend.enable_truncation(9), lambda: backend.enable_padding(length=12)):
        state()
        before = backend.to_str()
        tokenise(encoder, TEXTS)
        tokenise(encoder, [*TEXTS, "green1"])
        assert backend.to_str() == before


def test_what_is_remembered_is_bounded(
    encoder: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_reading, "_REMEMBERED_TOKENS", 100)
    for start in range(0, 60, 10):
        tokenise(encoder, [f"{one} {other}" for one in WORDS[start : start + 9] for other in WORDS])
    held = sum(len(texts) for texts in encoder_reading._known.values())
    assert held <= 9 * len(WORDS)
