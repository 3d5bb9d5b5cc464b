"""The comparison tables, ready to be shown."""

from __future__ import annotations

from dataclasses import dataclass

from graft.core.roles import Split
from graft.core.scores import Metric, Score
from graft.core.tables import LeakageReport
from graft.core.verdicts import PairedDifference
from graft.metrics import catalogue
from graft.report.evidence import Evidence, RunEvidence
from graft.report.tables import Table, from_records

# Order of the columns; the primary metric always comes first.
KEY_METRICS = (
    "spearman", "roc_auc", "macro_f1", "f1", "balanced_accuracy", "accuracy", "margin", "cohens_d",
    "macro_average_precision", "micro_f1", "exact_match", "hamming_loss", "r2", "rmse", "mae",
    "false_positives", "best_f1", "cluster_purity", "log_loss", "calibration_error",
)  # fmt: skip


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
    """Return the difference of an arm against its reference, None if not compared."""
    return evidence.pair(candidate, evidence.reference(candidate), metric, subset)


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
    """Return the primary metric's differences against the reference, then all others, each once."""
    primary = evidence.comparison.primary
    seen: dict[tuple[str, str, str, str], PairedDifference] = {}
    for item in (*evidence.comparison.headline, *evidence.comparison.pairs):
        # The headline comes first: it alone carries the p-value after Holm's correction.
        seen.setdefault((item.candidate, item.reference, item.metric, item.subset), item)
    first = [
        item
        for item in seen.values()
        if item.metric == primary and item.reference == evidence.reference(item.candidate)
    ]
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
