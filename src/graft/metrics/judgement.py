"""From the evidence on a pair of runs to a verdict and a sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

from graft.core.verdicts import PairedDifference, Verdict
from graft.metrics.evidence import MIN_ROWS, Evidence
from graft.metrics.significance import holm, minimal_detectable_effect

Key = tuple[str, str, str, str]


def judge(evidence: Evidence, p_holm: float | None, alpha: float) -> PairedDifference:
    """Return the verdict: better or worse only if interval and corrected p both say so.

    Args:
        evidence: What was measured.
        p_holm: `p_permutation` corrected over its family; None if it was not measured.
        alpha: Family-wise error rate, 0 to 1.
    """
    found, measured = evidence.bootstrap, evidence.measured
    error = found.standard_error
    detectable = minimal_detectable_effect(error, alpha) if measured and error else None
    verdict = _verdict(evidence, p_holm, alpha)
    return PairedDifference(
        metric=evidence.metric.name,
        candidate=evidence.candidate,
        reference=evidence.reference,
        subset=evidence.subset,
        n=evidence.n,
        candidate_value=evidence.candidate_value,
        reference_value=evidence.reference_value,
        difference=found.difference if measured else None,
        low=found.low if measured else None,
        high=found.high if measured else None,
        p_bootstrap=found.p if measured else None,
        p_permutation=evidence.p_permutation if measured else None,
        p_mcnemar=evidence.p_mcnemar if measured else None,
        p_holm=p_holm if measured else None,
        detectable=detectable,
        verdict=verdict,
        reason=_reason(evidence, verdict, p_holm, alpha, detectable),
        seeds=evidence.seeds,
    )


def judge_families(
    evidence: Sequence[Evidence], family: Callable[[Evidence], Hashable], alpha: float
) -> dict[Key, PairedDifference]:
    """Return (candidate, reference, subset, metric) → verdict, each pair both ways round.

    Args:
        evidence: What was measured, each pair of runs once.
        family: The tests that are corrected together by Holm: those with an equal answer.
        alpha: Family-wise error rate, 0 to 1.
    """
    families: dict[Hashable, list[Evidence]] = defaultdict(list)
    for item in evidence:
        families[family(item)].append(item)
    found = {}
    for members in families.values():
        tested = [item.p_permutation for item in members if item.p_permutation is not None]
        corrected = iter(holm(tested))
        for item in members:
            p_holm = None if item.p_permutation is None else next(corrected)
            for side in (item, item.mirrored()):
                key = (side.candidate, side.reference, side.subset, side.metric.name)
                found[key] = judge(side, p_holm, alpha)
    return found


def _verdict(evidence: Evidence, p_holm: float | None, alpha: float) -> Verdict:
    low, high = evidence.bootstrap.low, evidence.bootstrap.high
    if not evidence.measured or low is None or high is None or p_holm is None:
        return Verdict.not_measured
    if p_holm >= alpha or low <= 0 <= high:
        return Verdict.not_shown
    return Verdict.better if (low > 0) == evidence.metric.higher_is_better else Verdict.worse


def _reason(
    evidence: Evidence,
    verdict: Verdict,
    p_holm: float | None,
    alpha: float,
    detectable: float | None,
) -> str:
    if verdict is Verdict.not_measured or p_holm is None:
        return _why_not_measured(evidence)
    found, counted = evidence.bootstrap, bool(evidence.metric.unit)
    ours, theirs, difference, low, high = (
        plain(value, counted)
        for value in (
            evidence.candidate_value,
            evidence.reference_value,
            found.difference,
            found.low,
            found.high,
        )
    )
    over = f", in the mean of {evidence.seeds} seeds" if evidence.seeds > 1 else ""
    measured = (
        f"{evidence.candidate} scores {ours} and {evidence.reference} {theirs}{over}; "
        f"the difference {difference} ({low} to {high})"
    )
    if verdict is not Verdict.not_shown:
        return f"{measured} excludes zero."
    if found.low is not None and found.high is not None and not found.low <= 0 <= found.high:
        return (
            f"{measured} excludes zero, but p = {p_holm:.2g} after Holm's correction is not below "
            f"{alpha:g}."
        )
    shown = f"; {evidence.n} rows show a difference of {plain(detectable)} or more"
    return f"{measured} includes zero{shown if detectable else ''}."


def _why_not_measured(evidence: Evidence) -> str:
    name = evidence.metric.title
    undefined = [
        run
        for run, value in (
            (evidence.candidate, evidence.candidate_value),
            (evidence.reference, evidence.reference_value),
        )
        if value is None
    ]
    if evidence.n < MIN_ROWS:
        return f"There are {evidence.n} rows; at least {MIN_ROWS} are needed."
    if undefined:
        return f"{name} is undefined for {' and '.join(undefined)} on these {evidence.n} rows."
    return (
        f"{name} is undefined on {evidence.bootstrap.undefined} resamples of the {evidence.n} "
        "rows, too many for an interval."
    )


def plain(value: float | None, counted: bool = False) -> str:
    """Return the number for a sentence: three decimals, or one digit if that would show zero.

    Args:
        value: The number; None gives a dash.
        counted: True for numbers of things, which are written without needless decimals.

    Example:
        >>> plain(-0.2187), plain(0.00041), plain(3.0, counted=True)
        ('−0.219', '0.0004', '3')
    """
    if value is None:
        return "–"
    text = f"{value:.1f}".removesuffix(".0") if counted else f"{value:.3f}"
    if value and not text.strip("-0."):
        text = f"{value:.1g}"
    return text.replace("-", "−")
