"""What was adapted: how many parameters and where, or what was merged."""

from __future__ import annotations

import re

from graft.core.fusion import FusionRecord
from graft.core.plan import PlannedTensor, ResolvedPlan
from graft.report.evidence import RunEvidence
from graft.report.numerals import count, decimal, listed, magnitude, plural, share

_LAYER = re.compile(r"\blayers?\.(\d+)\b")


def adapted_sentence(run: RunEvidence) -> str:
    """Return which share of the weights was trained, what was merged, or that it is not known."""
    if run.fusion is not None:
        return fusion_sentence(run.fusion)
    if run.plan is None:
        return "Not known: the run has no plan."
    plan = run.plan
    part = plan.trainable_parameters / plan.total_parameters if plan.total_parameters else 0.0
    return (
        f"{count(plan.trainable_parameters)} of {magnitude(plan.total_parameters)} parameters "
        f"({share(part)}), method {plan.method}, {plural(plan.total_steps, 'planned step')}."
    )


def fusion_sentence(record: FusionRecord) -> str:
    """Return what a fusion merges, with which weights, and what that does to the log loss."""
    best = min(record.losses, key=record.losses.__getitem__)
    return (
        f"Nothing was trained but the weights: {listed([record.arm, *record.members])} merged "
        f"({record.method}). {record.words} Chosen on {record.chosen_on} "
        f"({plural(record.rows, 'row')}): log loss {decimal(record.fused_loss)}, best part alone "
        f"{decimal(record.losses[best])} ({best})."
    )


def trained_places(plan: ResolvedPlan) -> str:
    """Return where the trained parameters lie: head, layers, embeddings, other tensors."""
    trained = [tensor for tensor in plan.tensors if tensor.joins is not None]
    if not trained:
        return "none"
    found = []
    if any(_top(tensor) == "head" for tensor in trained):
        found.append("the head")
    every, some = _layers(plan.tensors), _layers(trained)
    if some:
        inside = "adapters in " if plan.method == "lora" else ""
        found.append(f"{inside}{_layer_words(some, every)}")
    if any(_top(tensor) == "embeddings" for tensor in trained):
        found.append("the embeddings of the words")
    return listed(found) or plural(len(trained), "tensor")


def _top(tensor: PlannedTensor) -> str:
    parts = set(tensor.name.split("."))
    return next((part for part in ("head", "embeddings") if part in parts), "")


def _layers(tensors: tuple[PlannedTensor, ...] | list[PlannedTensor]) -> list[int]:
    return sorted({int(found[1]) for tensor in tensors if (found := _LAYER.search(tensor.name))})


def _layer_words(some: list[int], every: list[int]) -> str:
    """Return trained layers in words.

    Example:
        >>> _layer_words([4, 5], list(range(6))), _layer_words([0, 2], [0, 1, 2])
        ('the top 2 of 6 layers', '2 of 3 layers (0 and 2, counted from 0)')
    """
    if some == every:
        return f"all {len(every)} layers" if len(every) > 1 else "its one layer"
    if some == every[-len(some) :]:
        return f"the top {len(some)} of {len(every)} layers"
    named = listed([str(layer) for layer in some])
    return f"{len(some)} of {len(every)} layers ({named}, counted from 0)"
