"""A batch of texts holds every token once, and knows where each came from."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from graft.models.packing import text_batch

PAD = 0
TEXTS = st.lists(
    st.lists(st.integers(1, 6), min_size=1, max_size=40).map(tuple), min_size=1, max_size=12
)


@given(TEXTS)
def test_every_text_is_given_back_in_its_place(texts: list[tuple[int, ...]]) -> None:
    batch = text_batch(texts, PAD)
    assert [tuple(batch.ids[place]) for place in batch.places.tolist()] == texts


@given(TEXTS)
def test_equal_texts_are_kept_once_and_lengths_ascend(texts: list[tuple[int, ...]]) -> None:
    batch = text_batch(texts, PAD)
    assert sorted(batch.ids) == sorted(set(texts))
    assert list(batch.lengths) == sorted(map(len, batch.ids))


@given(TEXTS)
def test_every_token_stands_once_in_the_row(texts: list[tuple[int, ...]]) -> None:
    batch = text_batch(texts, PAD)
    assert batch.flat.tolist() == [token for text in batch.ids for token in text]
    assert batch.tokens == len(batch.flat) == batch.bounds[-1]
    for index, text in enumerate(batch.ids):
        start, stop = batch.bounds[index : index + 2].tolist()
        assert tuple(batch.flat[start:stop].tolist()) == text
        assert set(batch.owners[start:stop].tolist()) == {index}
        assert batch.positions[start:stop].tolist() == list(range(len(text)))


@given(TEXTS)
def test_segments_follow_one_another_and_hold_every_text(texts: list[tuple[int, ...]]) -> None:
    batch = text_batch(texts, PAD)
    assert [length for segment in batch.segments for length in segment.lengths] == list(
        batch.lengths
    )
    edges = [(segment.start, segment.stop) for segment in batch.segments]
    assert edges[0][0] == 0
    assert edges[-1][1] == batch.tokens
    assert all(one[1] == other[0] for one, other in itertools.pairwise(edges))


@given(TEXTS)
def test_a_rectangle_and_its_tokens_lead_to_each_other(texts: list[tuple[int, ...]]) -> None:
    batch = text_batch(texts, PAD)
    for segment in batch.segments:
        tokens = batch.flat[segment.start : segment.stop]
        rectangle = tokens[segment.filled]
        assert torch.equal(rectangle[segment.real], tokens)
        assert torch.equal(segment.mask.flatten().nonzero()[:, 0], segment.real)
        assert segment.mask.sum(dim=1).tolist() == list(segment.lengths)
        assert segment.even == bool(segment.mask.all())
        padded = batch.rectangle(segment)
        assert torch.equal(padded[segment.mask], tokens)
        assert bool((padded[~segment.mask] == PAD).all())


@given(TEXTS)
def test_little_of_a_rectangle_is_padding(texts: list[tuple[int, ...]]) -> None:
    for segment in text_batch(texts, PAD).segments:
        assert segment.longest - segment.lengths[0] <= max(8, segment.longest / 4)
