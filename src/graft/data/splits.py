"""Rows dealt out to train, validation and test: seeded, in whole units that belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from graft.config.data import SplitSection
from graft.core.errors import DataError, Problem
from graft.core.facts import RowFacts
from graft.core.roles import Split
from graft.core.seeds import generator
from graft.data.classes import class_places
from graft.data.dataset import PAIR_FACTS
from graft.data.inputs import compared_texts, input_units, telling_inputs

QUANTILES = 10
FREQUENT = 10  # rows from which a combination of labels is a stratum of its own
WORDS = {
    "stratified": "stratified by label, equal inputs kept together",
    "grouped": "grouped: no group on two sides",
    "by_text": "by text: no text on two sides",
    "by_time": "by time: the youngest rows are held out",
}


def deal(
    frame: pd.DataFrame,
    section: SplitSection,
    seed: int,
    wanted: tuple[Split, ...],
    facts: RowFacts = PAIR_FACTS,
) -> np.ndarray:
    """Return the split of each row.

    Args:
        frame: Rows with their role columns.
        section: Method and shares: `test` of all rows, `validation` of those that are left.
        seed: Seed; the same rows and seed are always dealt out the same way.
        wanted: The splits to take from the rows besides train.
        facts: Text columns, table columns and classes.

    Returns:
        [N] of `train`, `validation` or `test`.

    Raises:
        DataError: No column for the method, or a split that would be empty.

    Example:
        >>> frame = pd.DataFrame({"text": list("abcdefghij"), "label": [0.0, 1.0] * 5})
        >>> facts = RowFacts(("text",), classes=("no", "yes"))
        >>> sides = deal(frame, SplitSection(), 1, (Split.test,), facts)
        >>> (sides == "test").sum().item()
        2
    """
    splits = np.full(len(frame), Split.train.value, dtype=object)
    for split, share in ((Split.test, section.test), (Split.validation, section.validation)):
        if split not in wanted or share == 0:
            continue
        left = np.flatnonzero(splits == Split.train.value)
        rows = frame.iloc[left].reset_index(drop=True)
        rng = generator(seed, "split", split.value)
        target = round(share * len(rows))
        held = _HOLD[section.method](rows, target, rng, facts)
        _refuse_empty(split, share, len(rows), target, held)
        splits[left[held]] = split.value
    return splits


def _stratified(
    rows: pd.DataFrame, target: int, rng: np.random.Generator, facts: RowFacts
) -> np.ndarray:
    units = input_units(rows, facts)
    strata = _strata(rows, facts)
    firsts = np.unique(units, return_index=True)[1]
    of_unit = strata[firsts]
    values, sizes = np.unique(of_unit[units], return_counts=True)
    # Cumulative rounding meets the target of the whole, not only of each stratum.
    goals = np.diff(np.round(np.cumsum(sizes) * target / len(rows)).astype(int), prepend=0)
    drawn = [
        fill(units, np.flatnonzero(of_unit == value), int(goal), rng)
        for value, goal in zip(values, goals, strict=True)
    ]
    held = np.sort(np.concatenate(drawn))
    if facts.classes:
        # What teaches a class is needed more than what tests it.
        at, places = class_places(rows, facts)
        for lost in np.setdiff1d(places, places[~np.isin(at, held)]):
            held = held[units[held] != units[at[places == lost][0]]]
    return held


def _strata(rows: pd.DataFrame, facts: RowFacts) -> np.ndarray:
    if facts.multi_label:
        return _label_strata(rows[list(facts.label_columns)].to_numpy(dtype=bool))
    labels = rows["label"].to_numpy(dtype=np.float64)
    if facts.classes or (facts.of_pairs and np.isin(labels, (0, 1)).all()):
        return labels
    edges = np.unique(np.quantile(labels, np.linspace(0, 1, QUANTILES + 1)[1:-1]))
    return np.searchsorted(edges, labels, side="right")


def _label_strata(carried: np.ndarray) -> np.ndarray:
    """Return the stratum of each row: its labels together if they are frequent, else the rarest.

    Args:
        carried: [N, labels] whether the row has the label.
    """
    together, counts = np.unique(carried, axis=0, return_inverse=True, return_counts=True)[1:]
    rows = carried.sum(axis=0)
    rarest = np.where(carried, rows, len(carried) + 1).argmin(axis=1)
    return np.where(counts[together] >= FREQUENT, len(rows) + together, rarest)


def _grouped(
    rows: pd.DataFrame, target: int, rng: np.random.Generator, facts: RowFacts
) -> np.ndarray:
    units = pd.factorize(_needed(rows, "group", "grouped"))[0]
    held = fill(units, np.arange(units.max() + 1), target, rng)
    return _whole_units(held, units, "group", "grouped", target)


def _by_text(
    rows: pd.DataFrame, target: int, rng: np.random.Generator, facts: RowFacts
) -> np.ndarray:
    units = text_components(rows, facts)
    held = fill(units, np.arange(units.max() + 1), target, rng)
    return _whole_units(held, units, "chain of shared texts", "by_text", target)


def _by_time(
    rows: pd.DataFrame, target: int, rng: np.random.Generator, facts: RowFacts
) -> np.ndarray:
    order = np.argsort(_needed(rows, "time", "by_time").to_numpy(), kind="stable")
    return np.sort(order[len(rows) - target :])


_HOLD = {
    "stratified": _stratified,
    "grouped": _grouped,
    "by_text": _by_text,
    "by_time": _by_time,
}


def text_components(rows: pd.DataFrame, facts: RowFacts = PAIR_FACTS) -> np.ndarray:
    """Return [N] the component of each row: rows that share a text, directly or by a chain.

    Texts are compared in their normal form, whichever column they stand in. A missing text is
    shared with nobody; a row without any is its table values.

    Example:
        >>> frame = pd.DataFrame({"sentence1": ["a", "b", "x"], "sentence2": ["b", "c", "y"]})
        >>> text_components(frame).tolist()
        [0, 0, 1]
    """
    inputs = telling_inputs(rows, facts, normal=True)
    texts = compared_texts(rows, facts, normal=True)
    held = [found or (key,) for found, key in zip(texts, inputs, strict=True)]
    at_row = np.repeat(np.arange(len(rows)), [len(row) for row in held])
    codes = pd.factorize(pd.Series([text for row in held for text in row], dtype=object))[0]
    # A graph with a node per row and per text; an edge where the row holds the text.
    size = len(rows) + int(codes.max(initial=-1)) + 1
    edges = coo_array((np.ones(len(codes), bool), (at_row, codes + len(rows))), shape=(size, size))
    components = np.asarray(connected_components(edges, directed=False)[1][: len(rows)])
    return pd.factorize(components)[0]


def fill(
    units: np.ndarray, candidates: np.ndarray, target: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the rows of randomly drawn units, at most `target` rows, in order.

    Args:
        units: [N] unit of each row, from 0.
        candidates: Units to draw from.
        target: Most rows.
        rng: Source of chance.

    Example:
        >>> fill(np.array([0, 0, 0, 1]), np.arange(2), 2, np.random.default_rng(0)).tolist()
        [3]
    """
    sizes = np.bincount(units)
    chosen, room = [], target
    for unit in rng.permutation(candidates):
        if sizes[unit] <= room:
            chosen.append(unit)
            room -= int(sizes[unit])
        if room == 0:
            break
    return np.flatnonzero(np.isin(units, chosen))


