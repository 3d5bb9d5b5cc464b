"""How many texts or rows a prediction computes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# As many as 4 texts of 256 tokens. From 512 to 16,384 tokens the speed of all-MiniLM-L6-v2 on two
# cores is the same within a tenth, so this bounds the memory and costs nothing.
TOKENS = 1024


def batches(
    order: Sequence[int], tokens: Sequence[int], budget: int = TOKENS, most: int | None = None
) -> Iterator[list[int]]:
    """Yield `order` in pieces of as many items as fit.

    Args:
        order: Places of the items, neighbours of like length.
        tokens: Tokens of each item, by its place.
        budget: Most tokens of a piece; a longer item is a piece of its own.
        most: Most items of a piece.

    Example:
        >>> list(batches([2, 0, 1], tokens=[5, 6, 1], budget=10))
        [[2, 0], [1]]
    """
    piece, size = list[int](), 0
    for place in order:
        if piece and (size + tokens[place] > budget or len(piece) == most):
            yield piece
            piece, size = [], 0
        piece.append(place)
        size += tokens[place]
    if piece:
        yield piece
