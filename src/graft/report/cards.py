"""The verdict cards: one per arm, ready to be shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from graft.core.experiment import BASE_RUN
from graft.core.roles import Role
from graft.core.verdicts import GateResult, PairedDifference, Verdict
from graft.metrics import catalogue
from graft.report import words
from graft.report.adapted import adapted_sentence
from graft.report.evidence import Evidence, RunEvidence
from graft.report.results import find_pair
from graft.report.slices import weakest_sentence


@dataclass(frozen=True)
class Strip:
    """An interval on the common scale of all cards, in per cent of the width.

    Args:
        caption: Which rows.
        dot: Place of the difference.
        low: Place of the lower end, None without an interval.
        high: Place of the upper end.
        zero: Place of zero.
        text: The numbers in words.
    """

    caption: str
    dot: float
    low: float | None
    high: float | None
    zero: float
    text: str


@dataclass(frozen=True)
class Card:
    """The answer about one arm.

    Args:
        run: The arm.
        verdict: Decides colour and shape.
        word: The verdict in words.
        sentence: All rows.
        clean: The clean rows, empty if no row is leaked.
        certainty: How sure it is.
        adapted: What was trained, or merged.
        control: What kind of control it is, empty for an arm that is meant to win.
        weakest: The slice on which it is weakest; empty for labels without classes.
        benefit: What it buys.
        ladder: How it stands against the strongest baseline other than its reference; empty if
            there is none.
        strips: Intervals of the difference, all rows and clean rows.
        gates: Gates of this arm.
        statuses: How many findings of the arm, of all its seeds, have which status, in words.
        blocked: Findings and gates of the arm that end the run with exit code 2.
    """

    run: RunEvidence
    verdict: Verdict
    word: str
    sentence: str
    clean: str
    certainty: str
    adapted: str
    control: str
    weakest: str
    benefit: str
    ladder: str
    strips: tuple[Strip, ...]
    gates: tuple[GateResult, ...]
    statuses: dict[str, int]
    blocked: int


def cards(evidence: Evidence) -> list[Card]:
    """Return one card per arm, in the order of the recipe."""
    primary = evidence.comparison.primary
    headline = {item.candidate: item for item in evidence.comparison.headline}
    items = {}
    for arm in evidence.arms:
        # The verdict's own difference first; then the one on the other rows, if there is one.
        found = [headline.get(arm.name), *(find_pair(evidence, arm.name, primary, subset)
                 for subset in ("all", "clean"))]  # fmt: skip
        by_subset = {item.subset: item for item in reversed(found) if item is not None}
        first = found[0].subset if found[0] else "all"
        items[arm.name] = sorted(by_subset.values(), key=lambda item: item.subset != first)
    scale = _scale([item for group in items.values() for item in group])
    return [_card(evidence, arm, items[arm.name], scale) for arm in evidence.arms]


def _scale(items: list[PairedDifference]) -> tuple[float, float]:
    numbers = [0.0]
    for item in items:
        numbers += [end for end in (item.difference, item.low, item.high) if end is not None]
    margin = 0.08 * (max(numbers) - min(numbers)) or 1.0
    return min(numbers) - margin, max(numbers) + margin


def _card(
    evidence: Evidence, arm: RunEvidence, items: list[PairedDifference], scale: tuple[float, float]
) -> Card:
    main = items[0] if items else None
    clean = next((item for item in items if item.subset == "clean" and item is not main), None)
    name = evidence.reference(arm.name)
    base = evidence.reference_words(name)
    primary = evidence.comparison.primary
    findings = evidence.findings.items if evidence.findings else ()
    gates = tuple(gate for gate in evidence.comparison.gates if gate.run == arm.name)
    names = {training.name for training in arm.trainings}
    own = [finding for finding in findings if finding.where in names]
    statuses = Counter(map(words.status_word, own))
    return Card(
        run=arm,
        verdict=main.verdict if main else Verdict.not_measured,
        word=words.verdict_word(main.verdict, clean.verdict if clean else None)
        if main
        else "not measured",
        sentence=words.difference_sentence(main, base)
        if main
        else f"The comparison has no difference between this arm and {base}.",
        clean=words.difference_sentence(clean, evidence.reference_words(name, "the base"))
        if clean
        else "",
        certainty=words.certainty_sentence(main) if main else "Nothing can be said.",
        adapted=adapted_sentence(arm),
        control=words.CONTROL_WORDS.get(evidence.wishes.controls.get(arm.name, ""), ""),
        weakest=""
        if evidence.facts.of_pairs
        else weakest_sentence(arm, primary, evidence.index.slices, evidence.facts),
        benefit=words.benefit_sentence(
            arm, evidence.run(name), "before" if name == BASE_RUN else f"for {base}"
        ),
        ladder=_ladder(evidence, main) if main else "",
        strips=tuple(_strip(item, scale) for item in items if item.difference is not None),
        gates=gates,
        statuses=dict(sorted(statuses.items())),
        blocked=sum(finding.blocks for finding in own) + sum(not gate.reached for gate in gates),
    )


def _ladder(evidence: Evidence, main: PairedDifference) -> str:
    """Return the verdict against the cheapest thing that might have done as well."""
    baselines = {run.name for run in evidence.runs if run.entry.role == Role.baseline}
    others = [
        item
        for item in evidence.comparison.pairs
        if (item.candidate, item.metric, item.subset) == (main.candidate, main.metric, main.subset)
        and item.reference in baselines - {main.reference}
        and item.reference_value is not None
    ]
    if not others:
        return ""
    sign = -1.0 if catalogue.metric(main.metric).higher_is_better is False else 1.0
    strongest = max(others, key=lambda item: sign * (item.reference_value or 0.0))
    word = words.VERDICT_WORDS[strongest.verdict].capitalize()
    sentence = words.difference_sentence(strongest, evidence.title(strongest.reference))
    return f"{word}. {sentence}"


def _strip(item: PairedDifference, scale: tuple[float, float]) -> Strip:
    low, high = scale

    def place(number: float) -> float:
        return round(100 * (number - low) / (high - low), 2)

    known = item.low is not None and item.high is not None
    sure = words.ends(item.metric, item.low, item.high, sign=True) if known else "no interval"
    return Strip(
        caption=f"{'clean' if item.subset == 'clean' else 'all'} rows, n = {item.n:,}",
        dot=place(item.difference or 0.0),
        low=place(item.low) if item.low is not None and known else None,
        high=place(item.high) if item.high is not None and known else None,
        zero=place(0.0),
        text=f"{words.difference(item.metric, item.difference)} ({sure})",
    )
