"""What each table column is by itself: how many values, whether it counts, what it tells alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from graft.core.facts import RowFacts
from graft.core.seeds import generator
from graft.core.tables import TableColumn
from graft.data.cells import MISSING

FOLDS = 3
# Rows of the smallest classes that are measured, and of all rows.
CLASS_ROWS, LEAST_ROWS = 5, 30
# More rows change the third decimal place of a figure that is judged by its second.
MOST_ROWS = 20_000


def table_columns(rows: pd.DataFrame, facts: RowFacts) -> tuple[TableColumn, ...]:
    """Return what the training rows say about each table column.

    Args:
        rows: Training rows, as in `Dataset.frame`.
        facts: Table columns and classes.

    Example:
        >>> rows = pd.DataFrame({"source": "a", "label": [0.0, 1.0] * 20, "no": np.arange(40.0)})
        >>> rows["answer"] = rows["label"].map({0.0: "n", 1.0: "y"})
        >>> facts = RowFacts(numbers=("no",), categories=("answer",), classes=("no", "yes"))
        >>> [(c.column, c.distinct, c.counting) for c in table_columns(rows, facts)]
        [('no', 40, True), ('answer', 2, False)]
        >>> table_columns(rows, facts)[1].alone
        1.0
    """
    if not facts.table:
        return ()
    measured = _measured(rows["label"].to_numpy(dtype=int))
    return tuple(_column(rows, name, facts, measured) for name in facts.table)


def _column(rows: pd.DataFrame, name: str, facts: RowFacts, measured: np.ndarray) -> TableColumn:
    column, number = rows[name], name in facts.numbers
    tried = rows.iloc[measured]
    filled = column[column.notna() if number else column != MISSING]
    return TableColumn(
        column=name,
        kind="number" if number else "category",
        values=len(filled),
        distinct=int(filled.nunique()),
        counting=number and (_dense(filled) or _in_order(filled, rows["source"])),
        alone=_alone(tried[name], tried["label"], number, facts.binary) if len(tried) else None,
    )


def _dense(values: pd.Series[Any]) -> bool:
    """Return True for whole numbers, each once, from a range of no more than twice their count.

    So many draws from such a range would repeat one (n of them do not with e^(-n/4)).
    """
    whole = (values == values.round()).all() and values.is_unique
    return bool(whole and len(values) > 1 and values.max() - values.min() < 2 * len(values))


def _in_order(values: pd.Series[Any], sources: pd.Series[Any]) -> bool:
    steps = [np.diff(part.to_numpy()) for _, part in values.groupby(sources)]
    return bool(steps) and all(
        len(part) > 0 and bool((part > 0).all() or (part < 0).all()) for part in steps
    )


def _measured(labels: np.ndarray) -> np.ndarray:
    """Return the positions of the rows to measure on, none if they are too few."""
    at = np.arange(len(labels))
    if len(at) > MOST_ROWS:
        # Part of the method, so the same for every recipe and seed.
        at = np.sort(generator(0, "alone").permutation(at)[:MOST_ROWS])
    large = np.flatnonzero(np.bincount(labels[at]) >= CLASS_ROWS)
    at = at[np.isin(labels[at], large)]
    return at if len(large) > 1 and len(at) >= LEAST_ROWS else np.arange(0)


def _alone(column: pd.Series[Any], labels: pd.Series[float], number: bool, binary: bool) -> float:
    """Return the mean over the folds of how well the column predicts the rows of a fold."""
    # Order is all that a tree reads of numbers, and ranks have no size.
    values = column.rank(method="dense").to_numpy() if number else pd.factorize(column)[0]
    classes, places = np.unique(labels, return_inverse=True)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(places, places)
    found = []
    for learned, asked in folds:
        tell = _by_tree if number else _by_shares
        odds = tell(values[learned], places[learned], values[asked], len(classes))
        found.append(_right(odds, places[asked], binary))
    return float(np.mean(found))


def _by_tree(values: np.ndarray, labels: np.ndarray, asked: np.ndarray, classes: int) -> np.ndarray:
    """Return [N, classes] what a small tree makes of a number, classes weighing the same."""
    tree = DecisionTreeClassifier(
        max_leaf_nodes=max(32, 2 * classes),
        min_samples_leaf=2,
        class_weight="balanced",
        random_state=0,
    )
    # A missing number is rank 0, and a second column says so.
    with_gaps = [np.column_stack([np.nan_to_num(v), np.isnan(v)]) for v in (values, asked)]
    return np.asarray(tree.fit(with_gaps[0], labels).predict_proba(with_gaps[1]))


def _by_shares(
    values: np.ndarray, labels: np.ndarray, asked: np.ndarray, classes: int
) -> np.ndarray:
    """Return [N, classes] the share of each class among the rows of a category, weighing the same.

    Half a row of each class is added, so that a category of one row is not certain.
    """
    counts = np.zeros((max(values.max(), asked.max()) + 1, classes))
    np.add.at(counts, (values, labels), 1.0)
    weights = len(labels) / (classes * np.bincount(labels, minlength=classes))
    shares = (counts * weights + 0.5)[asked]
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _right(odds: np.ndarray, labels: np.ndarray, binary: bool) -> float:
    """Return from 0.5 (chance) to 1 how right the odds are."""
    if binary:
        return float(roc_auc_score(labels, odds[:, 1]))
    classes = odds.shape[1]
    balanced = recall_score(labels, odds.argmax(axis=1), average="macro", zero_division=0)
    return float(0.5 + 0.5 * (balanced - 1 / classes) / (1 - 1 / classes))