def _whole_units(
    held: np.ndarray, units: np.ndarray, unit: str, method: str, target: int
) -> np.ndarray:
    if len(held) or not target:
        return held
    sizes = np.bincount(units)
    problem = Problem(
        f"recipe, data.split.method '{method}'",
        f"cannot hold out {target} of {len(units)} rows without cutting a {unit}: there are "
        f"{len(sizes)}, the largest has {sizes.max()} rows and the smallest {sizes.min()}",
        "take another method, or a larger share",
    )
    raise DataError("split", [problem])


def _needed(rows: pd.DataFrame, role: str, method: str) -> pd.Series[Any]:
    if role in rows:
        return rows[role]
    problem = Problem(
        f"recipe, data.split.method '{method}'",
        f"needs a column for the role '{role}' and there is none",
        f"add data.columns.{role} to the recipe, or take the method stratified",
    )
    raise DataError("split", [problem])


def _refuse_empty(split: Split, share: float, rows: int, target: int, held: np.ndarray) -> None:
    if 0 < len(held) < rows:
        return
    empty = "train" if len(held) else split.value
    problem = Problem(
        f"split '{empty}'",
        f"would be empty: a share of {share:g} of {rows} rows for {split.value} is {target} rows",
        f"change data.split.{split.value}, add rows, or name a file in data.{split.value}",
    )
    raise DataError("split", [problem])
