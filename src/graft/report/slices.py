"""Where a run is weakest: its primary metric on every value of every slice column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graft.core.facts import UNKNOWN, RowFacts
from graft.core.roles import Split
from graft.core.scores import Score
from graft.core.seeds import generator
from graft.metrics import catalogue
from graft.metrics.labelled import measures_of
from graft.metrics.resampling import bootstrap
from graft.report import words
from graft.report.evidence import RunEvidence
from graft.report.numerals import plural

# On fewer rows than this a metric of a slice is mostly chance.
FEWEST_ROWS = 30
# Slices are scored without intervals; the one that is told gets its own.
RESAMPLES = 1000


@dataclass(frozen=True)
class SliceScore:
    """One metric on the test rows of one value of a slice column."""

    column: str
    value: str
    score: Score

    @property
    def enough(self) -> bool:
        """True if it was measured, on enough rows to be told."""
        return self.score.value is not None and self.score.n >= FEWEST_ROWS


def slice_scores(run: RunEvidence, metric: str, slices: Sequence[str]) -> list[SliceScore]:
    """Return the metric of a run on every value of every slice column, the weakest first.

    Args:
        run: Any run.
        metric: Name of the metric.
        slices: Slice columns.
    """
    found = []
    for scores in run.scores.items if run.scores else ():
        column, equal, value = scores.subset.partition("=")
        if scores.split == Split.test and equal and column in slices and metric in scores.names:
            found.append(SliceScore(column, value, scores[metric]))
    sign = -1.0 if catalogue.metric(metric).higher_is_better is False else 1.0
    return sorted(
        found,
        key=lambda item: (
            not item.enough,
            item.score.value is None,
            sign * (item.score.value or 0.0),
            item.column,
            item.value,
        ),
    )


def weakest_sentence(
    run: RunEvidence, metric: str, slices: Sequence[str], facts: RowFacts = UNKNOWN
) -> str:
    """Return where the run is weakest, with interval and rows, or why that cannot be said.

    Args:
        run: Any run.
        metric: Name of the metric.
        slices: Slice columns.
        facts: What is known of the classes.
    """
    title = catalogue.metric(metric).title
    found = slice_scores(run, metric, slices)
    if not found:
        reason = "no column was named to look at slices" if not slices else "no slice was scored"
        return f"Where it is weakest was not measured: {reason}."
    first = found[0]
    if not first.enough:
        return (
            f"Where it is weakest cannot be said: no slice has {FEWEST_ROWS} rows on which {title} "
            "is defined."
        )
    low, high = _ends(run, first, facts)
    known = low is not None and high is not None
    sure = f", 95 % interval {words.ends(metric, low, high)}" if known else ""
    few = sum(not item.enough for item in found)
    left_out = (
        f" {plural(few, 'value has', 'values have')} too few rows to be judged." if few else ""
    )
    return (
        f"It is weakest where {first.column} is {first.value}: {title} "
        f"{words.value(metric, first.score.value)} on {plural(first.score.n, 'row')}{sure}."
        f"{left_out}"
    )


def _ends(run: RunEvidence, item: SliceScore, facts: RowFacts) -> tuple[float | None, float | None]:
    """Return the interval of a slice: as scored, else from its rows; both None if there is none."""
    score, frame = item.score, run.predictions
    measure = next((m for m in measures_of(facts) if m.metric.name == score.metric), None)
    if score.low is not None or measure is None or frame is None or item.column not in frame:
        return score.low, score.high
    rows = frame[frame[item.column].astype(str) == item.value]
    columns = {str(name): rows[name].to_numpy() for name in rows.select_dtypes("number")}
    chance = generator(0, "slice", run.name, item.column, item.value)
    found = bootstrap(measure, columns, rng=chance, resamples=RESAMPLES)
    return found.low, found.high
