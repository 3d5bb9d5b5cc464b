"""The verdict cards and the comparison tables, ready to be shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from graft.core.roles import Role, Split
from graft.core.scores import Metric, Score
from graft.core.tables import LeakageReport
from graft.core.verdicts import GateResult, PairedDifference, Verdict
from graft.metrics import catalogue
from graft.report import words
from graft.report.evidence import Evidence, RunEvidence
from graft.report.tables import Table, from_records
from graft.report.training import adapted_sentence

# Order of the columns; the primary metric always comes first.
KEY_METRICS = (
    "spearman", "roc_auc", "f1", "accuracy", "margin", "cohens_d", "false_positives", "best_f1",
    "cluster_purity",
)  # fmt: skip


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
        adapted: What was trained.
        benefit: What it buys.
        ladder: How it stands against the strongest baseline other than the base; empty if there
            is none.
        strips: Intervals of the difference, all rows and clean rows.
        gates: Gates of this arm.
        statuses: How many findings of the arm have which status, in words.
        blocked: Findings and gates of the arm that end the run with exit code 2.
    """

    run: RunEvidence
    verdict: Verdict
    word: str
    sentence: str
    clean: str
    certainty: str
    adapted: str
    benefit: str
    ladder: str
    strips: tuple[Strip, ...]
    gates: tuple[GateResult, ...]
    statuses: dict[str, int]
    blocked: int


@dataclass(frozen=True)
class ScoreLine:
    """One line of the comparison: a run on one set of rows, and which cells are the best."""

    run: RunEvidence
    subset: str
    n: int
    cells: tuple[Score | None, ...]
    best: tuple[bool, ...]
    lines: int
    first: bool


def leakage_of_test(evidence: Evidence) -> LeakageReport | None:
    """Return what the training split gives away of the test split, None if not looked for."""
    reports = evidence.data.leakage if evidence.data else ()
    return next((report for report in reports if report.split == Split.test), None)


def find_pair(
    evidence: Evidence, candidate: str, metric: str, subset: str
) -> PairedDifference | None:
    """Return the difference of an arm against the untouched base, None if not compared."""
    wanted = (candidate, evidence.index.base_run, metric, subset)
    for item in (*evidence.comparison.headline, *evidence.comparison.pairs):
        if (item.candidate, item.reference, item.metric, item.subset) == wanted:
            return item
    return None


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
    base = "the untouched base"
    findings = evidence.findings.items if evidence.findings else ()
    gates = tuple(gate for gate in evidence.comparison.gates if gate.run == arm.name)
    statuses = Counter(words.status_word(f) for f in findings if f.where == arm.name)
    return Card(
        run=arm,
        verdict=main.verdict if main else Verdict.not_measured,
        word=words.verdict_word(main.verdict, clean.verdict if clean else None)
        if main
        else "not measured",
        sentence=words.difference_sentence(main, base)
        if main
        else "The comparison has no difference between this arm and the untouched base.",
        clean=words.difference_sentence(clean, "the base") if clean else "",
        certainty=words.certainty_sentence(main) if main else "Nothing can be said.",
        adapted=adapted_sentence(arm),
        benefit=words.benefit_sentence(arm, evidence.base),
        ladder=_ladder(evidence, main) if main else "",
        strips=tuple(_strip(item, scale) for item in items if item.difference is not None),
        gates=gates,
        statuses=dict(sorted(statuses.items())),
        blocked=sum(f.blocks and f.where == arm.name for f in findings)
        + sum(not gate.reached for gate in gates),
    )


def _ladder(evidence: Evidence, main: PairedDifference) -> str:
    """Return the verdict against the cheapest thing that might have done as well."""
    baselines = {run.name for run in evidence.runs if run.entry.role == Role.baseline}
    others = [
        item
        for item in evidence.comparison.pairs
        if (item.candidate, item.metric, item.subset) == (main.candidate, main.metric, main.subset)
        and item.reference in baselines - {evidence.index.base_run}
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


def key_metrics(evidence: Evidence, most: int = 8) -> list[Metric]:
    """Return the metrics of the comparison table: the primary one first, then by importance."""
    known = all_metrics(evidence)
    order = [evidence.index.primary, *KEY_METRICS, *(metric.name for metric in known)]
    judged = {metric.name: metric for metric in known if metric.higher_is_better is not None}
    return [judged[name] for name in dict.fromkeys(order) if name in judged][:most]


def all_metrics(evidence: Evidence) -> list[Metric]:
    """Return every metric that some run has on the test split, in the order of the files."""
    names = dict.fromkeys(
        name for run in evidence.runs if (scores := run.on_test()) for name in scores.names
    )
    return [catalogue.metric(name) for name in names]


def score_lines(evidence: Evidence, metrics: list[Metric]) -> list[ScoreLine]:
    """Return the comparison table: per run one line for all rows and one for the clean rows."""
    best = {
        (subset, metric.name): _best(evidence, metric, subset)
        for subset in ("all", "clean")
        for metric in metrics
    }
    lines = []
    for run in evidence.runs:
        subsets = [subset for subset in ("all", "clean") if run.on_test(subset)] or ["all"]
        for subset in subsets:
            cells = tuple(run.score(metric.name, subset) for metric in metrics)
            marks = tuple(
                cell is not None and cell.value is not None and cell.value == best[subset, m.name]
                for cell, m in zip(cells, metrics, strict=True)
            )
            n = max((cell.n for cell in cells if cell), default=0)
            first = subset == subsets[0]
            lines.append(ScoreLine(run, subset, n, cells, marks, len(subsets), first))
    return lines


def _best(evidence: Evidence, metric: Metric, subset: str) -> float | None:
    scores = [run.score(metric.name, subset) for run in evidence.runs]
    values = [score.value for score in scores if score and score.value is not None]
    if len(values) < 2 or metric.higher_is_better is None:
        return None
    return max(values) if metric.higher_is_better else min(values)


def split_pairs(
    evidence: Evidence,
) -> tuple[list[PairedDifference], list[PairedDifference]]:
    """Return the differences on the primary metric against the base, then all others, each once."""
    base, primary = evidence.index.base_run, evidence.comparison.primary
    seen: dict[tuple[str, str, str, str], PairedDifference] = {}
    for item in (*evidence.comparison.headline, *evidence.comparison.pairs):
        # The headline comes first: it alone carries the p-value after Holm's correction.
        seen.setdefault((item.candidate, item.reference, item.metric, item.subset), item)
    first = [i for i in seen.values() if i.reference == base and i.metric == primary]
    return first, [item for item in seen.values() if item not in first]


def leaked_table(leakage: LeakageReport) -> Table:
    """Return the leaked rows of a split with their texts and the training rows behind them."""
    rows = [
        (row.row, " ↔ ".join(row.texts), ", ".join(row.kinds).replace("_", " "),
         ", ".join(row.train_rows))
        for row in leakage.leaked
    ]  # fmt: skip
    columns = ("row", "texts", "how it leaks", "training rows")
    return from_records(columns, rows, "data/report.json")
