"""K10: is the merged model the base plus the adapter, no more, no less, and once?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from graft.audits.adapter_files import AdapterMatrices, match_names, read_adapter
from graft.audits.contract import Answer, Check, listed, named
from graft.audits.evidence import EvidenceMissingError, RunEvidence
from graft.core.errors import ModelError, NotApplicableError
from graft.core.findings import Status
from graft.models.patterns import matching
from graft.models.tensors import read_tensors

TOLERANCE = 1e-3  # of ‖ΔW‖
# Adding a small ΔW to a large W rounds; beyond this share of ‖ΔW‖ the fine-tuning is lost in it.
ROUNDING_CAP = 0.02
_COLLINEAR = 0.999


@dataclass(frozen=True)
class MergedMatrix:
    """How one merged matrix relates to base and adapter.

    Args:
        module: Path of the adapted module.
        delta: ‖ΔW‖ = ‖scale · B · A‖.
        residual: ‖W_merged − W_base − ΔW‖ / ‖ΔW‖; None if ΔW is zero.
        ratio: Share of ΔW that was added: 0 never, 1 once, 2 twice; None if ΔW is zero.
        cosine: Cosine between what was added and ΔW; None if either is zero.
        limit: Largest residual that passes.
        verdict: `merged`, or what went wrong, in words.
    """

    module: str
    delta: float
    residual: float | None
    ratio: float | None
    cosine: float | None
    limit: float
    verdict: str


def merge_algebra(evidence: RunEvidence) -> Answer:
    """Return whether W_merged − W_base = scale · B · A for every adapted matrix.

    Source: Hu et al. 2021, LoRA, equation 3; scale alpha / r, or alpha / sqrt(r) with rsLoRA
    (Kalajdzievski 2023).
    """
    if evidence.method != "lora":
        raise NotApplicableError(f"the method is '{evidence.method}': nothing is merged")
    folder = evidence.given("base_folder", evidence.base_folder)
    try:
        adapter = read_adapter(_existing(evidence.paths.adapter))
    except ModelError as error:
        return _unreadable(error)
    base, merged = _read_base(folder, evidence), read_tensors(_existing(evidence.paths.model))
    in_base = match_names([f"{module}.weight" for module in adapter], list(base))
    in_merged = match_names(list(base), list(merged))
    found = [_measure(n, pair, base, merged, in_base, in_merged) for n, pair in adapter.items()]
    others = set(base) - set(in_base.values())
    compared = sorted(others & set(in_merged))
    changed = [name for name in compared if not _same(base[name], merged[in_merged[name]])]
    lost = sorted(n for n in others if n not in in_merged and _must_stay(n, base, evidence))
    leftover = sorted(name for name in merged if "lora_" in name)
    beside = {n: t for n, t in read_tensors(evidence.paths.adapter).items() if "/" in n}
    apart = sorted(n for n, t in beside.items() if n not in merged or not _same(t, merged[n]))
    wrong = [matrix for matrix in found if matrix.verdict != "merged"]
    problems = [
        f"{len(names)} of {len(found)} matrices {verdict} ({named(names)})"
        for verdict, names in by_verdict(wrong).items()
    ]
    problems += [
        f"{len(names)} {words} ({named(names)})"
        for names, words in (
            (changed, "tensors without adapter changed"),
            (lost, "tensors of the base are not in it"),
            (leftover, "adapter tensors are still in it"),
            (apart, "tensors saved beside the adapter are not in it as they were"),
        )
        if names
    ]
    residuals = [matrix.residual for matrix in found if matrix.residual is not None]
    shown: dict[str, Any] = {
        "adapted": len(found),
        "untouched": len(compared) - len(changed),
        "largest_residual": max(residuals, default=None),
        "wrong": listed(wrong),
        "matrices": listed(found),
        "changed_without_adapter": listed(changed),
        "lost": listed(lost),
        "leftover": listed(leftover),
        "beside_the_adapter": listed(sorted(beside)),
        "changed_beside_it": listed(apart),
        "only_in_merged": listed(sorted(set(merged) - set(in_merged.values()))),
    }
    if problems:
        fix = "Merge again, once, from the base that was trained on and the adapter that was saved."
        return Answer(Status.failed, f"The merged model: {'; '.join(problems)}.", shown, fix)
    summary = (
        f"All {len(found)} adapted matrices are base + scale·B·A (largest residual"
        f" {max(residuals):.1e} of ΔW); {shown['untouched']} other tensors are bit-identical."
    )
    return Answer(Status.passed, summary, shown)


def _unreadable(error: ModelError) -> Answer:
    problems = [f"{problem.where} {problem.what}" for problem in error.problems]
    summary = f"The saved adapter cannot be judged: {'; '.join(problems)}."
    fix = "Save the adapter again, from memory, as plain LoRA."
    return Answer(Status.failed, summary, {"problems": problems}, fix)


def _read_base(folder: Path, evidence: RunEvidence) -> dict[str, torch.Tensor]:
    """Return the tensors of the base but for those of modules that the model does without."""
    left_out = tuple(f"{module}/" for module in evidence.load.left_out) if evidence.load else ()
    return {n: t for n, t in read_tensors(folder).items() if not n.startswith(left_out)}


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise EvidenceMissingError(f"{folder.parent.name}/{folder.name} is missing")
    return folder


def _measure(
    module: str,
    pair: AdapterMatrices,
    base: dict[str, torch.Tensor],
    merged: dict[str, torch.Tensor],
    in_base: dict[str, str],
    in_merged: dict[str, str],
) -> MergedMatrix:
    origin = in_base.get(f"{module}.weight")
    if origin is None:
        return MergedMatrix(module, 0.0, None, None, None, TOLERANCE, "have no matrix in the base")
    if origin not in in_merged:
        return MergedMatrix(module, 0.0, None, None, None, TOLERANCE, "are not in the merged model")
    return judge(module, base[origin], merged[in_merged[origin]], pair.delta())


def judge(
    module: str, base: torch.Tensor, merged: torch.Tensor, delta: torch.Tensor
) -> MergedMatrix:
    """Return how `merged` relates to `base + delta`.

    Args:
        module: Path of the module, for the finding.
        base: `[out, in]`, as stored.
        merged: `[out, in]`, as stored.
        delta: `[out, in]` in float64: scale · B · A.

    Example:
        >>> base, delta = torch.ones(2, 2), torch.eye(2, dtype=torch.float64)
        >>> judge("query", base, base + 2 * torch.eye(2), delta).verdict
        'were merged 2 times'
    """
    size = float(delta.norm()) if torch.isfinite(delta).all() else 0.0
    if base.shape != merged.shape or base.shape != delta.shape:
        return MergedMatrix(module, size, None, None, None, TOLERANCE, "have another shape")
    added = merged.double() - base.double()
    if not (torch.isfinite(added).all() and torch.isfinite(delta).all()):
        return MergedMatrix(module, 0.0, None, None, None, TOLERANCE, "hold NaN or infinity")
    if not size:
        return MergedMatrix(module, size, None, None, None, TOLERANCE, "have an adapter of zero")
    residual = float((added - delta).norm()) / size
    ratio = float((added * delta).sum()) / size**2
    cosine = ratio * size / float(added.norm()) if float(added.norm()) else None
    rounding = torch.finfo(merged.dtype).eps * float(merged.double().norm()) / size
    limit = min(TOLERANCE + rounding, max(TOLERANCE, ROUNDING_CAP))
    verdict = _verdict(residual, ratio, cosine, limit, rounding)
    return MergedMatrix(module, size, residual, ratio, cosine, limit, verdict)


def _verdict(
    residual: float, ratio: float, cosine: float | None, limit: float, rounding: float
) -> str:
    if residual <= limit:
        return "merged"
    if cosine is None:
        return "were never merged"
    if residual <= rounding:
        return "lost the adapter in rounding"
    if not cosine >= _COLLINEAR:
        return "hold something else than base + adapter"
    return _collinear(residual, ratio)


def _collinear(residual: float, ratio: float) -> str:
    if math.isclose(ratio, 1, rel_tol=0.005):
        return f"are base + adapter only to {residual:.1%} of the adapter"
    times = round(ratio)
    if times >= 2 and math.isclose(ratio, times, rel_tol=0.01):
        return f"were merged {times} times"
    return f"were merged with {ratio:.3g} times the right scale"


def _same(base: torch.Tensor, merged: torch.Tensor) -> bool:
    return base.shape == merged.shape and torch.equal(base.to(merged.dtype), merged)


def _must_stay(name: str, base: dict[str, torch.Tensor], evidence: RunEvidence) -> bool:
    """Return False for what loading leaves behind: index buffers and tensors the recipe allows."""
    allowed = evidence.load.allowed if evidence.load else ()
    return base[name].is_floating_point() and not matching(allowed, name)


def by_verdict(matrices: list[MergedMatrix]) -> dict[str, list[str]]:
    """Return verdict to the modules that it is given on."""
    grouped: dict[str, list[str]] = {}
    for matrix in matrices:
        grouped.setdefault(matrix.verdict, []).append(matrix.module)
    return grouped


CHECKS = (
    Check(
        "K10",
        "merge_algebra",
        "Is the merged model the base plus the adapter, once?",
        merge_algebra,
    ),
)
