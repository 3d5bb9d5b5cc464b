"""Outputs of the frozen beginning of an encoder, computed once a text and kept in a file."""

from __future__ import annotations

import hashlib
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from graft.models.batches import batches
from graft.models.feature_files import (
    FORMAT,
    FORMATS,
    FeatureIndex,
    FeaturePlace,
    mapped_values,
    stored_index,
    text_name,
    write_outputs,
)
from graft.models.packed import in_eval_mode, packed_embeddings, packing_problem, padded_embeddings
from graft.models.packing import TextBatch, text_batch
from graft.models.precision import RoundedWeights, autocast
from graft.models.prefix import Prefix, frozen_prefix, run_prefix, run_rest
from graft.models.tensors import sha256_tensor
from graft.models.threads import suitable_threads

_TEXTS_OF_A_STEP = 64
_COMPARED = 8  # texts that are computed a second time, among others
# Share of the norm: rounding of the format over some layers, far below what one dropout does.
TOLERANCE = {"fp32": 1e-4, "bf16": 3e-2}


class FeatureStore:
    """Stored outputs of the frozen beginning of one encoder.

    Args:
        encoder: The encoder.
        prefix: Where its frozen beginning ends.
        place: Where the outputs lie.
        index: What lies there.
        sample: A few of the texts, of all lengths, for comparison.
    """

    def __init__(
        self,
        encoder: SentenceTransformer,
        prefix: Prefix,
        place: FeaturePlace,
        index: FeatureIndex,
        sample: TextBatch,
    ) -> None:
        self.encoder, self.prefix, self.record = encoder, prefix, index.record
        self._starts, self._place, self._sample = index.starts, place, sample
        self._values = mapped_values(place, index)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let `embed` run only what comes after the frozen beginning, while the block runs."""
        token = _active.set(self)
        whole = self.prefix.modules
        last = nn.ModuleList(list(self.encoder)[whole:]) if whole else None
        try:
            # What comes after a whole backbone is so small that a second thread only waits.
            with suitable_threads(last, _TEXTS_OF_A_STEP):
                yield
        finally:
            _active.reset(token)

    def holds(self, batch: TextBatch) -> bool:
        """Return True if every text of the batch is stored."""
        return all(text_name(text) in self._starts for text in batch.ids)

    def outputs(self, batch: TextBatch) -> Tensor:
        """Return the stored outputs of the distinct texts, as the forward pass would give them."""
        places = (self._starts[text_name(text)] for text in batch.ids)
        rows = torch.cat([self._values[start : start + count] for start, count in places])
        return rows.float().to(self.encoder.device)

    def gap(self) -> float:
        """Return how far what is stored lies from what the encoder computes now.

        That is a share of the norm, the larger of two: of the outputs of the frozen beginning in
        the modes that it runs in, which differ if it draws at random; and of the embeddings that
        the rest makes of them, which differ if skipping layers is not the same as running them.
        The few texts stand in other company than when they were stored.
        """
        sample, stored = self._sample, self.outputs(self._sample)
        anew = _computed(self.encoder, sample, self.prefix, self._place).float()
        embed = padded_embeddings if packing_problem(self.encoder) else packed_embeddings
        with in_eval_mode(self.encoder), _forward_only(self.encoder, self._place):
            skipped = run_rest(self.encoder, sample, self.prefix, stored)
            whole = embed(self.encoder, sample)
        return max(_apart(stored.cpu(), anew), _apart(skipped.float(), whole.float()))


_active: ContextVar[FeatureStore | None] = ContextVar("active", default=None)


def stored_features(encoder: SentenceTransformer, batch: TextBatch) -> Tensor | None:
    """Return the embeddings of the distinct texts from what is stored, None if nothing is."""
    store = _active.get()
    if store is None or store.encoder is not encoder or not store.holds(batch):
        return None
    return run_rest(encoder, batch, store.prefix, store.outputs(batch))


def store_features(
    encoder: SentenceTransformer, texts: Sequence[Sequence[int]], pad: int, place: FeaturePlace
) -> FeatureStore | str:
    """Return the stored outputs of the frozen beginning for `texts`, or why they are not stored.

    A folder that is there already is taken if its hashes verify and it was made by the same
    weights for the same texts; else it is made anew.

    Args:
        encoder: The encoder; what is frozen now counts as frozen.
        texts: Token ids of each text.
        pad: Token id of padding.
        place: Where, and how large at most.
    """
    prefix = frozen_prefix(encoder)
    if isinstance(prefix, str):
        return prefix
    distinct = text_batch(texts, pad)
    if problem := _too_large(encoder, prefix, distinct, place):
        return problem
    key = _key(encoder, prefix, distinct, place)
    index = stored_index(place, key)
    if index is None:
        rounded = RoundedWeights(encoder, place.precision)
        with rounded.in_place():
            groups = ((g.ids, _computed(encoder, g, prefix, place)) for g in _groups(distinct))
            index = write_outputs(place, key, prefix.words, groups)
    sample = text_batch(distinct.ids[:: max(1, len(distinct.ids) // _COMPARED)], pad)
    store = FeatureStore(encoder, prefix, place, index, sample)
    gap = store.gap()
    if not gap <= TOLERANCE[place.precision]:
        return (
            f"outputs of {prefix.words} differ by {gap:.1e} of their norm when they are computed "
            "twice: something in it is drawn at random, or lets one text see another"
        )
    store.record = replace(store.record, gap=gap)
    return store


def _too_large(
    encoder: SentenceTransformer, prefix: Prefix, batch: TextBatch, place: FeaturePlace
) -> str:
    width = _computed(encoder, text_batch(batch.ids[:1], batch.pad), prefix, place).shape[1]
    rows = len(batch.ids) if prefix.modules else batch.tokens
    size = rows * width * FORMATS[place.precision].itemsize
    place.folder.parent.mkdir(parents=True, exist_ok=True)
    allowed = min(place.limit_bytes, shutil.disk_usage(place.folder.parent).free // 2)
    if size <= allowed:
        return ""
    return (
        f"the outputs of {prefix.words} need {size / 1e6:.4g} MB, {allowed / 1e6:.4g} MB are "
        "allowed (feature_cache_gb, and at most half of the free disk)"
    )


def _computed(
    encoder: SentenceTransformer, batch: TextBatch, prefix: Prefix, place: FeaturePlace
) -> Tensor:
    with _forward_only(encoder, place):
        outputs = run_prefix(encoder, batch, prefix)
    return outputs.to(FORMATS[place.precision]).cpu()


@contextmanager
def _forward_only(encoder: SentenceTransformer, place: FeaturePlace) -> Iterator[None]:
    with torch.inference_mode(), autocast(place.precision, encoder.device.type):
        yield


def _groups(batch: TextBatch) -> Iterator[TextBatch]:
    """Yield the distinct texts in groups of a bounded number of tokens, like lengths together."""
    for chosen in batches(range(len(batch.ids)), batch.lengths):
        yield text_batch([batch.ids[place] for place in chosen], batch.pad)


def _apart(one: Tensor, other: Tensor) -> float:
    share = float((one - other).norm() / other.norm().clamp(min=1e-30))
    # Weights that overflowed give no number; a result holds finite ones only.
    return share if math.isfinite(share) else sys.float_info.max


def _key(
    encoder: SentenceTransformer, prefix: Prefix, batch: TextBatch, place: FeaturePlace
) -> str:
    digest = hashlib.sha256(f"{FORMAT} {prefix} {place.precision}".encode())
    for name, parameter in encoder.named_parameters():
        if not parameter.requires_grad:
            digest.update(f"{name} {sha256_tensor(parameter)}".encode())
    for text in batch.ids:
        digest.update(text_name(text).encode())
    return digest.hexdigest()
