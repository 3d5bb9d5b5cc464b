"""K3 and K7: did the weights move, are they all there, and do they descend from the base?"""

from __future__ import annotations

import math
import re
from typing import Any

from graft.audits.contract import Answer, Check, listed, named
from graft.audits.folders.causes import Faults
from graft.audits.folders.comparison import ComparedTensor, Movement, by_layer
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.folders.roles import (
    is_embedding_matrix,
    is_head,
    is_output_matrix,
    is_pooler,
)
from graft.core.errors import NotApplicableError

# The cosine of two random matrices of n elements has a standard deviation of 1 / sqrt(n).
_SIGMAS = 4
_LARGE = 1024  # elements from which on a cosine tells
# What libraries recompute and save or leave out as they like.
_BUFFERS = re.compile(r"(position_ids|token_type_ids|inv_freq|masked_bias|attn\.bias)$")
_WRAPPERS = ("_orig_mod.", "module.", "base_model.model.")


def weights_moved(evidence: FolderEvidence) -> Answer:
    """Return which layers moved and how far; for an adapter, as far as B·A moves them."""
    moved = evidence.moved
    if not moved:
        raise NotApplicableError("no floating-point tensor of one shape is in both")
    new = () if evidence.is_adapter else evidence.report.new
    updated = [tensor for tensor in moved if tensor.movement == Movement.updated]
    layers = by_layer(moved)
    broken = [tensor.tuned_name or tensor.name for tensor in moved if not tensor.finite]
    body = [tensor for tensor in moved if not is_head(tensor.name)]
    faults = Faults()
    if broken:
        faults.add("not_finite", f"{len(broken)} tensors hold NaN or infinity ({named(broken)})")
    fresh = [name for name in new if is_head(name)]
    if not updated and not fresh:
        faults.add("nothing_moved", f"all {len(moved)} tensors are the base's, bit for bit")
    elif body and all(tensor.movement == Movement.frozen for tensor in body):
        only = f"only the head is new or moved ({named(fresh or [t.name for t in updated])})"
        what = f"all {len(body)} tensors of the body are the base's, bit for bit; {only}"
        faults.add("body_frozen", what, blocks=False)
    far = sorted(layers, key=lambda layer: -layer.relative_change)
    shown = {
        "updated": len(updated),
        "frozen": len(moved) - len(updated),
        "layers_updated": sum(bool(layer.updated) for layer in layers),
        "layers": len(layers),
        "by_adapter": evidence.is_adapter,
        "furthest": far[:3],
        "not_finite": listed(broken),
        "new": listed(new),
    }
    words = " by B·A" if evidence.is_adapter else ""
    summary = (
        f"{len(updated)} of {len(moved)} tensors are UPDATED{words} in {shown['layers_updated']}"
        f" of {len(layers)} layers"
    )
    if updated:
        summary += f", furthest {far[0].layer} ({far[0].relative_change:.2g})"
    return faults.answer(summary, shown)


def files_whole(evidence: FolderEvidence) -> Answer:
    """Return whether every shard and every tensor that an index names is there."""
    absent, count = evidence.tuned.absent, len(evidence.tuned.tensors)
    faults = Faults()
    if absent:
        faults.add("half_written", f"{len(absent)} named files or tensors lack ({named(absent)})")
    shown = {"kind": evidence.tuned.kind, "tensors": count, "absent": listed(absent)}
    return faults.answer(f"All weight files of the {evidence.tuned.kind} are there", shown)


