from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from graft.models.heads import ClassifierLayout
from graft.tasks.class_texts import fair_share, row_texts, separator_of
from graft.tasks.encoder_reading import read_tokens
from tiny_models import WORDS


@pytest.fixture(scope="module")
def encoder(colour_encoder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(colour_encoder), device="cpu")  # reads 32 tokens


def layout(way: str = "joint") -> ClassifierLayout:
    return ClassifierLayout(("a", "b"), ("title", "note"), way, " [SEP] ")


def rows(*texts: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(texts, columns=["title", "note"])


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 100))
def test_a_fair_share_fits_and_cuts_none_that_is_shorter(lengths: list[int], budget: int) -> None:
    share = fair_share(lengths, budget)
    kept = [min(length, share) for length in lengths]
    assert sum(kept) <= max(budget, len(lengths))
    if sum(lengths) <= budget:
        assert kept == lengths
    elif budget >= len(lengths):
        assert sum(kept) > budget - len(lengths)  # no room for one token more in each


def test_joint_texts_are_plain_text_with_the_separator_of_the_tokenizer(
    encoder: SentenceTransformer,
) -> None:
    assert separator_of(encoder.tokenizer) == " [SEP] "
    found = row_texts(encoder, rows(("red1", "blue2 blue3"), ("", "red4"), (" ", "")), layout())
    assert [row.texts for row in found] == [("red1 [SEP] blue2 blue3",), ("red4",), ("",)]
    ids = read_tokens(encoder, [found[0].texts[0]])[0].ids
    assert list(ids).count(encoder.tokenizer.sep_token_id) == 2


def test_towers_keep_their_texts_apart(encoder: SentenceTransformer) -> None:
    found = row_texts(encoder, rows(("red1", ""), ("", "red4")), layout("towers"))
    assert [row.texts for row in found] == [("red1", ""), ("", "red4")]


def test_of_texts_that_are_too_long_the_longest_is_cut(encoder: SentenceTransformer) -> None:
    title, note = " ".join(WORDS[:5]), " ".join(WORDS[:60])
    found = row_texts(encoder, rows((title, note), (note, title), (title, title)), layout())
    assert [row.shortened for row in found] == [True, True, False]
    assert found[0].texts[0].startswith(f"{title} [SEP] ")
    assert found[1].texts[0].endswith(f" [SEP] {title}")
    for text in (found[0].texts[0], found[1].texts[0]):
        read = read_tokens(encoder, [text])[0]
        assert len(read.ids) == encoder.max_seq_length
        assert not read.cut


def test_both_of_two_long_texts_keep_their_beginning(encoder: SentenceTransformer) -> None:
    one, other = " ".join(WORDS[:40]), " ".join(WORDS[30:70])
    text = row_texts(encoder, rows((one, other)), layout())[0].texts[0]
    first, second = text.split(" [SEP] ")
    assert one.startswith(first)
    assert other.startswith(second)
    assert abs(len(first.split()) - len(second.split())) <= 1


def test_one_long_text_is_left_to_the_tokenizer(encoder: SentenceTransformer) -> None:
    long = " ".join(WORDS[:60])
    found = row_texts(encoder, rows(("", long)), layout())[0]
    assert (found.texts, found.shortened) == ((long,), False)
