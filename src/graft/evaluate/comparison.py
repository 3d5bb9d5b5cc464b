"""Which arm is better than which run: aligned predictions and paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graft.core.errors import Problem, RunFolderError
from graft.core.verdicts import Comparison
from graft.metrics.evidence import Evidence, collect
from graft.metrics.judgement import judge_families
from graft.metrics.label_sets import truth_names
from graft.metrics.measures import Columns, Measure
from graft.metrics.replicates import Replicates, Sampling

DECISION_METRICS = frozenset(
    {
        *("f1", "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "precision", "recall"),
        *("micro_f1", "exact_match"),
    }
)


@dataclass(frozen=True)
class ComparisonSettings:
    """How runs are compared.

    Args:
        primary: Metric of the headline.
        base: Run that the headline compares arms with.
        arms: Runs that are candidates, in the order of the recipe.
        resamples: Bootstrap resamples, and permutations.
        alpha: 1 − coverage of the intervals, and family-wise error rate of the verdicts.
        seed: Seed of the recipe.
        leaked_rows: Test rows that the training split gives away; the subset `clean` is without
            them. Empty: there is no subset `clean`.
        references: Arm to the run that its headline compares it with instead of `base`.
        seeds: Arm to the names of its trainings, its own first; none for what was trained once.
    """

    primary: str
    base: str
    arms: tuple[str, ...]
    resamples: int
    alpha: float
    seed: int
    leaked_rows: frozenset[str] = frozenset()
    references: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def reference(self, arm: str) -> str:
        """Return the run that the headline compares the arm with."""
        return self.references.get(arm, self.base)

    @property
    def headline_subset(self) -> str:
        """`clean` where there are leaked rows, else `all`."""
        return "clean" if self.leaked_rows else "all"


def compare(
    predictions: Mapping[str, pd.DataFrame],
    *,
    measures: Sequence[Measure],
    settings: ComparisonSettings,
) -> Comparison:
    """Return every arm against every other run, on every metric that judges and every subset.

    The headline is every arm against its reference on the primary metric, corrected by Holm over
    the arms. Every other pair is corrected over all pairs of its metric and subset. Two arms stand
    in `pairs` both ways round, from one test. Gates and published figures are left empty.

    Args:
        predictions: Run, and every further training of an arm, to its rows of the test split:
            `row` (id), `label`, and the columns that the measures read. Rows may be in any order.
        measures: What to compute; measures without a direction are left out.
        settings: How.

    Raises:
        RunFolderError: Runs have different rows or labels, lack a column or hold a missing value,
            or the settings name a run, metric or row that is not there.
    """
    judged = [measure for measure in measures if measure.metric.higher_is_better is not None]
    _check_settings(predictions, judged, settings)
    aligned, rows = _aligned(predictions, judged, settings.base)
    runs = _runs(aligned, settings.seeds)
    subsets = _subsets(rows, settings.leaked_rows)
    sampling = Sampling(settings.resamples, settings.alpha, settings.seed)
    evidence = [
        item
        for subset, chosen in subsets.items()
        for item in collect(
            _only(runs, chosen),
            _pairs(runs, settings.arms),
            judged,
            subset=subset,
            of_decisions={*DECISION_METRICS, settings.primary},
            sampling=sampling,
        )
    ]
    headline = [item for item in evidence if _is_headline(item, settings)]
    found = {
        **judge_families(evidence, lambda item: (item.metric.name, item.subset), settings.alpha),
        **judge_families(headline, lambda _: "headline", settings.alpha),
    }
    order = [
        (candidate, reference, subset, measure.metric.name)
        for candidate in settings.arms
        for reference in runs
        if reference != candidate
        for subset in subsets
        for measure in judged
    ]
    return Comparison(
        primary=settings.primary,
        alpha=settings.alpha,
        headline=tuple(
            found[arm, settings.reference(arm), settings.headline_subset, settings.primary]
            for arm in settings.arms
        ),
        pairs=tuple(found[key] for key in order),
        gates=(),
    )


def _check_settings(
    predictions: Mapping[str, pd.DataFrame], judged: Sequence[Measure], settings: ComparisonSettings
) -> None:
    runs, names = sorted(predictions), [measure.metric.name for measure in judged]
    named = [name for seeds in settings.seeds.values() for name in seeds]
    problems = [
        Problem("comparison", f"run {run!r} has no predictions; there are {runs}", "run it first")
        for run in dict.fromkeys(
            (settings.base, *settings.references.values(), *settings.arms, *named)
        )
        if run not in predictions
    ]
    for run in sorted({settings.base, *settings.references.values()} & set(settings.arms)):
        problems.append(Problem("comparison", f"reference {run!r} is an arm", "name a baseline"))
    if settings.primary not in names:
        what = f"primary metric {settings.primary!r} is not among {names}"
        problems.append(Problem("comparison", what, "choose one of these"))
    if problems:
        raise RunFolderError("comparison", problems)


def _aligned(
    predictions: Mapping[str, pd.DataFrame], judged: Sequence[Measure], base: str
) -> tuple[dict[str, Columns], NDArray[Any]]:
    """Return the columns of every run in the row order of the base, and the row ids."""
    labels = ["label", *truth_names(predictions[base].columns)]
    needed = ["row", *labels, *sorted({name for item in judged for name in item.exchange})]
    problems = [
        problem
        for run, frame in predictions.items()
        for problem in _frame_problems(run, frame, needed)
    ]
    if problems:
        raise RunFolderError("predictions", problems)
    frames = {run: frame.set_index(frame["row"].astype(str)) for run, frame in predictions.items()}
    first = frames[base]
    for run, frame in frames.items():
        odd = sorted(set(first.index) ^ set(frame.index))
        if odd:
            what = f"does not have the rows of {base!r}: {len(odd)} differ, first {odd[:3]}"
            problems.append(Problem(run, what, "predict the same test split with every run"))
        elif not frame.reindex(first.index)[labels].eq(first[labels]).all(axis=None):
            what = f"has other labels than {base!r} for the same rows"
            problems.append(Problem(run, what, "predict the same test split with every run"))
    if problems:
        raise RunFolderError("predictions", problems)
    columns: dict[str, Columns] = {}
    for run, frame in frames.items():
        ordered = frame.loc[first.index]
        columns[run] = {str(name): ordered[name].to_numpy() for name in ordered.columns}
    return columns, np.asarray(first.index)


def _frame_problems(run: str, frame: pd.DataFrame, needed: Sequence[str]) -> Iterator[Problem]:
    fix = "predict the test split again"
    missing = [name for name in needed if name not in frame.columns]
    empty = [name for name in needed if name not in missing and frame[name].isna().any()]
    if missing:
        yield Problem(run, f"has no column {missing}", fix)
    if empty:
        yield Problem(run, f"has missing values in {empty}", fix)
    if "row" not in missing and frame["row"].duplicated().any():
        twice = sorted(frame["row"].astype(str)[frame["row"].duplicated()])
        yield Problem(run, f"has rows twice, first {twice[:3]}", fix)


def _subsets(rows: NDArray[Any], leaked: frozenset[str]) -> dict[str, NDArray[np.bool_]]:
    """Return subset → which of the rows belong to it."""
    unknown = sorted(leaked - set(rows))
    if unknown:
        what = f"{len(unknown)} are no test rows, first {unknown[:3]}"
        problem = Problem("leaked rows", what, "give the leaked rows of the test split")
        raise RunFolderError("comparison", [problem])
    subsets = {"all": np.ones(len(rows), dtype=bool)}
    return {**subsets, "clean": ~np.isin(rows, sorted(leaked))} if leaked else subsets


def _pairs(runs: Iterable[str], arms: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return each pair of runs with an arm in it, once."""
    others = [run for run in runs if run not in arms]
    return [*product(arms, others), *combinations(arms, 2)]


def _runs(
    aligned: Mapping[str, Columns], seeds: Mapping[str, tuple[str, ...]]
) -> dict[str, Replicates]:
    """Return the columns of every run, those of each of its trainings."""
    further = {name for names in seeds.values() for name in names[1:]}
    return {
        run: [aligned[name] for name in seeds.get(run, (run,))]
        for run in aligned
        if run not in further
    }


def _only(runs: Mapping[str, Replicates], chosen: NDArray[np.bool_]) -> dict[str, Replicates]:
    return {
        run: [{name: column[chosen] for name, column in columns.items()} for columns in seeds]
        for run, seeds in runs.items()
    }


def _is_headline(item: Evidence, settings: ComparisonSettings) -> bool:
    return (item.metric.name, item.reference, item.subset) == (
        settings.primary,
        settings.reference(item.candidate),
        settings.headline_subset,
    )