def same_model(evidence: FolderEvidence) -> Answer:
    """Return whether the tuned folder holds the base's tensors, by names that a loader finds."""
    report = evidence.report
    base, tuned = evidence.base, evidence.tuned
    faults = Faults()
    prefixed = _prefixed(evidence)
    if prefixed:
        lead, count = prefixed
        what = f"{count} of {len(tuned.tensors)} keys carry '{lead}': a loader finds none of them"
        faults.add("prefixed_keys", what)
    missing = [n for n in report.missing if base.tensors[n].is_float and not _BUFFERS.search(n)]
    missing = [] if tuned.absent else [name for name in missing if not _tied_copy(name, evidence)]
    other_class = _class_of(base.config) != _class_of(tuned.config)
    heads = [name for name in missing if is_head(name)]
    poolers = [name for name in missing if is_pooler(name)]
    lost = [name for name in missing if name not in heads and name not in poolers]
    if lost:
        what = f"{len(lost)} of {len(base.tensors)} tensors of the base lack ({named(lost)})"
        faults.add("tensors_lost", what)
    if heads or poolers:
        gone = [*heads, *poolers]
        what = f"the base's {'head' if heads else 'pooler'} is not in it ({named(gone)})"
        known = bool(base.config and tuned.config)
        # Another class has another head: that the old one is gone is what was asked for.
        if not (known and other_class) or any("_Dense" in name for name in heads):
            faults.add("head_lost", what, blocks=known)
    if report.mismatched:
        what = f"{len(report.mismatched)} tensors have other shapes ({named(report.mismatched)})"
        faults.add("shapes_differ", what, blocks=not _explained(evidence))
    strange = _unrelated(evidence.moved)
    if strange:
        faults.add("unrelated", strange)
    shown = {
        "kinds": [base.kind, tuned.kind],
        "classes": [_class_of(base.config), _class_of(tuned.config)],
        "compared": len(report.tensors),
        "missing": listed(missing),
        "new": listed(report.new),
        "mismatched": listed(report.mismatched),
        "converted": listed(report.converted),
        "prefix": prefixed[0] if prefixed else "",
    }
    heads_new = [name for name in report.new if is_head(name)]
    note = f"; new head {named(heads_new)}" if heads_new else ""
    return faults.answer(f"{len(report.tensors)} tensors of the base are in it{note}", shown)


def _class_of(config: Any) -> str:  # noqa: ANN401 - config.json
    return str((config.get("architectures") or [""])[0])


def _prefixed(evidence: FolderEvidence) -> tuple[str, int] | None:
    """Return the wrapper's prefix that the tuned keys carry and the base's do not."""
    for lead in _WRAPPERS:
        inside = f".{lead}" if lead == "_orig_mod." else lead
        hits = [k for k in evidence.tuned.tensors if k.startswith(lead) or inside in k]
        before = [k for k in evidence.base.tensors if k.startswith(lead) or inside in k]
        hits = [k for k in hits if lead == "_orig_mod." or k.startswith(lead)]
        if hits and not before:
            return lead, len(hits)
    return None


def _tied_copy(name: str, evidence: FolderEvidence) -> bool:
    """Return True for an output matrix that the config ties to the embedding."""
    return bool(evidence.tuned.config.get("tie_word_embeddings")) and is_output_matrix(name)


def _explained(evidence: FolderEvidence) -> bool:
    """Return True if every changed shape is a head of other labels, or a resized vocabulary."""
    mismatched = [line.split(": ")[0] for line in evidence.report.mismatched]
    return all(
        is_head(name) or is_output_matrix(name) or is_embedding_matrix(name) for name in mismatched
    )


def _unrelated(moved: tuple[ComparedTensor, ...]) -> str:
    """Return what is wrong if no large matrix points the way of the base's, else nothing."""
    matrices = [
        tensor
        for tensor in moved
        if len(tensor.shape) >= 2
        and math.prod(tensor.shape) >= _LARGE
        and tensor.cosine is not None
        and not is_head(tensor.name)
    ]
    near = [t for t in matrices if abs(t.cosine or 0) > _SIGMAS / math.sqrt(math.prod(t.shape))]
    if len(matrices) < 3 or near:
        return ""
    largest = max(abs(tensor.cosine or 0) for tensor in matrices)
    return (
        f"none of {len(matrices)} matrices points the way of the base's (largest cosine"
        f" {largest:.3f}): these are other weights"
    )


CHECKS = (
    Check("K7", "files_whole", "Is every file of the tuned model there?", files_whole),
    Check("K3", "weights_moved", "Which layers moved, and how far?", weights_moved),
    Check("K7", "same_model", "Are the base's tensors in it, by the right names?", same_model),
)
