"""K7: does every tensor of the model come from the base's files, bit for bit?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from graft.audits.contract import Answer, Check, listed, named, sentence
from graft.audits.evidence import RunEvidence
from graft.audits.phases import is_matrix
from graft.core.errors import NotApplicableError
from graft.core.files import sha256_file
from graft.core.findings import Status
from graft.core.origins import LoadReport, Origin, TensorOrigin
from graft.models.patterns import matching
from graft.models.tensors import weight_files

NEW_HEAD = "head: new"  # as a task says it of the head that it adds
_CONTROL = "control: random initialisation on purpose"
_FAULTS = {
    "missing": "are in no file",
    "unexpected": "are in the file but not in the model",
    "mismatched": "have another shape in the file",
    "not_identical": "differ from the file they were read from",
    "new": "are new and random",
    "never_trained": "are new and the plan never trains them",
}


def load_ledger(evidence: RunEvidence) -> Answer:
    """Return whether every tensor came from a file, except those that the method adds."""
    load = evidence.given("load", evidence.load)
    plan = evidence.given("plan", evidence.plan)
    if _is_random(load):
        raise NotApplicableError(_CONTROL)
    trained = {tensor.name for tensor in plan.tensors if tensor.joins is not None}
    added = {t.name for t in load.tensors if t.origin == Origin.new and _is_added(t, plan.method)}
    absent = (*load.missing, *load.mismatched)
    excused = {n for n in (*absent, *load.unexpected) if matching(load.allowed, n)}
    base = [t for t in load.tensors if t.name not in added]
    loaded = [t for t in base if t.origin != Origin.new]
    faults: dict[str, list[str]] = {
        "missing": _not_allowed(load.missing, load),
        "unexpected": _not_allowed(load.unexpected, load),
        "mismatched": _not_allowed(load.mismatched, load),
        "not_identical": [t.name for t in loaded if _differs(t)],
        "new": sorted({t.name for t in base if t.origin == Origin.new} - {*excused, *absent}),
        "never_trained": sorted(added - trained),
    }
    shown: dict[str, Any] = {
        "base": load.base,
        "found": load.found,
        "loaded_tensors": len(loaded),
        "tensors": len(base),
        "loaded_values": _values(loaded),
        "values": _values(base),
        "tied": sum(t.origin == Origin.tied for t in loaded),
        "added": listed(sorted(added)),
        "allowed": listed(sorted(excused)),
        "left_out": listed(load.left_out),
        **{key: listed(names) for key, names in faults.items()},
    }
    share = (
        f"{len(loaded)} of {len(base)} tensors and {_values(loaded):,} of {_values(base):,} values"
        f" come from the base's files"
    )
    problems = [
        f"{len(names)} tensors {_FAULTS[key]} ({named(names)})"
        for key, names in faults.items()
        if names
    ]
    if problems or not loaded:
        fix = "Give the whole checkpoint with its own config, or name the tensor in `base.allow`."
        return Answer(Status.failed, sentence([share, *problems]), shown, fix)
    more = f"; the {plan.method} method adds {len(added)}" if added else ""
    more += f"; left out on purpose: {named(load.left_out)}" if load.left_out else ""
    return Answer(Status.passed, f"{share}, bit for bit{more}.", shown)


def _is_random(load: LoadReport) -> bool:
    fresh = [t for t in load.tensors if t.origin == Origin.new]
    from_file = any(t.origin == Origin.file for t in load.tensors)
    return not from_file and any(t.source.startswith("random_init") for t in fresh)


def _is_added(tensor: TensorOrigin, method: str) -> bool:
    if tensor.source.startswith(NEW_HEAD):
        return True
    is_lora = is_matrix(tensor.name, "lora_A") or is_matrix(tensor.name, "lora_B")
    return method == "lora" and is_lora and tensor.source.startswith("adapter")


def _differs(tensor: TensorOrigin) -> bool:
    if tensor.origin == Origin.tied:
        return tensor.identical is False
    return tensor.identical is not True


def _not_allowed(names: Iterable[str], load: LoadReport) -> list[str]:
    return sorted(name for name in names if not matching(load.allowed, name))


def _values(tensors: Iterable[TensorOrigin]) -> int:
    return sum(math.prod(tensor.shape) for tensor in tensors)


def base_files(evidence: RunEvidence) -> Answer:
    """Return whether the base on disk is, byte for byte, the one that training started from."""
    load = evidence.given("load", evidence.load)
    folder = evidence.given("base_folder", evidence.base_folder)
    if _is_random(load):
        raise NotApplicableError(_CONTROL)
    now = {path.relative_to(folder).as_posix(): sha256_file(path) for path in weight_files(folder)}
    known = set(load.files.values())
    other = sorted(name for name, digest in now.items() if digest not in known)
    shown = {"at_load": load.files, "now": now, "different": listed(other)}
    if other or not now:
        summary = (
            f"{len(other)} of {len(now)} weight files of the base are not those that training"
            f" started from ({named(other) or 'there are none'})."
        )
        fix = "Give the base at the revision that the run was trained from."
        return Answer(Status.failed, summary, shown, fix)
    return Answer(
        Status.passed, f"All {len(now)} weight files of the base have the hash they had.", shown
    )


CHECKS = (
    Check(
        "K7",
        "load_ledger",
        "Does every tensor come from the base's files, bit for bit?",
        load_ledger,
    ),
    Check("K7", "base_files", "Is the base on disk the one that was trained from?", base_files),
)
