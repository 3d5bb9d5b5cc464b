"""Near duplicates: MinHash finds candidates, the exact Jaccard similarity decides.

Source: Broder, "On the resemblance and containment of documents" (1997); banding after
Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from zlib import crc32

import numpy as np

from graft.core.seeds import generator

PERMUTATIONS = 128
SHORT_WORDS = 5
# 128 estimates have a standard error below 0.045; four of them lose no true neighbour.
SLACK = 0.18
_WORD = re.compile(r"\w+")


def near_rows(
    train: Sequence[tuple[str, ...]], other: Sequence[tuple[str, ...]], threshold: float
) -> list[np.ndarray]:
    """Return for each row of `other` the rows of `train` whose Jaccard similarity reaches it.

    A row is the set of shingles of its texts, so the order of the texts plays no part. Each pair
    at the threshold is found with a probability of at least 99.9 %, each pair that is returned
    is exact.

    Args:
        train: Texts of each training row.
        other: Texts of each row that is looked for.
        threshold: Jaccard similarity in 0..1 (above 0).

    Returns:
        [len(other)] arrays of positions in `train`, ascending.

    Example:
        >>> near_rows([("one two",), ("good dogs bark",)], [("Good dogs bark!",)], 0.9)
        [array([1])]
    """
    if not len(train) or not len(other):
        return [np.arange(0) for _ in other]
    train_signatures, other_signatures = _signatures(train), _signatures(other)
    candidates = _candidates(train_signatures, other_signatures, _band_rows(threshold))
    found = []
    for index, positions in enumerate(candidates):
        agreement = (train_signatures[positions] == other_signatures[index]).mean(axis=1)
        likely = positions[agreement >= threshold - SLACK]
        own = row_shingles(other[index]) if len(likely) else set()
        near = [p for p in likely if jaccard(own, row_shingles(train[p])) >= threshold]
        found.append(np.asarray(near, dtype=np.int64))
    return found


def jaccard(one: set[str], other: set[str]) -> float:
    """Return the size of the intersection over the size of the union, in 0..1.

    Example:
        >>> jaccard({"a", "b"}, {"b", "c", "d"})
        0.25
    """
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def row_shingles(texts: tuple[str, ...]) -> set[str]:
    """Return the shingles of all texts of a row.

    Example:
        >>> sorted(row_shingles(("I am very fond of tea", "no")))
        ['am very fond', 'fond of tea', 'i am very', 'no', 'very fond of']
    """
    return set().union(*(shingles(text) for text in texts))


def shingles(text: str) -> set[str]:
    """Return the word 3-grams, or the character 4-grams of a text with fewer than 5 words.

    Example:
        >>> sorted(shingles("I love tea"))
        [' lov', ' tea', 'e te', 'i lo', 'love', 'ove ', 've t']
    """
    found = words(text)
    if len(found) >= SHORT_WORDS:
        return {" ".join(found[i : i + 3]) for i in range(len(found) - 2)}
    line = " ".join(found) or text.strip()
    return {line[i : i + 4] for i in range(max(len(line) - 3, 1))}


def words(text: str) -> list[str]:
    """Return the words of a text in lower case.

    Example:
        >>> words("Don't panic!")
        ['don', 't', 'panic']
    """
    return _WORD.findall(text.casefold())


def _signatures(rows: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Return [N, PERMUTATIONS] MinHash values by multiply-shift hashing."""
    # The hash functions are part of the method: the same for every recipe and seed.
    rng = generator(0, "minhash")
    factors = rng.integers(1, 2**64, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
    offsets = rng.integers(0, 2**64, PERMUTATIONS, dtype=np.uint64)
    hashes: list[int] = []
    starts = []
    for texts in rows:
        starts.append(len(hashes))
        hashes.extend(crc32(shingle.encode()) for shingle in row_shingles(texts))
    flat = np.asarray(hashes, dtype=np.uint64)
    signatures = np.empty((len(rows), PERMUTATIONS), dtype=np.uint32)
    for i in range(PERMUTATIONS):
        mixed = (flat * factors[i] + offsets[i]) >> np.uint64(32)
        signatures[:, i] = np.minimum.reduceat(mixed, starts)
    return signatures


def _band_rows(threshold: float) -> int:
    """Return the most rows per band that still find a pair at `threshold` in 99.9 % of cases."""
    for rows in (16, 8, 4, 2):
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) <= 0.001:
            return rows
    return 1


def _candidates(train: np.ndarray, other: np.ndarray, band_rows: int) -> list[np.ndarray]:
    """Return for each row of `other` the training rows that agree with it on a whole band."""
    weights = generator(0, "minhash", "bands").integers(1, 2**64, band_rows, dtype=np.uint64)
    hits: list[list[np.ndarray]] = [[] for _ in other]
    for start in range(0, PERMUTATIONS, band_rows):
        band = slice(start, start + band_rows)
        train_keys = (train[:, band] * weights).sum(axis=1, dtype=np.uint64)
        other_keys = (other[:, band] * weights).sum(axis=1, dtype=np.uint64)
        order = np.argsort(train_keys, kind="stable")
        low = np.searchsorted(train_keys, other_keys, side="left", sorter=order)
        high = np.searchsorted(train_keys, other_keys, side="right", sorter=order)
        for index in np.flatnonzero(high > low):
            hits[index].append(order[low[index] : high[index]])
    return [np.unique(np.concatenate(hit)) if hit else np.arange(0) for hit in hits]
