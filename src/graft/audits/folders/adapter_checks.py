"""K10: is the adapter trained, whole, and does it fit the base that it is loaded on?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from graft.audits.adapter_files import match_names
from graft.audits.contract import Answer, Check, listed, named
from graft.audits.folders.adapters import AdapterParts, clean_key
from graft.audits.folders.causes import Faults
from graft.audits.folders.comparison import layer_of
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.folders.places import Kind, Place, open_place
from graft.audits.folders.roles import is_embedding_matrix, is_head
from graft.audits.folders.skeleton import Expected
from graft.core.errors import ModelError, NotApplicableError

# Modules that a healthy training may never reach: BERT's pooler, experts that get no token.
_SELDOM = ("pooler", "experts")


def adapter_trained(evidence: FolderEvidence) -> Answer:
    """Return whether the adapter's tensors are there, trained, and find their modules."""
    parts = evidence.parts
    faults = Faults()
    shown: dict[str, Any] = {
        "adapter": parts.place.path.name,
        "peft_type": parts.kind,
        "tensors": len(parts.place.tensors),
        "pairs": len(parts.halves),
        "saved_whole": listed(sorted(parts.whole)),
    }
    empty = [key for key, stored in parts.place.tensors.items() if not stored.count]
    if not parts.place.tensors or empty:
        size = sum(file.stat().st_size for file in parts.place.folder.glob("adapter_model.*"))
        count = f"{len(empty)} of {len(parts.place.tensors)} tensors are of size 0"
        words = count if parts.place.tensors else "it holds no tensor"
        faults.add("adapter_empty", f"{words} (adapter file of {size} bytes)")
        return faults.answer("", shown)
    shown |= _values(parts, faults)
    if parts.prefixed:
        lead = f"{len(parts.prefixed)} of {len(parts.place.tensors)} keys"
        what = f"{lead} are not named base_model.model.<module> ({named(parts.prefixed, 1)})"
        faults.add("prefixed_adapter", what)
    if evidence.base.kind != Kind.adapter:
        try:
            shown |= _fit(evidence.expected, evidence, faults)
        except NotApplicableError as reason:
            shown |= {"fit": f"by names only: {reason}"} | _fit_by_names(evidence, faults)
        _named_base(evidence, faults)
    summary = f"All {len(parts.halves)} pairs of the LoRA adapter are trained"
    if parts.kind != "LORA":
        summary = f"The {len(parts.place.tensors)} tensors of the {parts.kind} adapter are trained"
    return faults.answer(f"{summary}; {shown.get('applied', 'all')} tensors find a module", shown)


def _values(parts: AdapterParts, faults: Faults) -> dict[str, Any]:
    tensors = {**parts.others, **parts.whole}
    broken = [
        key
        for key, stored in parts.place.tensors.items()
        if stored.is_float and not bool(torch.isfinite(stored.read()).all())
    ]
    if broken:
        faults.add("not_finite", f"{len(broken)} adapter tensors hold NaN or infinity")
    zero = [module for module in parts.halves if parts.is_zero(module)]
    layers = list(dict.fromkeys(layer_of(f"{module}.weight") for module in zero))
    if zero and len(zero) == len(parts.halves):
        faults.add("adapter_zero", f"B is zero in all {len(zero)} pairs: ΔW is zero")
    elif zero:
        seldom = all(any(word in module for word in _SELDOM) for module in zero)
        what = f"B is zero in {len(zero)} of {len(parts.halves)} pairs ({named(layers)})"
        faults.add("adapter_partly_zero", what, blocks=not seldom)
    elif not parts.halves and tensors:
        # IA3 starts at one, all others that are saved like this at zero.
        start = 1.0 if parts.kind == "IA3" else 0.0
        fresh = [name for name in parts.others if _all(parts.others[name].read(), start)]
        if parts.others and len(fresh) == len(parts.others):
            words = f"all {len(fresh)} tensors of the {parts.kind} adapter are {start:g}"
            faults.add("adapter_zero", f"{words}, as they were before training")
    return {"zero": listed(zero), "layers_of_zero": listed(layers), "not_finite": listed(broken)}


def _all(tensor: torch.Tensor, value: float) -> bool:
    return bool((tensor == value).all())


