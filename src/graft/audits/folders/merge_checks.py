"""K10: is the merged model the base plus the adapter, once?"""

from __future__ import annotations

from graft.audits.contract import Answer, Check, listed, named
from graft.audits.folders.adapter_checks import named_base
from graft.audits.folders.algebra import merged_matrices, moved_without_adapter
from graft.audits.folders.causes import Faults
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.merging import by_verdict
from graft.core.errors import NotApplicableError

_CAUSES = (
    ("were never merged", "never_merged"),
    ("lost the adapter", "lost_in_rounding"),
    ("times the right scale", "merged_scale"),
    ("were merged", "merged_again"),
    ("have an adapter of zero", "adapter_zero"),
    ("hold NaN", "not_finite"),
)


def merged_once(evidence: FolderEvidence) -> Answer:
    """Return whether W_tuned − W_base = scale · B · A, or whether the adapter's base holds it.

    Source: Hu et al. 2021, LoRA, equation 3.
    """
    parts = evidence.parts
    if not parts.plain:
        raise NotApplicableError(f"a {parts.kind} adapter of this kind is not merged by B·A")
    if not parts.halves:
        raise NotApplicableError("the adapter holds no pair of matrices")
    if evidence.is_adapter:
        return _base_of_adapter(evidence)
    beside = evidence.beside
    if beside is None:
        raise NotApplicableError("two adapters are compared: nothing is merged")
    partners = {tensor.name: tensor.tuned_name for tensor in evidence.report.tensors}
    found = merged_matrices(evidence.base, evidence.tuned, partners, parts, evidence.modules)
    verdicts = by_verdict([matrix for matrix in found if matrix.verdict != "merged"])
    others = moved_without_adapter(evidence.moved, parts, evidence.modules)
    faults = Faults()
    for verdict, modules in verdicts.items():
        cause = next((key for words, key in _CAUSES if words in verdict), "merged_otherwise")
        faults.add(cause, f"{len(modules)} of {len(found)} matrices {verdict} ({named(modules)})")
    if others:
        what = f"{len(others)} tensors without adapter changed ({named(others)})"
        faults.add("merged_otherwise", what)
    residuals = [m.residual for m in found if m.residual is not None]
    shown = {
        "adapter": beside.place.path,
        "adapter_found": beside.how,
        "matrices": listed(found),
        "largest_residual": max(residuals, default=None),
        "changed_without_adapter": listed(others),
    }
    largest = max(residuals, default=0.0)
    summary = f"All {len(found)} adapted matrices are base + scale·B·A (residual {largest:.1e})"
    return faults.answer(f"{summary}; the adapter was found {beside.how}", shown)


def _base_of_adapter(evidence: FolderEvidence) -> Answer:
    """Return whether the base that the adapter's config names already holds the adapter."""
    place = named_base(evidence)
    if place is None:
        raise NotApplicableError("the tuned folder is the adapter; no merged model is known")
    partners = {name: name for name in evidence.base.tensors if name in place.tensors}
    found = merged_matrices(evidence.base, place, partners, evidence.parts, evidence.modules)
    merged = [matrix.module for matrix in found if matrix.verdict == "merged"]
    faults = Faults()
    if found and len(merged) == len(found):
        what = f"its config names {place.path.name} as its base, which holds base + scale·B·A"
        faults.add("merged_again", f"{what} already: loaded there, the adapter counts twice")
    shown = {"named_base": place.path, "matrices": listed(found)}
    return faults.answer(f"{place.path.name}, the base of the adapter, does not hold it yet", shown)


CHECKS = (Check("K10", "merged_once", "Is the merged model base plus adapter, once?", merged_once),)
