"""K13: did the model find a solution that is none: one answer, labels turned round, collapse?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from graft.audits.chance import ROWS_NEEDED, not_for_controls
from graft.audits.contract import Answer, Check, sentence
from graft.audits.evidence import RunEvidence
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.probes import Spread
from graft.evaluate.scoring import prediction_columns
from graft.metrics.decisions import decisions
from graft.metrics.label_sets import (
    decided_labels,
    has_label_sets,
    label_probabilities,
    true_labels,
    truth_names,
)
from graft.metrics.measures import Columns, Floats

CONSTANT = 1e-6  # spread of scores below which they are one answer
CHANCE = 0.001  # probability below which an order of labels is no accident
LIKE = 0.98  # mean cosine of different inputs from which on all are alike
SHRINKAGE = 0.2  # of the base's distance to 1 that must be left


def varied_predictions(evidence: RunEvidence) -> Answer:
    """Return whether the model gives different rows different answers."""
    test = evidence.given("test", evidence.test)
    columns = prediction_columns(test)
    scores, decided = _scores(columns), _decided(columns)
    labels = len(test[["label", *truth_names(test.columns)]].drop_duplicates())
    answers = len(np.unique(scores if decided is None else decided, axis=0))
    spread = float(np.ptp(scores, axis=0).max()) if len(scores) else None
    shown = {"rows": len(test), "spread": spread, "labels": labels, "answers": answers}
    if spread is None or len(test) < 2 or labels < 2:
        raise NotApplicableError("the test rows do not hold two different labels")
    fix = "Lower the rate, weight the classes, or look for labels that carry nothing."
    several = "predicted" in test  # of more than two classes the score belongs to another each time
    if not several and spread <= CONSTANT * evidence.unit:
        summary = f"All {len(test)} test rows get the same score, {_few(scores[0])}."
        return Answer(Status.failed, summary, shown, fix)
    if answers == 1 and len(test) >= ROWS_NEEDED:
        summary = f"All {len(test)} test rows get the same answer, although their labels differ."
        # A control is meant to learn nothing; of many classes it then takes the largest.
        fails = several and evidence.control == "none"
        return Answer(Status.failed if fails else Status.warned, summary, shown, fix)
    if several:
        summary = f"{len(test)} test rows of {labels} classes are decided for {answers} classes."
        return Answer(Status.passed, summary, shown)
    most = "up to " if scores.shape[1] > 1 else ""
    summary = f"The scores of {len(test)} test rows spread over {most}{spread:.3g}."
    return Answer(Status.passed, summary, shown)


def _scores(columns: Columns) -> Floats:
    """Return [N, labels] the probability of each label, or [N, 1] the score."""
    if has_label_sets(columns):
        return label_probabilities(columns)
    return np.asarray(columns["score"], dtype=np.float64)[:, None]


def _decided(columns: Columns) -> NDArray[Any] | None:
    """Return what each row is decided to be, of several labels [N, labels]; None if nothing is."""
    if has_label_sets(columns):
        return decided_labels(columns) if "threshold" in columns else None
    return decisions(columns)


def _few(scores: Floats) -> str:
    return ", ".join(f"{score:.4g}" for score in scores[:3]) + (", …" if len(scores) > 3 else "")


def label_order(evidence: RunEvidence) -> Answer:
    """Return whether the model ranks rows with the labels, not against them.

    Of several labels each is looked at by itself.
    """
    not_for_controls(evidence)
    test = evidence.given("test", evidence.test)
    base = evidence.given("base", evidence.base)
    if "predicted" in test:
        raise NotApplicableError("among more than two classes there is no order")
    if len(test) < ROWS_NEEDED or test["label"].nunique() < 2:
        raise NotApplicableError(f"fewer than {ROWS_NEEDED} test rows with different labels")
    found, known = _rank_orders(test), _rank_orders(base)
    place = int(np.argmin([order for order, _ in found]))
    (order, p_value), (before, _) = found[place], known[place]
    shown: dict[str, Any] = {
        "rank_correlation": order,
        "p": p_value,
        "base": before,
        "rows": len(test),
    }
    summary = f"Scores and labels have a rank correlation of {order:.3f} (base {before:.3f})."
    if evidence.facts.multi_label:
        name = evidence.facts.classes[place]
        shown |= {"label": name, "rank_correlations": [order for order, _ in found]}
        summary = f"Of {len(found)} labels '{name}' is ranked least well: {summary}"
    if order < 0 and p_value * len(found) < CHANCE:
        if before < 0:
            summary += " The base ranks them the wrong way round too."
            return Answer(Status.warned, summary, shown, "Train longer, or at a higher rate.")
        summary += f" By chance that happens with a probability of {p_value:.1e}."
        fix = "Compare the order of the labels in the data, in training and in evaluation."
        return Answer(Status.failed, summary, shown, fix)
    return Answer(Status.passed, summary, shown)


def _rank_orders(frame: pd.DataFrame) -> list[tuple[float, float]]:
    """Return rank correlation and its p of scores and labels, of several labels one of each."""
    columns = prediction_columns(frame)
    several = has_label_sets(columns)
    labels = true_labels(columns).astype(float) if several else columns["label"][:, None]
    return [_rank_order(s, t) for s, t in zip(_scores(columns).T, labels.T, strict=True)]


def _rank_order(scores: Floats, labels: Floats) -> tuple[float, float]:
    if np.ptp(scores) == 0 or np.ptp(labels) == 0:
        return 0.0, 1.0
    result = spearmanr(scores, labels)
    return float(result.statistic), float(result.pvalue)


def collapse(evidence: RunEvidence) -> Answer:
    """Return whether the embeddings of different inputs stay apart, as those of the base do."""
    not_for_controls(evidence)
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


CHECKS = (
    Check(
        "K13",
        "varied_predictions",
        "Does the model give different rows different answers?",
        varied_predictions,
    ),
    Check("K13", "label_order", "Does the model rank with the labels?", label_order),
    Check("K13", "collapse", "Do embeddings of different inputs stay apart?", collapse),
)
