"""K2, K4 and K8 from the trainer's log: losses, gradients, rates, and the weights it kept."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from graft.audits.contract import Answer, Check
from graft.audits.folders.causes import Faults
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.folders.logs import Log
from graft.core.errors import NotApplicableError

ENOUGH = 5  # records from which on a curve is one
_STILL = 1e-7  # relative spread of losses below which they are one number
_MOST = 0.5  # share of steps
_FALLEN = 0.95  # of the peak: below it the decay has begun
_JUMP = 0.1  # of the peak, from one record to the next
_LOW = 0.05  # of the peak: from here a rise is a new warm-up or a restart
_LOWER_IS_BETTER = ("loss", "error", "perplexity", "mae", "mse", "rmse", "wer", "cer")


def _log(evidence: FolderEvidence) -> Log:
    if evidence.log is None:
        raise NotApplicableError(evidence.no_log)
    return evidence.log


def loss_log(evidence: FolderEvidence) -> Answer:
    """Return whether losses were finite, above zero and changing, and gradients above zero."""
    log = _log(evidence)
    series = log.series("loss")
    if not series:
        raise NotApplicableError("the log holds no loss")
    losses = [loss for _, loss in series]
    gradients = [norm for _, norm in log.series("gradient")]
    bad = [step for step, loss in series if not math.isfinite(loss)]
    zero = sum(loss == 0 for loss in losses)
    faults = Faults()
    if bad:
        what = f"{len(bad)} of {len(losses)} losses are no finite number, first at step {bad[0]}"
        faults.add("loss_not_finite", what)
    elif zero == len(losses) > 1:
        faults.add("loss_zero", f"all {len(losses)} logged losses are exactly 0")
    elif zero:
        what = f"{zero} of {len(losses)} losses are exactly 0"
        faults.add("loss_zero", what, blocks=False)
    elif len(losses) >= ENOUGH and max(losses) - min(losses) <= _STILL * max(map(abs, losses)):
        faults.add("loss_flat", f"all {len(losses)} losses are {losses[0]:.6g}")
    idle = sum(not (math.isfinite(norm) and norm > 0) for norm in gradients)
    if len(gradients) >= ENOUGH and idle > _MOST * len(gradients):
        what = f"the norm of the gradient is 0 or not finite in {idle} of {len(gradients)} records"
        faults.add("gradient_zero", what)
    shown = {
        "log": log.path,
        "records": len(losses),
        "zero": zero,
        "not_finite": len(bad),
        "gradients": len(gradients),
        "gradients_idle": idle,
    }
    return faults.answer(
        f"{len(losses)} losses are finite, from {losses[0]:.4g} to {losses[-1]:.4g}", shown
    )


def rate_log(evidence: FolderEvidence) -> Answer:
    """Return whether the rate rose above zero, reached a peak and fell without a jump."""
    log = _log(evidence)
    series = log.series("rate")
    faults = Faults()
    taken, planned = log.state.get("global_step"), log.state.get("max_steps")
    if isinstance(taken, int) and isinstance(planned, int) and 0 < taken < planned:
        what = f"{taken} of {planned} planned steps were taken: stopped early, or a checkpoint"
        faults.add("steps_missing", what, blocks=False)
    shown: dict[str, Any] = {"log": log.path, "steps": taken, "planned": planned}
    if not series:
        if taken is None or planned is None:
            raise NotApplicableError("the log holds no learning rate")
        return faults.answer(f"{taken} of {planned} steps were taken; no rate was logged", shown)
    rates = [rate for _, rate in series]
    peak = max(rates)
    shown |= {"records": len(rates), "peak": peak if math.isfinite(peak) else None}
    if peak <= 0 and len(rates) > 1:
        faults.add("rate_zero", f"all {len(rates)} logged rates are 0")
    elif len(rates) >= ENOUGH and all(a < b for a, b in pairwise(rates)):
        what = f"the rate rose to the last of {len(rates)} records ({rates[-1]:.3g})"
        faults.add("rate_never_peaks", what)
    elif not log.own:  # a thaw of Graft has a schedule of its own, which K4 of the run judges
        jumps = _jumps(rates)
        # More than one is a cyclic schedule.
        if len(jumps) == 1:
            step, at = series[jumps[0]][0], jumps[0]
            what = f"the rate jumped from {rates[at - 1]:.3g} to {rates[at]:.3g} at step {step}"
            faults.add("rate_jumps", what)
        shown["jumps"] = [series[at][0] for at in jumps]
    return faults.answer(f"{len(rates)} rates, peak {peak:.3g}, last {rates[-1]:.3g}", shown)


def _jumps(rates: Sequence[float]) -> list[int]:
    """Return where the rate turns upwards at once after it had begun to fall, not near zero."""
    top, peak, found, fallen = max(rates), rates[0], [], False
    for at in range(1, len(rates)):
        before, now = rates[at - 1], rates[at]
        peak = max(peak, before)
        fallen = fallen or (before < _FALLEN * peak and now <= before)
        turns = at > 1 and before <= rates[at - 2]
        if fallen and turns and now - before > _JUMP * top and before > _LOW * top:
            found.append(at)
    return found


def kept_checkpoint(evidence: FolderEvidence) -> Answer:
    """Return whether the checkpoint that the trainer calls the best is the best of its history."""
    log = _log(evidence)
    told, folder = log.state.get("best_metric"), log.state.get("best_model_checkpoint")
    if told is None and folder is None:
        raise NotApplicableError("the trainer chose no best checkpoint")
    best = math.nan if told is None else float(told)
    told = told if math.isfinite(best) else None
    faults = Faults()
    names = sorted({name for record in log.records for name in record.metrics})
    step = _step(log, str(folder or ""))
    chosen = [n for n in names if _at(log.metric(n), step, best)]
    shown: dict[str, Any] = {
        "log": log.path,
        "best": told,
        "checkpoint": folder,
        "chosen_by": chosen,
    }
    if not chosen:
        what = f"best_metric {told} is no logged metric ({', '.join(names) or 'none was logged'})"
        faults.add("metric_absent", what, blocks=False)
        return faults.answer("", shown)
    kept = []
    for name in chosen:
        values = [value for _, value in log.metric(name)]
        lower = any(word in name.lower() for word in _LOWER_IS_BETTER)
        top = min(values) if lower else max(values)
        kept.append((name, top, math.isclose(top, best, rel_tol=1e-6, abs_tol=1e-9)))
    if not any(right for _, _, right in kept):
        name, top, _ = kept[0]
        what = f"{name} of the kept checkpoint is {best:.4f}, the best of the history {top:.4f}"
        faults.add("worst_kept", what)
    return faults.answer(f"The kept checkpoint has the best {chosen[0]}, {best:.4f}", shown)


def _step(log: Log, folder: str) -> int | None:
    told = log.state.get("best_global_step")
    found = re.search(r"checkpoint-(\d+)$", folder.rstrip("/"))
    return told if isinstance(told, int) else int(found[1]) if found else None


def _at(series: list[tuple[int, float]], step: int | None, value: float) -> bool:
    """Return True if the metric had the value, at the step if it is known."""
    return any(
        math.isclose(found, value, rel_tol=1e-6, abs_tol=1e-9) and step in (None, at)
        for at, found in series
    )


CHECKS = (
    Check("K2", "loss_log", "Were losses and gradients numbers above zero?", loss_log),
    Check("K4", "rate_log", "Did the learning rate rise, peak and fall?", rate_log),
    Check("K8", "kept_checkpoint", "Is the checkpoint that was kept the best?", kept_checkpoint),
)
