"""K13: is a model beyond chance, and a control that learned noise not?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.stats import t as student

from graft.audits.contract import Answer, Check
from graft.audits.evidence import RunEvidence
from graft.core.errors import NotApplicableError
from graft.core.experiment import arm_of
from graft.core.findings import Status
from graft.core.seeds import generator
from graft.metrics.catalogue import metric as metric_of
from graft.metrics.label_sets import truth_names
from graft.metrics.measures import Floats

ROWS_NEEDED = 20
PERMUTATIONS = 200
SEEDS_NEEDED = 5  # fewer leave Student's t too wide to see anything
CONTROL = 0.001  # probability below which a control does not beat chance by accident


def beyond_chance(evidence: RunEvidence) -> Answer:
    """Return whether the primary metric is beyond what shuffled labels give (permutation test)."""
    not_for_controls(evidence)
    test = evidence.given("test", evidence.test)
    value, values = _measured(evidence, test)
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
    if value < low if _upwards(evidence) else value > high:
        return Answer(Status.warned, f"Worse than chance. {summary}", shown, fix)
    return Answer(Status.passed, summary, shown)


def control_at_chance(evidence: RunEvidence) -> Answer:
    """Return whether the control with shuffled labels scores chance, in the mean of its seeds.

    What a model learns from noise ranks the true labels a little, one way or the other, and differs
    from training to training more than the test rows alone would have it. So one training cannot
    tell. Of several, the mean is held against chance by Student's t; the deviation is at least that
    of the permuted test labels.
    """
    if evidence.control != "shuffled_labels":
        raise NotApplicableError("the arm is not the control 'shuffled_labels'")
    if arm_of(evidence.name) != evidence.name:
        raise NotApplicableError("it is said of the control's first seed, for all of them")
    test = evidence.given("test", evidence.test)
    value, dealt = _measured(evidence, test)
    further = [
        evidence.primary(frame)
        for name, frame in evidence.others.items()
        if arm_of(name) == evidence.name
    ]
    values = np.array([value, *(other for other in further if other is not None)])
    if len(values) < SEEDS_NEEDED:
        raise NotApplicableError(
            f"what is learned from noise differs from training to training, and there "
            f"{'is' if len(values) == 1 else 'are'} only {len(values)}; `seeds: 5` in the arm tells"
        )
    return _held_against(values, dealt, evidence)


def _held_against(values: Floats, dealt: Floats, evidence: RunEvidence) -> Answer:
    """Return whether the values of several seeds have a mean beyond that of dealt labels."""
    chance, mean, seeds = float(dealt.mean()), float(values.mean()), len(values)
    deviation = max(float(values.std(ddof=1)), float(dealt.std(ddof=1)))
    beyond = (mean - chance) * (1 if _upwards(evidence) else -1)
    error = deviation / math.sqrt(seeds)
    p = float(student.sf(beyond / error, seeds - 1)) if error else float(beyond <= 0)
    shown = {"values": values.tolist(), "mean": mean, "chance": chance, "p": p, "seeds": seeds}
    summary = (
        f"In the mean of {seeds} trainings the primary metric is {mean:.4f} ({values.min():.4f} to"
        f" {values.max():.4f}); chance is {chance:.4f}."
    )
    if p < CONTROL:
        fix = (
            "Trust no score of this experiment: find where the true labels reach the training, or "
            "the predictions."
        )
        summary = f"A control that learned noise beats chance (p = {p:.1e}). {summary}"
        return Answer(Status.failed, summary, shown, fix)
    return Answer(Status.passed, summary, shown)


def _measured(evidence: RunEvidence, test: pd.DataFrame) -> tuple[float, Floats]:
    """Return the primary metric, and its values when the test labels are dealt out at random."""
    value = evidence.primary(test)
    if value is None or len(test) < ROWS_NEEDED:
        raise NotApplicableError("the primary metric is not defined on the test rows")
    rng = generator(0, "label_permutation", len(test))
    names = ["label", *truth_names(test.columns)]
    labels = test[names].to_numpy()

    def dealt() -> pd.DataFrame:
        # Several labels of a row stay together.
        return test.assign(**dict(zip(names, rng.permutation(labels).T, strict=True)))

    drawn = (evidence.primary(dealt()) for _ in range(PERMUTATIONS))
    return value, np.array([v for v in drawn if v is not None])


def _upwards(evidence: RunEvidence) -> bool:
    """Return True if more of the primary metric is better."""
    name = evidence.primary_name
    return name is None or bool(metric_of(name).higher_is_better)


def not_for_controls(evidence: RunEvidence) -> None:
    """Pass over an arm that must lose.

    Raises:
        NotApplicableError: The arm is a control.
    """
    if evidence.control != "none":
        raise NotApplicableError(f"the arm is the control '{evidence.control}' and must lose")


CHECKS = (
    Check("K13", "beyond_chance", "Is the metric beyond that of shuffled labels?", beyond_chance),
    Check(
        "K13",
        "control_at_chance",
        "Does a control that learned noise score chance?",
        control_at_chance,
    ),
)
