"""Which training rows give an evaluation row away, kind by kind: the full evidence."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from graft.config.recipe import LeakKind
from graft.data.dataset import TEXTS
from graft.data.near import near_rows
from graft.data.normal_form import forms, input_keys

Positions = np.ndarray


@dataclass(frozen=True, eq=False)
class Evidence:
    """Training rows that give evaluation rows away.

    Args:
        kinds: For each kind, [rows] positions of the training rows; empty where it does not
            apply. `group` and `time` are absent without such a column.
        by_text: [rows][texts] positions of the training rows that hold that text.
    """

    kinds: dict[LeakKind, list[Positions]]
    by_text: list[tuple[Positions, ...]]

    def of(self, row: int) -> dict[LeakKind, Positions]:
        """Return the kinds that apply to one evaluation row, with their training rows."""
        return {kind: found[row] for kind, found in self.kinds.items() if len(found[row])}


def evidence(
    train: pd.DataFrame,
    evaluation: pd.DataFrame,
    near_threshold: float,
    texts: tuple[str, ...] = TEXTS,
) -> Evidence:
    """Return what the training rows give away of the evaluation rows.

    Args:
        train: Training rows with their role columns.
        evaluation: Rows of one evaluation split.
        near_threshold: Jaccard similarity that counts as near.
        texts: Text columns.
    """
    kinds: dict[LeakKind, list[Positions]] = {
        "exact": _same(
            input_keys(train, texts, normal=False), input_keys(evaluation, texts, normal=False)
        ),
        "normalised": _same(
            input_keys(train, texts, normal=True), input_keys(evaluation, texts, normal=True)
        ),
        "near": near_rows(_texts(train, texts), _texts(evaluation, texts), near_threshold),
    }
    by_text = _by_text(train, evaluation, texts)
    kinds["shared_text"] = [_union(found) for found in by_text]
    kinds["shared_texts_all"] = [
        _union(found) if all(len(positions) for positions in found) else np.arange(0)
        for found in by_text
    ]
    if "group" in train and "group" in evaluation:
        kinds["group"] = _same(train["group"].tolist(), evaluation["group"].tolist())
    if "time" in train and "time" in evaluation:
        kinds["time"] = _younger(train["time"], evaluation["time"])
    return Evidence(kinds, by_text)


def _same(train: Sequence[Hashable], other: Sequence[Hashable]) -> list[Positions]:
    places: dict[Hashable, list[int]] = {}
    for position, key in enumerate(train):
        places.setdefault(key, []).append(position)
    arrays = {key: np.asarray(found) for key, found in places.items()}
    none = np.arange(0)
    return [arrays.get(key, none) for key in other]


def _by_text(
    train: pd.DataFrame, other: pd.DataFrame, texts: tuple[str, ...]
) -> list[tuple[Positions, ...]]:
    # Sides are joined one after the other, so a position modulo the rows is the row.
    pool = [form for text in texts for form in forms(train[text].tolist(), normal=True)]
    columns = []
    for text in texts:
        found = _same(pool, forms(other[text].tolist(), normal=True))
        columns.append([np.unique(positions % len(train)) for positions in found])
    return list(zip(*columns, strict=True))


def _younger(train: pd.Series[Any], other: pd.Series[Any]) -> list[Positions]:
    """Return for each evaluation row the training rows that are younger, youngest first."""
    times = train.to_numpy()
    order = np.argsort(times, kind="stable")
    after = np.searchsorted(times[order], other.to_numpy(), side="right")
    # Views of one array: the evidence of n rows costs no n x m memory.
    youngest_first = order[::-1]
    return [youngest_first[: len(order) - start] for start in after]


def _texts(frame: pd.DataFrame, texts: tuple[str, ...]) -> list[tuple[str, ...]]:
    return list(zip(*(frame[text].tolist() for text in texts), strict=True))


def _union(found: tuple[Positions, ...]) -> Positions:
    return np.unique(np.concatenate(found))
