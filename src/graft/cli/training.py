"""What training an arm left behind, for a terminal and as a document."""

from __future__ import annotations

from graft.core.costs import RunCost
from graft.core.files import read_json
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger
from graft.core.plan import ResolvedPlan
from graft.report.numerals import count, decimal, duration, share, size


def training_document(paths: RunPaths) -> dict[str, object]:
    """Return where the model is, what was trained and what it cost."""
    plan, ledger = read_json(paths.plan, ResolvedPlan), read_json(paths.ledger, Ledger)
    return {
        "folder": str(paths.root),
        "model": str(paths.model),
        "adapter": str(paths.adapter) if paths.adapter.is_dir() else None,
        "trainable_parameters": plan.trainable_parameters,
        "total_parameters": plan.total_parameters,
        "planned_steps": plan.total_steps,
        "executed_steps": _executed(ledger),
        "best_step": ledger.best_step,
        "best_metric": ledger.best_metric,
        "stopped_early": ledger.stopped_early,
        "resumed_at": ledger.resumed_at,
        "cost": read_json(paths.cost, RunCost),
    }


def training_lines(name: str, paths: RunPaths) -> list[str]:
    """Return a few lines on a trained arm."""
    plan, ledger = read_json(paths.plan, ResolvedPlan), read_json(paths.ledger, Ledger)
    cost = read_json(paths.cost, RunCost)
    kept = "the last weights were kept"
    if ledger.best_step is not None:
        kept = f"kept step {ledger.best_step} (validation {decimal(ledger.best_metric)})"
    lines = [
        f"{name}: {_executed(ledger)} of {plan.total_steps} steps, {kept}, "
        f"{count(plan.trainable_parameters)} of {count(plan.total_parameters)} parameters trained "
        f"({share(plan.trainable_parameters / plan.total_parameters)}), "
        f"{duration(cost.train_seconds)}, peak {size(cost.peak_memory_bytes)}.",
        f"  Model: {paths.model}",
    ]
    if paths.adapter.is_dir():
        lines.append(f"  Adapter: {paths.adapter} ({size(cost.adapter_bytes)})")
    if ledger.stopped_early:
        lines.append(f"  Stopped early: {ledger.stopped_early}.")
    return lines


def _executed(ledger: Ledger) -> int:
    return sum(phase.executed_steps for phase in ledger.phases)
