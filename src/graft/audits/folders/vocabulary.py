"""K7: do embedding, output matrix, tokenizer, config and number formats fit each other?"""

from __future__ import annotations

from collections import Counter

import torch

from graft.audits.contract import Answer, Check
from graft.audits.folders.causes import Faults
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.folders.opened import tokenizer_of
from graft.audits.folders.places import Place
from graft.audits.folders.roles import is_embedding_matrix, is_output_matrix
from graft.core.errors import NotApplicableError

_PACKED = ("uint8", "int8", "float8_e4m3fn", "float8_e5m2")
_PADDED_TO = 8  # embeddings are padded to a multiple of this for speed


def tied_weights(evidence: FolderEvidence) -> Answer:
    """Return whether the output matrix is the embedding where the config ties the two."""
    place = evidence.tuned
    if not place.config.get("tie_word_embeddings"):
        raise NotApplicableError("the tuned config ties no weights")
    pairs = _embedding(place), _output(place)
    if not all(pairs):
        raise NotApplicableError("the file holds one of the two tied matrices, or none")
    faults = Faults()
    gap = _gap(place)
    if gap is not None:
        before = _gap(evidence.base)
        words = f"config.json ties {pairs[1]} to {pairs[0]}, but they differ in the file ({gap})"
        faults.add("tied_apart", f"{words}: one is dropped on loading", blocks=before is None)
    return faults.answer(f"{pairs[1]} is {pairs[0]}, as the config says", {"pair": list(pairs)})


def _gap(place: Place) -> str | None:
    """Return how far output matrix and embedding lie apart; None if they are equal or not there."""
    names = _embedding(place), _output(place)
    if not (names[0] and names[1]):
        return None
    one, other = (place.tensors[name].read() for name in names if name)
    if one.shape != other.shape:
        return f"{list(one.shape)} and {list(other.shape)}"
    largest = float((one.double() - other.double()).abs().max())
    return f"largest difference {largest:.2g}" if not torch.equal(one, other) else None


def _embedding(place: Place) -> str | None:
    return next((name for name in place.tensors if is_embedding_matrix(name)), None)


def _output(place: Place) -> str | None:
    return next((n for n in place.tensors if is_output_matrix(n) and n.endswith("weight")), None)


def vocabulary_size(evidence: FolderEvidence) -> Answer:
    """Return whether every token has a row in the embedding, and the config its number."""
    place = evidence.tuned
    name = _embedding(place) or _embedding(evidence.base)
    if name is None:
        raise NotApplicableError("no embedding of tokens is known by its name")
    holder = place if name in place.tensors else evidence.base
    rows = holder.tensors[name].shape[0]
    known = evidence.base.tensors.get(_embedding(evidence.base) or "")
    before = known.shape[0] if known else rows
    tokenizer = tokenizer_of(place)
    highest = max(tokenizer.get_vocab().values(), default=-1)
    faults = Faults()
    if highest >= rows:
        what = f"the tokenizer's highest token id is {highest}, the embedding has {rows} rows"
        faults.add("tokens_not_saved" if evidence.is_adapter else "vocabulary", what)
    told = place.config.get("vocab_size")
    if holder is place and isinstance(told, int) and told != rows:
        faults.add("vocabulary", f"config.json says vocab_size {told}, the embedding has {rows}")
    grown = rows > before and highest < before and rows % _PADDED_TO
    if grown:
        what = f"the embedding grew from {before} to {rows} rows, and no token uses the new ones"
        faults.add("vocabulary", what, blocks=False)
    shown = {"rows": rows, "rows_of_base": before, "highest_token": highest, "config": told}
    return faults.answer(f"{highest + 1} tokens, {rows} rows of embedding", shown)


def number_formats(evidence: FolderEvidence) -> Answer:
    """Return whether the file holds the number formats that the config speaks of."""
    place = evidence.tuned
    counts = Counter[str]()
    for stored in place.tensors.values():
        counts[stored.format] += stored.count
    shown = {"elements": dict(counts), "quantised": bool(place.config.get("quantization_config"))}
    packed = [name for name in _PACKED if counts[name]]
    faults = Faults()
    if shown["quantised"] and not packed:
        main = counts.most_common(1)[0][0]
        what = f"config.json has a quantization_config, the weights are {main}"
        faults.add("formats", f"{what}: they are quantised on loading", blocks=False)
    if packed and place.config and not shown["quantised"]:
        what = f"the file holds {', '.join(packed)}, and config.json has no quantization_config"
        faults.add("formats", what)
    listed = ", ".join(name for name, _ in counts.most_common(3))
    return faults.answer(f"The weights are {listed or 'absent'}", shown)


CHECKS = (
    Check("K7", "tied_weights", "Are tied weights one matrix?", tied_weights),
    Check("K7", "vocabulary_size", "Does every token have its embedding?", vocabulary_size),
    Check("K7", "number_formats", "Are the weights in the formats of the config?", number_formats),
)
