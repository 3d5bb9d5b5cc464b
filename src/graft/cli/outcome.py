"""What an experiment came to, for a terminal: verdicts, comparison, gates and findings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from graft.cli.output import table
from graft.cli.scores import scores_document
from graft.core.findings import Finding, Findings, Status
from graft.metrics import catalogue
from graft.report import words
from graft.report.cards import cards
from graft.report.numerals import plural
from graft.report.results import key_metrics, leakage_of_test, score_lines

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from graft.core.scores import Score
    from graft.report.evidence import Evidence

METRICS_SHOWN = 5


def outcome(evidence: Evidence) -> list[RenderableType]:
    """Return everything that `graft run` ends with, in the order in which people ask for it."""
    items = comparison_lines(evidence)
    if evidence.findings is None:
        return [*items, "Findings: not audited."]
    items += finding_lines(evidence.findings)
    failures = words.failures(evidence)
    if failures:
        items += ["", f"Not passed: {plural(len(failures), 'reason')}."]
        items += [f"  - {reason}" for reason in failures]
    else:
        items += ["", "Passed: no finding and no gate fails the run."]
    return items


def comparison_lines(evidence: Evidence) -> list[RenderableType]:
    """Return verdicts, comparison, published figures and gates."""
    items: list[RenderableType] = [*verdicts(evidence), "", comparison_table(evidence)]
    if evidence.comparison.published:
        items.append(published_table(evidence))
    if evidence.comparison.gates:
        items += ["Gates", *(f"  {line}" for line in gate_lines(evidence)), ""]
    return items


def verdicts(evidence: Evidence) -> list[str]:
    """Return the verdict on each arm in plain words, and what limits it."""
    lines = [
        words.headline(evidence),
        words.inverted_reference(evidence),
        words.leakage_sentence(leakage_of_test(evidence)),
    ]
    for card in cards(evidence):
        lines += ["", f"{card.run.name} ({card.run.title}): {card.word}."]
        clean = f"On the clean rows: {card.clean}" if card.clean else ""
        ladder = f"Against the strongest baseline: {card.ladder}" if card.ladder else ""
        told = (card.control, card.sentence, clean, card.certainty, ladder)
        lines += [f"  {line}" for line in told if line]
    return [line for index, line in enumerate(lines) if line or index > 2]


def comparison_table(evidence: Evidence) -> Table:
    """Return run × main metrics, each with its 95 % interval, on all rows and the clean ones."""
    metrics = key_metrics(evidence, most=METRICS_SHOWN)
    titles = [metric.title for metric in metrics]
    rows = [
        (line.run.name if line.first else "", line.subset, str(line.n), *map(_cell, line.cells))
        for line in score_lines(evidence, metrics)
    ]
    title = "Test rows, with 95 % intervals"
    return table(title, ["run", "rows", "n", *titles], rows, ["n", *titles])


def _cell(score: Score | None) -> str:
    if score is None or score.value is None:
        return "not measured"
    ends = words.ends(score.metric, score.low, score.high)
    value = words.value(score.metric, score.value)
    return value if score.low is None else f"{value}\n{ends}"


def published_table(evidence: Evidence) -> Table:
    """Return the published figures beside ours."""
    rows = [
        (
            figure.run,
            catalogue.metric(figure.metric).title,
            words.value(figure.metric, figure.published),
            words.value(figure.metric, figure.measured),
            "yes" if figure.met else "no",
        )
        for figure in evidence.comparison.published
    ]
    title = f"Published ({evidence.comparison.published_source}) beside ours"
    columns = ["run", "metric", "published", "here", "as good"]
    return table(title, columns, rows, ["published", "here"])


def gate_lines(evidence: Evidence) -> list[str]:
    """Return one line per gate: reached or missed, what was asked for, what was measured."""
    return [
        f"{'reached' if gate.reached else 'missed '}  "
        f"{words.gate_sentence(gate, evidence.title(gate.run))}"
        for gate in evidence.comparison.gates
    ]


def finding_lines(findings: Findings) -> list[RenderableType]:
    """Return how many findings have which status, then each that is not passed, with its fix.

    Checks that were not run are gathered by place: they mostly lack the same files.
    """
    statuses = Counter(words.status_word(finding) for finding in findings.items)
    counts = ", ".join(f"{number} {word}" for word, number in sorted(statuses.items()))
    lines: list[RenderableType] = [f"Findings: {counts or 'none'}."]
    silent = (Status.passed, Status.not_applicable, Status.not_run)
    for finding in findings.items:
        if finding.status not in silent:
            lines += _finding(finding)
    not_run: dict[str, list[Finding]] = {}
    for finding in findings.items:
        if finding.status == Status.not_run:
            not_run.setdefault(finding.where, []).append(finding)
    for place, here in not_run.items():
        names = ", ".join(finding.name.replace("_", " ") for finding in here)
        lines.append(f"  not run ({place}): {names}. {here[0].summary} {here[0].fix}")
    return lines


def _finding(finding: Finding) -> list[str]:
    name = f"{finding.check} {finding.name.replace('_', ' ')} ({finding.where})"
    first = f"  {words.status_word(finding)}: {name}. {finding.summary}"
    if finding.accepted:
        return [first, f"    Accepted: {finding.accepted}."]
    return [first, f"    {finding.fix}"] if finding.fix else [first]


def outcome_document(evidence: Evidence) -> dict[str, object]:
    """Return the outcome for machines."""
    return {
        **comparison_document(evidence),
        "failures": words.failures(evidence),
        "findings": evidence.findings.items if evidence.findings else None,
    }


def comparison_document(evidence: Evidence) -> dict[str, object]:
    """Return verdicts, scores and comparison for machines."""
    return {
        "experiment": evidence.index.name,
        "folder": str(evidence.paths.root),
        "headline": words.headline(evidence),
        "verdicts": {row.candidate: row.verdict for row in evidence.comparison.headline},
        "scores": {run.name: scores_document(run.scores) for run in evidence.runs if run.scores},
        "comparison": evidence.comparison,
    }
