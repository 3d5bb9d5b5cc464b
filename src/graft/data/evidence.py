"""Which training rows give an evaluation row away, kind by kind: the full evidence."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from graft.config.data import LeakKind
from graft.core.facts import RowFacts
from graft.data.alike import SAME, alike_series
from graft.data.columns import SPAN_ROLES
from graft.data.dataset import PAIR_FACTS
from graft.data.inputs import compared_texts, says_enough, telling_inputs, whole_inputs
from graft.data.near import near_rows
from graft.data.series import COLUMN
from graft.data.windows import overlaps

Positions = np.ndarray
Kinds = dict[LeakKind, list[Positions]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Training rows that give evaluation rows away.

    Args:
        kinds: For each kind, [rows] positions of the training rows; empty where it does not
            apply. `group`, `time` and `overlap` are absent without such columns, shared texts of
            series.
        by_text: [rows][texts] positions of the training rows that hold that text; missing texts
            are left out.
    """

    kinds: Kinds
    by_text: list[tuple[Positions, ...]]

    def of(self, row: int) -> dict[LeakKind, Positions]:
        """Return the kinds that apply to one evaluation row, with their training rows."""
        return {kind: found[row] for kind, found in self.kinds.items() if len(found[row])}


def evidence(
    train: pd.DataFrame,
    evaluation: pd.DataFrame,
    near_threshold: float,
    facts: RowFacts = PAIR_FACTS,
) -> Evidence:
    """Return what the training rows give away of the evaluation rows.

    Args:
        train: Training rows with their role columns.
        evaluation: Rows of one evaluation split.
        near_threshold: Jaccard similarity, or correlation of series, that counts as near.
        facts: Text columns, table columns and classes. What counts as the same input of a
            classification is said in `inputs.telling_inputs`.
    """
    find = _of_series if facts.channels else _of_texts
    kinds, by_text = find(train, evaluation, near_threshold, facts)
    if "group" in train and "group" in evaluation:
        kinds["group"] = _same(train["group"].tolist(), evaluation["group"].tolist())
    if "time" in train and "time" in evaluation:
        kinds["time"] = _younger(train["time"], evaluation["time"])
    return Evidence(kinds, by_text)


def _of_texts(
    train: pd.DataFrame, evaluation: pd.DataFrame, near_threshold: float, facts: RowFacts
) -> tuple[Kinds, list[tuple[Positions, ...]]]:
    kinds: Kinds = {}
    for kind in ("exact", "normalised"):
        normal = kind == "normalised"
        kinds[kind] = _same(
            telling_inputs(train, facts, normal=normal),
            telling_inputs(evaluation, facts, normal=normal),
        )
    enough = says_enough(evaluation, facts)
    kinds["near"] = _near(train, evaluation, enough, near_threshold, facts)
    by_text = _by_text(train, evaluation, facts)
    kinds["shared_text"] = [_union(found) for found in by_text]
    kinds["shared_texts_all"] = [
        _union(found) if said and all(len(positions) for positions in found) else np.arange(0)
        for found, said in zip(by_text, enough, strict=True)
    ]
    return kinds, by_text


def _of_series(
    train: pd.DataFrame, evaluation: pd.DataFrame, near_threshold: float, facts: RowFacts
) -> tuple[Kinds, list[tuple[Positions, ...]]]:
    known, asked = train[COLUMN].tolist(), evaluation[COLUMN].tolist()
    exact = _same(whole_inputs(train, facts), whole_inputs(evaluation, facts))
    kinds: Kinds = {"exact": exact}
    # A constant is no series up to its scale, so what is exact is added.
    thresholds: dict[LeakKind, float] = {"normalised": SAME, "near": near_threshold}
    for kind, threshold in thresholds.items():
        alike = alike_series(known, asked, threshold)
        kinds[kind] = [_union(found) for found in zip(alike, exact, strict=True)]
    if all(role in rows for role in SPAN_ROLES for rows in (train, evaluation)):
        kinds["overlap"] = overlaps(train, evaluation)
    return kinds, [()] * len(evaluation)


def _same(train: Sequence[Hashable], other: Sequence[Hashable]) -> list[Positions]:
    places: dict[Hashable, list[int]] = {}
    for position, key in enumerate(train):
        places.setdefault(key, []).append(position)
    arrays = {key: np.asarray(found) for key, found in places.items()}
    none = np.arange(0)
    return [arrays.get(key, none) for key in other]


def _near(
    train: pd.DataFrame,
    other: pd.DataFrame,
    enough: np.ndarray,
    threshold: float,
    facts: RowFacts,
) -> list[Positions]:
    """Return the near rows of each row whose texts say enough, none for the others."""
    at_train, at_other = np.flatnonzero(says_enough(train, facts)), np.flatnonzero(enough)
    known = compared_texts(train.iloc[at_train], facts, normal=False)
    asked = compared_texts(other.iloc[at_other], facts, normal=False)
    found = [np.arange(0)] * len(other)
    for place, positions in zip(at_other, near_rows(known, asked, threshold), strict=True):
        found[place] = at_train[positions]
    return found


def _by_text(
    train: pd.DataFrame, other: pd.DataFrame, facts: RowFacts
) -> list[tuple[Positions, ...]]:
    """Return for each text of each row the training rows that hold it, in whichever column."""
    holders: dict[Hashable, dict[int, None]] = {}
    for position, texts in enumerate(compared_texts(train, facts, normal=True)):
        for text in texts:
            holders.setdefault(text, {})[position] = None
    arrays = {text: np.fromiter(found, np.int64) for text, found in holders.items()}
    none = np.arange(0)
    return [
        tuple(arrays.get(text, none) for text in texts)
        for texts in compared_texts(other, facts, normal=True)
    ]


def _younger(train: pd.Series[Any], other: pd.Series[Any]) -> list[Positions]:
    """Return for each evaluation row the training rows that are younger, youngest first."""
    times = train.to_numpy()
    order = np.argsort(times, kind="stable")
    after = np.searchsorted(times[order], other.to_numpy(), side="right")
    # Views of one array: the evidence of n rows costs no n x m memory.
    youngest_first = order[::-1]
    return [youngest_first[: len(order) - start] for start in after]


def _union(found: tuple[Positions, ...]) -> Positions:
    return np.unique(np.concatenate(found)) if found else np.arange(0)
