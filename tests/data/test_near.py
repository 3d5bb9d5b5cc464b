"""MinHash finds what a comparison of all pairs finds."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.data.near import jaccard, near_rows, row_shingles, shingles

WORDS = [f"word{i}" for i in range(12)]
words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
table = st.lists(st.tuples(words, words), min_size=1, max_size=12)


@given(train=table, other=table, threshold=st.sampled_from([0.5, 0.7, 0.9, 1.0]))
@settings(max_examples=60, deadline=None)
def test_same_as_all_pairs(train, other, threshold):
    found = near_rows(train, other, threshold)
    for texts, positions in zip(other, found, strict=True):
        own = row_shingles(texts)
        brute = [i for i, row in enumerate(train) if jaccard(own, row_shingles(row)) >= threshold]
        assert positions.tolist() == brute


@given(train=table, other=table)
@settings(max_examples=30, deadline=None)
def test_order_of_the_texts_plays_no_part(train, other):
    turned = [row[::-1] for row in other]
    for one, two in zip(near_rows(train, other, 0.8), near_rows(train, turned, 0.8), strict=True):
        assert one.tolist() == two.tolist()


def test_every_text_has_a_shingle():
    for text in ("a", ":)", "🙂", "two words", "word " * 5):
        assert shingles(text)


def test_nothing_to_compare():
    assert near_rows([], [("a",)], 0.9)[0].size == 0
    assert near_rows([("a",)], [], 0.9) == []


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_less_than_a_minute():
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"w{i}" for i in range(5000)])

    def texts(count):
        drawn = vocabulary[rng.zipf(1.3, (count, 12)) % 5000]
        return [(" ".join(row),) for row in drawn]

    train, other = texts(80_000), texts(20_000)
    other[:500] = train[:500]
    begun = time.perf_counter()
    found = near_rows(train, other, 0.9)
    assert time.perf_counter() - begun < 60
    assert all(i in found[i] for i in range(500))