def _fit(expected: Expected, evidence: FolderEvidence, faults: Faults) -> dict[str, Any]:
    """Compare the file with what PEFT would load on this base."""
    parts = evidence.parts
    found = {key: stored.shape for key, stored in parts.place.tensors.items()}
    if expected.refusal:
        faults.add("adapter_not_applied", f"PEFT finds no module to adapt: {expected.refusal}")
        return {"refusal": expected.refusal}
    # Resized embeddings are saved whole although no config asks for them.
    extra = [k for k in found if k not in expected.tensors and not is_embedding_matrix(k)]
    extra = [key for key in extra if not key.endswith("lm_head.weight")]
    lacking = [key for key in expected.tensors if key not in found]
    odd = [key for key in found if key in expected.tensors and found[key] != expected.tensors[key]]
    applied = len(found) - len(extra) - len(odd)
    if extra and not parts.prefixed:
        reached = any(module in evidence.modules for module in parts.halves)
        what = f"{len(extra)} of {len(found)} keys match no module of the base ({named(extra, 1)})"
        faults.add("adapter_not_applied", what, blocks=not (reached and applied))
    if odd:
        key = odd[0]
        shapes = f"{key} is {list(found[key])}, expected {list(expected.tensors[key])}"
        faults.add("adapter_shape", f"{len(odd)} tensors have other shapes ({shapes})")
    _lacking(lacking, evidence, faults)
    if expected.unmatched:
        what = f"the config names {named(expected.unmatched)}, which match no module"
        faults.add("target_unmatched", what, blocks=False)
    return {
        "applied": f"{applied} of {len(found)}",
        "expected": len(expected.tensors),
        "unapplied": listed(extra),
        "lacking": listed(lacking),
        "other_shapes": listed(odd),
        "adapted_share": expected.adapted_share,
        "unmatched_targets": list(expected.unmatched),
    }


def _lacking(lacking: list[str], evidence: FolderEvidence, faults: Faults) -> None:
    """Name what the config asks for and the file does not hold."""
    parts = evidence.parts
    whole = [key for key in lacking if "lora_" not in key and "ia3_" not in key]
    pairs = [key for key in lacking if key not in whole]
    if whole:
        # What the base holds is not random at load, only untrained.
        in_base = len(match_names([clean_key(k) for k in whole], [*evidence.base.tensors])) == len(
            whole
        )
        what = f"modules_to_save asks for {named(whole)}, and the file does not hold them"
        faults.add("head_not_saved", what, blocks=not in_base)
    if pairs and not parts.prefixed and parts.halves:
        layers = list(dict.fromkeys(layer_of(key) for key in pairs))
        what = f"{len(pairs)} tensors that target_modules asks for are not in the file"
        faults.add("adapter_uncovered", f"{what} ({named(layers)})")


def _fit_by_names(evidence: FolderEvidence, faults: Faults) -> dict[str, Any]:
    """Compare module names and shapes with the base's tensors alone."""
    parts, base = evidence.parts, evidence.base.tensors
    lost = [module for module in parts.halves if module not in evidence.modules]
    if lost:
        what = f"{len(lost)} of {len(parts.halves)} pairs match no matrix of the base"
        faults.add("adapter_not_applied", f"{what} ({named(lost)})")
    odd = []
    for module, name in evidence.modules.items():
        pair, shape = parts.halves[module], base[name].shape
        sides = {pair[side].shape[i] for side, i in (("a", 1), ("b", 0)) if side in pair}
        if len(shape) == 2 and not sides <= set(shape):
            odd.append(module)
    if odd:
        faults.add("adapter_shape", f"{len(odd)} pairs do not fit their matrix ({named(odd)})")
    task = str(parts.config.get("task_type") or "")
    heads = [name for name in (*parts.whole, *base) if is_head(name)]
    if task in ("SEQ_CLS", "TOKEN_CLS") and not heads:
        faults.add("head_not_saved", f"the task is {task}, and neither file holds a head")
    return {"applied": len(evidence.modules), "other_shapes": listed(odd)}


def _named_base(evidence: FolderEvidence, faults: Faults) -> None:
    """Name a base in the adapter's config that lies on this machine and has other weights."""
    place = named_base(evidence)
    if place is None:
        return
    differing = differing_tensors(evidence.base, place)
    if differing:
        name = evidence.parts.config["base_model_name_or_path"]
        what = f"its config names the base {name}, of which {differing} tensors differ from this"
        faults.add("other_base", what)


def named_base(evidence: FolderEvidence) -> Place | None:
    """Return the base that the adapter's config names, if it is another folder of this machine."""
    name = str(evidence.parts.config.get("base_model_name_or_path") or "")
    if not name:
        return None
    for folder in (Path(name), evidence.parts.place.folder / name):
        if folder.is_dir() and folder.resolve() != evidence.base.folder.resolve():
            try:
                return open_place(folder)
            except ModelError:
                return None
    return None


def differing_tensors(base: Place, other: Place) -> int:
    """Return the number of tensors of `base` that `other` lacks or holds with other values."""
    return sum(
        stored.is_float
        and (
            name not in other.tensors
            or other.tensors[name].shape != stored.shape
            or not torch.equal(stored.read(), other.tensors[name].read().to(stored.read().dtype))
        )
        for name, stored in base.tensors.items()
    )


CHECKS = (
    Check(
        "K10",
        "adapter_trained",
        "Is the adapter trained, whole, and does it fit the base?",
        adapter_trained,
    ),
)
