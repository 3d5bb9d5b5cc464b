"""K13: did the model find a solution that is none: one answer, labels turned round, collapse?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from graft.audits.contract import Answer, Check, sentence
from graft.audits.evidence import RunEvidence
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.probes import Spread
from graft.core.seeds import generator
from graft.evaluate.scoring import prediction_columns
from graft.metrics.catalogue import metric as metric_of
from graft.metrics.decisions import decisions

CONSTANT = 1e-6  # spread of scores below which they are one answer
ROWS_NEEDED = 20
CHANCE = 0.001  # probability below which an order of labels is no accident
PERMUTATIONS = 200
LIKE = 0.98  # mean cosine of different inputs from which on all are alike
SHRINKAGE = 0.2  # of the base's distance to 1 that must be left


def varied_predictions(evidence: RunEvidence) -> Answer:
    """Return whether the model gives different rows different answers."""
    test = evidence.given("test", evidence.test)
    scores, labels = test["score"].to_numpy(np.float64), int(test["label"].nunique())
    decided = decisions(prediction_columns(test))
    answers = len(np.unique(scores if decided is None else decided))
    shown = {
        "rows": len(test),
        "spread": float(np.ptp(scores)) if len(scores) else None,
        "labels": labels,
        "answers": answers,
    }
    if len(test) < 2 or labels < 2:
        raise NotApplicableError("the test rows do not hold two different labels")
    fix = "Lower the rate, weight the classes, or look for labels that carry nothing."
    several = "predicted" in test  # of more than two classes the score belongs to another each time
    if not several and np.ptp(scores) <= CONSTANT:
        summary = f"All {len(test)} test rows get the same score, {scores[0]:.4g}."
        return Answer(Status.failed, summary, shown, fix)
    if answers == 1 and len(test) >= ROWS_NEEDED:
        summary = f"All {len(test)} test rows get the same answer, although their labels differ."
        # A control is meant to learn nothing; of many classes it then takes the largest.
        fails = several and evidence.control == "none"
        return Answer(Status.failed if fails else Status.warned, summary, shown, fix)
    if several:
        summary = f"{len(test)} test rows of {labels} classes are decided for {answers} classes."
        return Answer(Status.passed, summary, shown)
    summary = f"The scores of {len(test)} test rows spread over {np.ptp(scores):.3g}."
    return Answer(Status.passed, summary, shown)


def label_order(evidence: RunEvidence) -> Answer:
    """Return whether the model ranks rows with the labels, not against them."""
    _not_for_controls(evidence)
    test = evidence.given("test", evidence.test)
    base = evidence.given("base", evidence.base)
    if "predicted" in test:
        raise NotApplicableError("among more than two classes there is no order")
    if len(test) < ROWS_NEEDED or test["label"].nunique() < 2:
        raise NotApplicableError(f"fewer than {ROWS_NEEDED} test rows with different labels")
    order, p_value = _rank_order(test)
    before, _ = _rank_order(base)
    shown = {"rank_correlation": order, "p": p_value, "base": before, "rows": len(test)}
    summary = f"Scores and labels have a rank correlation of {order:.3f} (base {before:.3f})."
    if order < 0 and p_value < CHANCE:
        if before < 0:
            summary += " The base ranks them the wrong way round too."
            return Answer(Status.warned, summary, shown, "Train longer, or at a higher rate.")
        summary += f" By chance that happens with a probability of {p_value:.1e}."
        fix = "Compare the order of the labels in the data, in training and in evaluation."
        return Answer(Status.failed, summary, shown, fix)
    return Answer(Status.passed, summary, shown)


def _rank_order(frame: pd.DataFrame) -> tuple[float, float]:
    scores, labels = frame["score"].to_numpy(), frame["label"].to_numpy(np.float64)
    if np.ptp(scores) == 0:
        return 0.0, 1.0
    result = spearmanr(scores, labels)
    return float(result.statistic), float(result.pvalue)


def beyond_chance(evidence: RunEvidence) -> Answer:
    """Return whether the primary metric is beyond what shuffled labels give (permutation test)."""
    _not_for_controls(evidence)
    test = evidence.given("test", evidence.test)
    value = evidence.primary(test)
    if value is None or len(test) < ROWS_NEEDED:
        raise NotApplicableError("the primary metric is not defined on the test rows")
    rng = generator(0, "label_permutation", len(test))
    labels = test["label"].to_numpy()
    drawn = (
        evidence.primary(test.assign(label=rng.permutation(labels))) for _ in range(PERMUTATIONS)
    )
    values = np.array([v for v in drawn if v is not None])
    low, high = np.quantile(values, [0.025, 0.975])
    shown = {
        "value": value,
        "shuffled_low": float(low),
        "shuffled_high": float(high),
        "permutations": len(values),
    }
    summary = (
        f"The primary metric is {value:.4f}; with shuffled labels it lies between {low:.4f} and"
        f" {high:.4f} in 95 of 100 cases."
    )
    fix = "Do not use the model: look at the labels, the rate and the number of steps."
    if low <= value <= high:
        return Answer(Status.warned, f"No better than chance. {summary}", shown, fix)
    upwards = evidence.primary_name is None or metric_of(evidence.primary_name).higher_is_better
    if value < low if upwards else value > high:
        return Answer(Status.warned, f"Worse than chance. {summary}", shown, fix)
    return Answer(Status.passed, summary, shown)


def collapse(evidence: RunEvidence) -> Answer:
    """Return whether the embeddings of different inputs stay apart, as those of the base do."""
    _not_for_controls(evidence)
    spread = evidence.given("spread", evidence.spread)
    base = evidence.given("base_spread", evidence.base_spread)
    shown = {"artefact": spread, "base": base}
    if spread.texts < 2:
        raise NotApplicableError("the predictions hold no embeddings of two inputs")
    summary = sentence([spread_words(base, spread)])
    if is_collapsed(base, spread):
        fix = "Add negatives, lower the rate, or use a loss that pushes them apart."
        return Answer(Status.failed, f"All inputs look alike. {summary}", shown, fix)
    return Answer(Status.passed, summary, shown)


def is_collapsed(base: Spread, tuned: Spread) -> bool:
    """Return True if different inputs are alike that the base kept apart."""
    left = (1 - tuned.mean_cosine) / max(1 - base.mean_cosine, 1e-9)
    return tuned.mean_cosine > LIKE and left < SHRINKAGE


def spread_words(base: Spread, tuned: Spread) -> str:
    """Return how far apart different inputs are, as part of a sentence."""
    return (
        f"two different inputs have a mean cosine of {tuned.mean_cosine:.3f} (base"
        f" {base.mean_cosine:.3f}); {tuned.effective_rank:.1f} of {tuned.dimension} directions"
        f" are used (base {base.effective_rank:.1f})"
    )


def _not_for_controls(evidence: RunEvidence) -> None:
    if evidence.control != "none":
        raise NotApplicableError(f"the arm is the control '{evidence.control}' and must lose")


CHECKS = (
    Check(
        "K13",
        "varied_predictions",
        "Does the model give different rows different answers?",
        varied_predictions,
    ),
    Check("K13", "label_order", "Does the model rank with the labels?", label_order),
    Check("K13", "beyond_chance", "Is the metric beyond that of shuffled labels?", beyond_chance),
    Check("K13", "collapse", "Do embeddings of different inputs stay apart?", collapse),
)
