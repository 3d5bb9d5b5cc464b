"""K8 for trainings that Graft did not run: is what training changed in the folders it saved?"""

from __future__ import annotations

import math
import re
from pathlib import PurePath

from graft.audits.contract import Answer, Check, named, sentence
from graft.audits.evidence import RunEvidence
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.saves import Saves

# Metrics of which everybody knows which way is better; the trainer's default only knows "loss".
_LOWER = re.compile(r"loss|error|perplexity|(^|_)(wer|cer|mse|mae|rmse|mape|ppl|brier|ece)($|_)")
_HIGHER = re.compile(
    r"accuracy|precision|recall|(^|_)(acc|f1|auc|auroc|mcc|ndcg|mrr|map|bleu)($|_)"
)
_ROUNDING = 1e-9


def saved_tensors(evidence: RunEvidence) -> Answer:
    """Return whether every folder holds each tensor that training had changed, as in memory."""
    saves = evidence.given("saves", evidence.saves)
    if not saves.items:
        raise NotApplicableError("the trainer saved nothing")
    problems = []
    for item in saves.items:
        place = PurePath(item.folder).name
        if item.missing:
            count = f"{len(item.missing)} of {item.changed} changed tensors"
            problems.append(f"{place} lacks {count} ({named(item.missing)})")
        if item.different:
            values = f"{len(item.different)} tensors with other values than memory"
            problems.append(f"{place} holds {values} ({named(item.different)})")
        if item.missing and item.unknown:
            problems.append(f"{place} has names that the model lacks ({named(item.unknown)})")
    shown = {"saves": list(saves.items)}
    if problems:
        fix = "Save the model again from memory, and name every trained part in the adapter's"
        return Answer(
            Status.failed, sentence(problems), shown, f"{fix} config (`modules_to_save`)."
        )
    most = max(item.changed for item in saves.items)
    summary = (
        f"{len(saves.items)} saved folders hold all that training had changed, up to {most}"
        " tensors, as it was in memory."
    )
    return Answer(Status.passed, summary, shown)


def best_checkpoint(evidence: RunEvidence) -> Answer:
    """Return whether the folder called the best is the best, and in memory if it was restored."""
    saves = evidence.given("saves", evidence.saves)
    if not saves.best and not saves.chosen_by:
        raise NotApplicableError("the trainer chooses no best checkpoint")
    values = {int(step): value for step, value in (saves.evaluations or {}).items()}
    best = _best(values, saves.greater_is_better)
    shown = {
        "best": saves.best,
        "chosen_by": saves.chosen_by,
        "greater_is_better": saves.greater_is_better,
        "evaluations": saves.evaluations,
        "restored": saves.restored,
    }
    problems = [*_direction(saves), *_not_best(saves, values, best)]
    if saves.restored is False:
        problems.append(f"the weights in memory are not those of {PurePath(saves.best).name}")
    if problems:
        fix = (
            "Set greater_is_better, evaluate whenever you save, and load the best folder yourself."
        )
        return Answer(Status.failed, sentence(problems), shown, fix)
    if not values or not saves.best:
        what = "was never evaluated" if not values else "chose no folder"
        summary = f"'{saves.chosen_by}' should choose the checkpoint, but {what}."
        fix = "Evaluate with this metric, and save when you evaluate."
        return Answer(Status.warned, summary, shown, fix)
    step = _step_of(saves.best)
    stale = best is not None and step in values and values[step] != values[best]
    if stale:
        summary = (
            f"{PurePath(saves.best).name} is called the best with {values[step or 0]:.4g}, but step"
            f" {best} had {values[best or 0]:.4g} and was not saved."
        )
        return Answer(Status.warned, summary, shown, "Save whenever you evaluate.")
    back = " and is in memory" if saves.restored else ""
    summary = f"{PurePath(saves.best).name} has the best '{saves.chosen_by}' of all{back}."
    return Answer(Status.passed, summary, shown)


def _best(values: dict[int, float], greater: bool | None) -> int | None:
    finite = {step: value for step, value in values.items() if math.isfinite(value)}
    if not finite or greater is None:
        return None
    return (max if greater else min)(finite, key=lambda step: finite[step])


def _direction(saves: Saves) -> list[str]:
    name = saves.chosen_by.lower()
    if saves.greater_is_better is True and _LOWER.search(name):
        return [f"'{saves.chosen_by}' is an error, but the trainer keeps its highest value"]
    if saves.greater_is_better is False and _HIGHER.search(name) and not _LOWER.search(name):
        return [f"'{saves.chosen_by}' is a score, but the trainer keeps its lowest value"]
    return []


def _not_best(saves: Saves, values: dict[int, float], best: int | None) -> list[str]:
    """Return that a better step was saved than the one that was restored or named."""
    step = _step_of(saves.best)
    if best is None or step is None or step not in values:
        return []
    gap = abs(values[best] - values[step])
    saved = {item.step for item in saves.items}
    if gap <= _ROUNDING * abs(values[best]) or (best not in saved and not saves.restored):
        return []
    return [
        f"step {step} is called the best with {values[step]:.4g}, but step {best} had"
        f" {values[best]:.4g}"
    ]


def _step_of(folder: str) -> int | None:
    """Return the optimizer step in the name of a checkpoint.

    Example:
        >>> _step_of("out/checkpoint-40"), _step_of("epoch=1-step=40.ckpt"), _step_of("best")
        (40, 40, None)
    """
    found = re.search(r"(?:checkpoint-|step=)(\d+)", PurePath(folder).name)
    return int(found.group(1)) if found else None


CHECKS = (
    Check(
        "K8",
        "saved_tensors",
        "Does every saved folder hold what training had changed?",
        saved_tensors,
    ),
    Check(
        "K8",
        "best_checkpoint",
        "Is the checkpoint that is called the best the best?",
        best_checkpoint,
    ),
)
