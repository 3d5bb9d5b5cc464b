"""K9: does the tuned model answer otherwise than the base, and the same way at every load?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from graft.audits.contract import Answer, Check, named
from graft.audits.folders.answers import Answers
from graft.audits.folders.causes import Faults
from graft.audits.folders.comparison import Movement
from graft.audits.folders.decisions import decisions, positions
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.folders.roles import is_head
from graft.core.errors import ModelError, NotApplicableError
from graft.tasks.protocol import Array

TOLERANCE = 1e-6  # of the largest output of the base
FLIP = 0.01  # share of rows that two different models decide differently, at least
UNLIKELY = 0.01  # probability below which an agreement is no accident


@dataclass(frozen=True, eq=False)
class _Views:
    """What can be compared of both models: their outputs, or else their bodies."""

    what: str
    base: Array
    tuned: Array


def outputs_differ(evidence: FolderEvidence) -> Answer:
    """Return whether both models load, the tuned one stably, and answer differently."""
    faults = Faults()
    try:
        tuned = evidence.tuned_answers
    except ModelError as error:
        faults.add("cannot_load", "; ".join(problem.what for problem in error.problems))
        return faults.answer("", {"loaded": False})
    shown = {"rows": len(evidence.asked), "kind": tuned.kind, "new": list(tuned.new)}
    if tuned.new and (tuned.unstable or any(is_head(name) for name in tuned.new)):
        what = f"{len(tuned.new)} tensors are in no file and random at every load"
        faults.add("random_at_load", f"{what} ({named(tuned.new)})")
    elif tuned.new:
        what = f"{len(tuned.new)} tensors are in no file, but no output reads them"
        faults.add("random_at_load", f"{what} ({named(tuned.new)})", blocks=False)
    if not np.isfinite(tuned.outputs).all():
        faults.add("not_finite", "the tuned model's outputs hold NaN or infinity")
    try:
        views = _views(evidence.base_answers, tuned)
    except ModelError as error:
        raise NotApplicableError(f"the base {error.problems[0].what}") from None
    gap = np.abs(views.tuned - views.base)
    scale = float(np.abs(views.base).max()) or 1.0
    largest = float(gap.max()) if np.isfinite(gap).all() else math.inf
    equal = largest <= TOLERANCE * scale
    shown |= {
        "compared": views.what,
        "largest_difference": largest if math.isfinite(largest) else None,
        "largest_output": scale,
    }
    summary = (
        f"The {views.what} of {len(gap)} rows differ from the base's by up to {largest:.2g}"
        f" (largest output {scale:.2g})"
    )
    if equal:
        summary = ""
        what = f"the {views.what} of {len(gap)} rows are those of the base (gap {largest:.1e})"
        only_head = views.what == "bodies" and _head_differs(evidence)
        words = f"{what}; only the head differs" if only_head else what
        cause = "body_frozen" if only_head else "outputs_equal"
        faults.add(cause, words, blocks=not only_head)
    return faults.answer(summary, shown)


def _views(base: Answers, tuned: Answers) -> _Views:
    stable = not (base.unstable or tuned.unstable)
    if stable and base.kind == tuned.kind and base.outputs.shape == tuned.outputs.shape:
        return _Views("outputs", base.outputs, tuned.outputs)
    if base.body.shape != tuned.body.shape:
        raise NotApplicableError("base and tuned have outputs of different shapes")
    return _Views("bodies", base.body, tuned.body)


def _head_differs(evidence: FolderEvidence) -> bool:
    """Return True if the tuned model has a head that the base lacks or that moved."""
    if evidence.is_adapter:
        return any(is_head(name) for name in evidence.parts.whole)
    new = any(is_head(name) for name in evidence.report.new)
    heads = (t for t in evidence.moved if is_head(t.name))
    return new or any(tensor.movement == Movement.updated for tensor in heads)


def agreement(evidence: FolderEvidence) -> Answer:
    """Return whether identical predictions of the two models are an accident that can happen.

    If a row flips with probability q, n rows agree with (1 − q)^n. q is the share of rows whose
    margin lies below the median change of the outputs; without such rows, 1 %. Two models of
    accuracy a tie on n rows with the sum of the squared binomial probabilities.
    """
    if evidence.rows is None:
        raise NotApplicableError("no --data was given")
    try:
        base, tuned = evidence.base_answers, evidence.tuned_answers
    except ModelError as error:
        raise NotApplicableError(f"a model {error.problems[0].what}") from None
    if base.kind != tuned.kind or base.outputs.shape != tuned.outputs.shape or base.new:
        raise NotApplicableError("the two models do not answer the same question")
    one, other = decisions(base, evidence.rows), decisions(tuned, evidence.rows)
    count = len(one.values)
    flipped = int((one.values != other.values).sum())
    change = float(np.median(np.abs(other.scores - one.scores).max(axis=-1)))
    near = float((one.margins < change).mean())
    flip = near or FLIP
    probability = (1 - flip) ** count
    shown = {"rows": count, "flipped": flipped, "flip": flip, "probability": probability}
    faults = Faults()
    if not flipped and change == 0:
        faults.add("predictions_equal", f"all {count} rows get the same outputs from both models")
    elif not flipped and near and probability < UNLIKELY:
        what = f"all {count} rows are decided alike, which has a probability of {probability:.1e}"
        faults.add("predictions_equal", what, blocks=False)
    summary = f"{flipped} of {count} rows are decided differently"
    if not flipped:
        summary = (
            f"All {count} rows are decided alike, which has a probability of {probability:.2g}"
        )
    rights = [_right(side.values, evidence.rows.labels, side.names) for side in (one, other)]
    if rights[0] is not None and rights[0] == rights[1]:
        tie = float(np.square(binom.pmf(np.arange(count + 1), count, rights[0] / count)).sum())
        shown |= {"right": rights[0], "tie": tie}
        summary += f"; both are right on {rights[0]}, a tie of probability {tie:.2g}"
    return faults.answer(summary, shown)


def _right(values: Array, labels: tuple[object, ...] | None, names: tuple[str, ...]) -> int | None:
    """Return the number of rows that carry the label that was decided; None without labels."""
    told = positions(labels, names) if labels and names else None
    return None if told is None else int((values == told[: len(values)]).sum())


CHECKS = (
    Check("K9", "outputs_differ", "Does it answer otherwise than the base?", outputs_differ),
    Check("K9", "agreement", "Do the two models decide some rows differently?", agreement),
)
