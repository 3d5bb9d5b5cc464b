"""Metrics and their values: every number carries direction, interval, rows and meaning."""

from __future__ import annotations

from dataclasses import dataclass

from graft.core.roles import Role, Split


@dataclass(frozen=True)
class Metric:
    """What a number means.

    Args:
        name: Key used everywhere: `spearman`, `roc_auc`, …
        title: Name for people.
        higher_is_better: Direction; None if the number describes and does not judge.
        low: Smallest possible value, None if unbounded.
        high: Largest possible value, None if unbounded.
        unit: Unit, empty for a pure number.
        definition: One sentence: how it is computed.
        source: Paper or method.
    """

    name: str
    title: str
    higher_is_better: bool | None
    low: float | None
    high: float | None
    unit: str
    definition: str
    source: str


@dataclass(frozen=True)
class Score:
    """One metric measured on one set of rows.

    Args:
        metric: Name of the `Metric`.
        value: The measurement, the mean over the seeds; None if it could not be measured.
        low: Lower end of the 95 % bootstrap interval over rows and seeds, None if there is none.
        high: Upper end.
        n: Rows that it was measured on.
        note: Why the value or the interval is missing, or how a threshold was chosen.
        by_seed: The measurement of each training, where there are several; the first is that of
            the artefact.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    note: str = ""
    by_seed: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Scores:
    """The scores of one run on one set of rows.

    Args:
        run: Name of the arm or baseline.
        role: Arm or baseline.
        split: Split that the rows come from.
        subset: `all`, `clean` (without leaked rows), or `column=value` of a slice.
        items: The scores.
    """

    run: str
    role: Role
    split: Split
    subset: str
    items: tuple[Score, ...]

    def __getitem__(self, metric: str) -> Score:
        for score in self.items:
            if score.metric == metric:
                return score
        raise KeyError(f"{self.run} has no metric '{metric}'; it has {self.names}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics that were asked for, in order."""
        return tuple(score.metric for score in self.items)


@dataclass(frozen=True)
class ScoreBook:
    """All scores of one run: every split and subset."""

    items: tuple[Scores, ...]

    def on(self, split: Split, subset: str = "all") -> Scores:
        """Return the scores on `split` and `subset`.

        Raises:
            KeyError: Nothing was measured there.
        """
        for scores in self.items:
            if scores.split == split and scores.subset == subset:
                return scores
        raise KeyError(f"no scores on {split}/{subset}")
