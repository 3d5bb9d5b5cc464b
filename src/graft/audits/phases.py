"""Reading the ledger beside the plan: phases, tied names, and tensors with rules of their own."""

from __future__ import annotations

from collections.abc import Mapping

from graft.audits.folders.roles import is_head
from graft.core.ledger import Ledger, PhaseRecord, TensorRecord
from graft.core.plan import PlannedTensor, ResolvedPlan
from graft.models.heads import HEAD

# Steps that A needs before it can move: B is zero at first, and the first rate of a warm-up is 0.
ADAPTER_LEAD = 3


def canonical_names(plan: ResolvedPlan) -> dict[str, str]:
    """Return, for every tied tensor, the one name that stands for its set.

    A model lists a shared tensor once, and which of its names it uses is not ours to choose.
    """
    return {name: min(names) for names in plan.tied for name in names}


def planned_names(plan: ResolvedPlan, phase: int) -> set[str]:
    """Return what the plan trains in `phase`, each set of tied tensors by one name."""
    canonical = canonical_names(plan)
    return {canonical.get(name, name) for name in plan.trainable_in(phase)}


def below_the_head(plan: ResolvedPlan) -> tuple[PlannedTensor, ...]:
    """Return the tensors of the plan that belong to no head, by their name or their group."""
    return tuple(t for t in plan.tensors if not (is_head(t.name) or t.group == HEAD))


def records_by_name(plan: ResolvedPlan, phase: PhaseRecord) -> Mapping[str, TensorRecord]:
    """Return the phase's records by name, each set of tied tensors by one name."""
    canonical = canonical_names(plan)
    return {canonical.get(record.name, record.name): record for record in phase.tensors}


def phases_not_run(plan: ResolvedPlan, ledger: Ledger) -> list[int]:
    """Return the planned phases in which no optimizer step was taken."""
    ran = {phase.index for phase in ledger.phases if phase.executed_steps > 0}
    return [phase.index for phase in plan.phases if phase.index not in ran]


def is_matrix(name: str, part: str) -> bool:
    """Return True if the tensor is the adapter matrix `part`, `lora_A` or `lora_B`.

    Example:
        >>> is_matrix("encoder.query.lora_B.default.weight", "lora_B")
        True
    """
    return part in name.split(".")


def is_embedding(name: str) -> bool:
    """Return True if the tensor is a table of which a phase may read a few rows only.

    Example:
        >>> is_embedding("embeddings.word_embeddings.weight")
        True
        >>> is_embedding("embeddings.LayerNorm.weight")
        False
    """
    owner = name.split(".")[-2:-1]
    return bool(owner) and ("embed" in owner[0] or owner[0] in ("wte", "wpe"))


def unused_names(ledger: Ledger) -> set[str]:
    """Return the poolers that no forward pass reads.

    BERT's pooler stands in the file of many sentence encoders although mean pooling never calls
    it. It counts as unused only if no phase saw a gradient for it and none changed it; any other
    tensor without a gradient is a fault.
    """
    names = {
        record.name
        for phase in ledger.phases
        for record in phase.tensors
        if "pooler" in record.name.split(".")
    }
    touched = {
        record.name
        for phase in ledger.phases
        for record in phase.tensors
        if record.first_gradient is not None
        or record.gradient
        or record.sha256_before != record.sha256_after
    }
    return names - touched
