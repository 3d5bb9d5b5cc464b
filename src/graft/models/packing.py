"""Texts laid out for an encoder: each distinct text once, like lengths side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

# Texts whose lengths differ by no more share a rectangle: computing a little padding in it costs
# less than starting another product.
_SLACK, _SLACK_SHARE = 8, 0.25


@dataclass(frozen=True)
class Segment:
    """Neighbours of like length, which attention treats as one rectangle.

    Args:
        start: First token of the segment in the pack.
        lengths: Tokens of each text, ascending.
    """

    start: int
    lengths: tuple[int, ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return self.lengths[-1]

    @property
    def stop(self) -> int:
        """The token after the last one in the pack."""
        return self.start + sum(self.lengths)

    @property
    def even(self) -> bool:
        """True if all texts are of one length, so that nothing is padding."""
        return self.lengths[0] == self.longest

    @cached_property
    def mask(self) -> Tensor:
        """True for a token, False for padding: `[texts, longest]`."""
        return torch.arange(self.longest) < torch.tensor(self.lengths)[:, None]

    @cached_property
    def real(self) -> Tensor:
        """Places of the tokens in the flattened rectangle: `[tokens]`."""
        return self.mask.flatten().nonzero()[:, 0]

    @cached_property
    def filled(self) -> Tensor:
        """For each place of the rectangle a token of the segment: `[texts · longest]`.

        Padding repeats the last token of its text, so that nothing there is not finite.
        """
        lengths = torch.tensor(self.lengths)
        starts = lengths.cumsum(0) - lengths
        inside = torch.minimum(torch.arange(self.longest), lengths[:, None] - 1)
        return (starts[:, None] + inside).flatten()


@dataclass(frozen=True)
class TextBatch:
    """The distinct texts of a batch, shortest first.

    Args:
        ids: Token ids of each distinct text, ascending in length; none is empty.
        places: `[texts]`, for each given text its place in `ids`.
        pad: Token id of padding, for models that cannot be packed.
    """

    ids: tuple[Sequence[int], ...]
    places: Tensor
    pad: int

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each distinct text."""
        return tuple(map(len, self.ids))

    @cached_property
    def tokens(self) -> int:
        """Tokens of all distinct texts."""
        return sum(self.lengths)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The distinct texts in groups of like length."""
        return tuple(_segments(self.lengths))

    @cached_property
    def flat(self) -> Tensor:
        """Token ids of all distinct texts, one after another: `[tokens]`."""
        return torch.tensor([token for text in self.ids for token in text])

    @cached_property
    def bounds(self) -> Tensor:
        """Where each distinct text begins, and the end: `[distinct + 1]`, 32 bit."""
        ends = torch.tensor((0, *self.lengths)).cumsum(0)
        return ends.to(torch.int32)

    @cached_property
    def owners(self) -> Tensor:
        """For each token the distinct text that it belongs to: `[tokens]`."""
        return torch.repeat_interleave(torch.arange(len(self.ids)), torch.tensor(self.lengths))

    @cached_property
    def positions(self) -> Tensor:
        """For each token its place in its own text: `[tokens]`."""
        return torch.arange(self.tokens) - self.bounds.long()[self.owners]

    def rectangle(self, segment: Segment) -> Tensor:
        """Return the token ids of a segment, padded on the right: `[texts, longest]`."""
        ids = self.flat[segment.start : segment.stop][segment.filled].view(segment.mask.shape)
        return ids.masked_fill(~segment.mask, self.pad)


def text_batch(texts: Sequence[Sequence[int]], pad: int) -> TextBatch:
    """Return the batch of `texts`; equal texts are kept once.

    Args:
        texts: Token ids of each text; at least one text, each with at least one token.
        pad: Token id of padding.

    Example:
        >>> batch = text_batch([[7, 8, 9], [7], [7, 8, 9]], pad=0)
        >>> batch.ids, batch.places.tolist(), batch.tokens
        (((7,), (7, 8, 9)), [1, 0, 1], 4)
    """
    keys = [tuple(text) for text in texts]
    distinct = sorted(dict.fromkeys(keys), key=len)
    place = {text: index for index, text in enumerate(distinct)}
    return TextBatch(tuple(distinct), torch.tensor([place[key] for key in keys]), pad)


def _segments(lengths: Sequence[int]) -> Iterator[Segment]:
    start, group = 0, list[int]()
    for length in lengths:
        if group and length - group[0] > max(_SLACK, _SLACK_SHARE * length):
            yield Segment(start, tuple(group))
            start, group = start + sum(group), []
        group.append(length)
    yield Segment(start, tuple(group))
