"""The verdict in plain words, written from the measured numbers and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from graft.core.findings import Finding, Status
from graft.core.scores import Metric, Score
from graft.core.tables import LeakageReport
from graft.core.verdicts import GateResult, PairedDifference, Verdict
from graft.metrics import catalogue
from graft.report.evidence import Evidence, RunEvidence
from graft.report.numerals import count, decimal, interval, listed, plural, share, signed

VERDICT_WORDS = {
    Verdict.better: "better",
    Verdict.worse: "worse",
    Verdict.not_shown: "not shown",
    Verdict.not_measured: "not measured",
}
STATUS_WORDS = {
    Status.passed: "passed",
    Status.failed: "failed",
    Status.warned: "warned",
    Status.not_applicable: "not applicable",
    Status.not_run: "not run",
    Status.error: "error",
}


CONTROL_WORDS = {
    "random_init": "A control, meant to lose: the same network without pretraining.",
    "shuffled_labels": "A control, meant to lose: trained on labels dealt out at random.",
}
BLOCKED_WORDS = {Status.error: "could not be checked", Status.not_run: "was not run"}


def value(metric: str, number: float | None) -> str:
    """Return a value of the metric: a count as a whole number, anything else with 3 decimals.

    Example:
        >>> value("roc_auc", 0.3729), value("false_positives", 137.0)
        ('0.373', '137')
    """
    return count(number) if catalogue.metric(metric).unit else decimal(number)


def difference(metric: str, number: float | None) -> str:
    """Return a difference of the metric with its sign."""
    return signed(number, 0 if catalogue.metric(metric).unit else 3)


def ends(metric: str, low: float | None, high: float | None, *, sign: bool = False) -> str:
    """Return the interval of the metric."""
    return interval(low, high, 0 if catalogue.metric(metric).unit else 3, sign)


def status_word(finding: Finding) -> str:
    """Return the status in words; an accepted failure is called so and never passed.

    Example:
        >>> status_word(Finding("K6", "leakage", "?", Status.failed, "42 rows.").accept("known"))
        'failed, accepted'
    """
    word = STATUS_WORDS[finding.status]
    return f"{word}, accepted" if finding.accepted else word


def verdict_word(overall: Verdict, clean: Verdict | None) -> str:
    """Return the verdict; where the clean rows say something else, both.

    Example:
        >>> verdict_word(Verdict.better, Verdict.better)
        'better'
        >>> verdict_word(Verdict.better, Verdict.not_shown)
        'better on all rows, not shown on the clean rows'
    """
    word = VERDICT_WORDS[overall]
    if clean is None or clean == overall:
        return word
    return f"{word} on all rows, {VERDICT_WORDS[clean]} on the clean rows"


def over_seeds(seeds: int, lead: str = ", ") -> str:
    """Return that a number is the mean of several seeds, empty for one.

    Example:
        >>> over_seeds(5), over_seeds(1)
        (', mean of 5 seeds', '')
    """
    return f"{lead}mean of {seeds} seeds" if seeds > 1 else ""


def difference_sentence(item: PairedDifference, reference: str) -> str:
    """Return one sentence with both values, the difference, its interval and the rows.

    Args:
        item: The paired difference.
        reference: Reference in words.
    """
    metric = catalogue.metric(item.metric)
    if item.difference is None or item.verdict == Verdict.not_measured:
        return f"{metric.title} was not measured: {item.reason or 'no reason was recorded'}"
    numbers = (
        f"{metric.title} {value(item.metric, item.candidate_value)} against "
        f"{value(item.metric, item.reference_value)} for {reference}: "
        f"{difference(item.metric, item.difference)}"
    )
    sure = f", 95 % interval {ends(item.metric, item.low, item.high, sign=True)}"
    known = sure if item.low is not None and item.high is not None else ", interval not measured"
    lower = ", lower is better" if metric.higher_is_better is False else ""
    return f"{numbers}{known}, {plural(item.n, 'row')}{over_seeds(item.seeds)}{lower}."


def certainty_sentence(item: PairedDifference) -> str:
    """Return how sure the verdict is, and what would have been seen."""
    if item.verdict == Verdict.not_measured:
        return "Nothing can be said."
    known = item.low is not None and item.high is not None
    spans = item.low is not None and item.high is not None and item.low <= 0 <= item.high
    side = "The interval includes zero" if spans else "The interval excludes zero"
    p = item.p_holm if item.p_holm is not None else item.p_permutation
    corrected = " after Holm's correction" if item.p_holm is not None else ""
    text = "" if p is None else f"p {'<' if p < 0.001 else '='} {decimal(max(p, 0.001))}"
    test = f"; {text}{corrected} (paired permutation test)" if text else "; p was not measured"
    sure = f"{side if known else 'There is no interval'}{test}."
    if item.verdict != Verdict.not_shown:
        return sure
    if item.detectable is None:
        return f"{sure} Neither a gain nor a loss is shown."
    return (
        f"{sure} Neither a gain nor a loss is shown: with {plural(item.n, 'row')}"
        f"{f' and {item.seeds} seeds' if item.seeds > 1 else ''}, a difference of "
        f"{decimal(abs(item.detectable))} is the smallest that would be seen (80 % power)."
    )


def leakage_sentence(leakage: LeakageReport | None) -> str:
    """Return how many test rows the training split gives away, empty if none or unknown."""
    if leakage is None or not leakage.leaked:
        return ""
    rows = len(leakage.leaked)
    verb = "is" if rows == 1 else "are"
    return (
        f"{count(rows)} of the {count(leakage.rows)} test rows {verb} given away by the training "
        f"split ({share(rows / leakage.rows)}); the honest figure is the one on the "
        f"{count(leakage.clean_rows)} clean rows."
    )


def clean_figures(evidence: Evidence) -> str:
    """Return the primary metric of reference and arms on the clean rows, empty if not measured."""
    metric = evidence.comparison.primary
    base = (evidence.base,) if evidence.base else ()
    figures = [
        f"{value(metric, score.value)} for {run.title}"
        for run in (*base, *evidence.candidates)
        if (score := run.score(metric, "clean")) and score.value is not None
    ]
    if not figures:
        return "It was not measured."
    return f"{catalogue.metric(metric).title} there: {listed(figures)}."


def inverted_sentence(title: str, auc: Score | None) -> str:
    """Return that a run ranks the wrong way round, empty unless its ROC-AUC is below 0.5.

    Example:
        >>> inverted_sentence("The base", Score("roc_auc", 0.373, None, None, 295))
        'The base is inverted: its ROC-AUC is 0.373, and below 0.5 negatives rank above positives.'
    """
    if auc is None or auc.value is None or auc.value >= 0.5:
        return ""
    return (
        f"{title} is inverted: its ROC-AUC is {decimal(auc.value)}, and below 0.5 negatives rank "
        "above positives."
    )


def inverted_reference(evidence: Evidence) -> str:
    """Return that what the arms are compared with ranks the wrong way round, empty unless so."""
    title = evidence.reference_words(evidence.index.base_run)
    auc = evidence.base.score("roc_auc") if evidence.base else None
    return inverted_sentence(title[:1].upper() + title[1:], auc)


def gate_sentence(gate: GateResult, title: str) -> str:
    """Return what a gate asks for and what was measured."""
    metric = catalogue.metric(gate.metric)
    bounds = []
    if gate.minimum is not None:
        bounds.append(f"at least {value(gate.metric, gate.minimum)}")
    if gate.maximum is not None:
        bounds.append(f"at most {value(gate.metric, gate.maximum)}")
    measured = "not measured" if gate.value is None else value(gate.metric, gate.value)
    return f"{title}: {metric.title} must be {' and '.join(bounds)}; measured: {measured}."


def benefit_sentence(run: RunEvidence, base: RunEvidence | None, compared: str = "before") -> str:
    """Return what the adapted model buys in rows that are decided differently, empty if unknown.

    Args:
        run: The arm.
        base: What it is compared with.
        compared: Words behind the figures of the reference.
    """
    parts = []
    for metric, noun in (("false_positives", "false positives"), ("accuracy", "right decisions")):
        new = run.score(metric)
        old = base.score(metric) if base else None
        if new is None or old is None or new.value is None or old.value is None:
            continue
        if metric == "accuracy":
            parts.append(f"{share(new.value)} {noun}, {share(old.value)} {compared}")
        else:
            parts.append(f"{count(new.value)} {noun}, {count(old.value)} {compared}")
    return f"On the test rows: {'; '.join(parts)}." if parts else ""


def headline(evidence: Evidence) -> str:
    """Return the verdict on all arms in one sentence; controls are left out.

    Where there is no arm it is the verdict on the baselines.
    """
    metric: Metric = catalogue.metric(evidence.comparison.primary)
    judged = {item.candidate: item for item in evidence.comparison.headline}
    groups: dict[str, dict[Verdict, list[str]]] = {}
    for arm in evidence.compared:
        verdict = judged[arm.name].verdict if arm.name in judged else Verdict.not_measured
        verdicts = groups.setdefault(evidence.reference(arm.name), {})
        verdicts.setdefault(verdict, []).append(arm.title)
    clauses = [
        clause
        for reference, verdicts in groups.items()
        for clause in _clauses(verdicts, evidence.reference_words(reference))
    ]
    seeds = over_seeds(
        max((len(arm.trainings) for arm in evidence.compared), default=1), " in the "
    )
    sentence = f"{'; '.join(clauses) or 'No arm was run'}, on {metric.title}{seeds}."
    return sentence[0].upper() + sentence[1:]


def _clauses(verdicts: dict[Verdict, list[str]], reference: str) -> list[str]:
    """Return one clause per verdict on the arms that have the same reference."""
    better, worse = f"better than {reference}", f"worse than {reference}"
    judged = verdicts.keys() & {Verdict.better, Verdict.worse}
    same = f"not shown to differ from {'it' if judged else reference}"
    phrases = {
        Verdict.better: (f"is {better}", f"are {better}"),
        Verdict.worse: (f"is {worse}", f"are {worse}"),
        Verdict.not_shown: (f"is {same}", f"are {same}"),
        Verdict.not_measured: ("was not measured", "were not measured"),
    }
    return [
        f"{listed(verdicts[verdict])} {phrases[verdict][len(verdicts[verdict]) > 1]}"
        for verdict in Verdict
        if verdict in verdicts
    ]


def blocked(findings: Iterable[Finding], place: Callable[[str], str]) -> list[str]:
    """Return a sentence for every finding that fails the run, with what to do.

    Args:
        findings: All findings.
        place: `where` of a finding to words for people; empty if there is only one place.
    """
    found = []
    for finding in findings:
        if finding.blocks:
            where = place(finding.where)
            word = BLOCKED_WORDS.get(finding.status, STATUS_WORDS[finding.status])
            fix = f" {finding.fix}" if finding.fix else ""
            found.append(
                f"{finding.check} {finding.name.replace('_', ' ')} {word}"
                f"{f' ({where})' if where else ''}: {finding.summary}{fix}"
            )
    return found


def failures(evidence: Evidence) -> list[str]:
    """Return why the experiment ends with exit code 2: blocking findings, then missed gates."""
    found = blocked(
        evidence.findings.items if evidence.findings else (),
        evidence.place,
    )
    missed = [gate for gate in evidence.comparison.gates if not gate.reached]
    return found + [
        f"Gate missed. {gate_sentence(gate, evidence.title(gate.run))}" for gate in missed
    ]
