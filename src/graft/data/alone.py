"""What each table column is by itself: how many values, whether it counts, what it tells alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from graft.core.facts import RowFacts
from graft.core.seeds import generator
from graft.core.tables import TableColumn
from graft.data.cells import MISSING
from graft.metrics.agreement import spearman

FOLDS = 3
# Rows of the smallest classes that are measured, and of all rows.
CLASS_ROWS, LEAST_ROWS = 5, 30
# More rows change the third decimal place of a figure that is judged by its second.
MOST_ROWS = 20_000
MOST_LABELS = 20  # of several labels a row the most frequent ones are tried


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
    questions = _questions(rows, facts)
    return tuple(_column(rows, name, facts, questions) for name in facts.table)


@dataclass(frozen=True)
class _Question:
    """What a column is asked to tell.

    Args:
        label: Name of the label, empty where a row has one.
        measured: Positions of the rows to measure on.
        truth: What is true of each of them: the place of a class, or a number.
    """

    label: str
    measured: np.ndarray
    truth: np.ndarray


def _questions(rows: pd.DataFrame, facts: RowFacts) -> list[_Question]:
    """Return what there are enough rows for to ask."""
    labels = [("", rows["label"].to_numpy(dtype=np.float64))]
    if facts.multi_label:
        named = zip(facts.classes, facts.label_columns, strict=True)
        told = [(name, rows[column].to_numpy(dtype=np.float64)) for name, column in named]
        labels = sorted(told, key=lambda item: -item[1].sum())[:MOST_LABELS]
    found = [(name, truth, _measured(truth, facts)) for name, truth in labels]
    return [_Question(name, at, truth[at]) for name, truth, at in found if len(at)]


def _column(
    rows: pd.DataFrame, name: str, facts: RowFacts, questions: list[_Question]
) -> TableColumn:
    column, number = rows[name], name in facts.numbers
    filled = column[column.notna() if number else column != MISSING]
    told = []
    for question in questions:
        tried = column.iloc[question.measured]
        if facts.regression:
            told.append((_number_alone(tried, question.truth, number), ""))
        else:
            of_two = facts.binary or facts.multi_label
            told.append((_class_alone(tried, question.truth, number, of_two), question.label))
    alone, label = max(told, default=(None, ""), key=lambda item: item[0])
    return TableColumn(
        column=name,
        kind="number" if number else "category",
        values=len(filled),
        distinct=int(filled.nunique()),
        counting=number and (_dense(filled) or _in_order(filled, rows["source"])),
        alone=alone,
        label=label,
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


def _measured(labels: np.ndarray, facts: RowFacts) -> np.ndarray:
    """Return the positions of the rows to measure on, none if they are too few."""
    at = np.arange(len(labels))
    if len(at) > MOST_ROWS:
        # Part of the method, so the same for every recipe and seed.
        at = np.sort(generator(0, "alone").permutation(at)[:MOST_ROWS])
    if facts.regression:
        return at if np.ptp(labels[at]) and len(at) >= LEAST_ROWS else np.arange(0)
    places = labels.astype(int)
    large = np.flatnonzero(np.bincount(places[at]) >= CLASS_ROWS)
    at = at[np.isin(places[at], large)]
    return at if len(large) > 1 and len(at) >= LEAST_ROWS else np.arange(0)


def _values(column: pd.Series[Any], number: bool) -> np.ndarray:
    # Order is all that a tree reads of numbers, and ranks have no size.
    return np.asarray(column.rank(method="dense") if number else pd.factorize(column)[0])


def _number_alone(column: pd.Series[Any], truth: np.ndarray, number: bool) -> float:
    """Return 0.5 (chance) to 1: how the order that the column gives unused rows is the true one."""
    values = _values(column, number)
    said = np.zeros(len(truth))
    for learned, asked in KFold(FOLDS, shuffle=True, random_state=0).split(truth):
        tell = _mean_by_tree if number else _mean_by_name
        said[asked] = tell(values[learned], truth[learned], values[asked])
    order = spearman(said, truth)
    return 0.5 + 0.5 * max(0.0, float(np.nan_to_num(order)))


def _mean_by_tree(values: np.ndarray, truth: np.ndarray, asked: np.ndarray) -> np.ndarray:
    tree = DecisionTreeRegressor(max_leaf_nodes=32, min_samples_leaf=2, random_state=0)
    return np.asarray(tree.fit(_with_gaps(values), truth).predict(_with_gaps(asked)))


def _mean_by_name(values: np.ndarray, truth: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the mean of each name, one row of the mean of all added, so that few rows say less."""
    size = max(values.max(), asked.max()) + 1
    rows = np.bincount(values, minlength=size) + 1
    means = (np.bincount(values, truth, size) + truth.mean()) / rows
    return np.asarray(means[asked])


def _class_alone(column: pd.Series[Any], truth: np.ndarray, number: bool, of_two: bool) -> float:
    """Return the mean over the folds of how well the column predicts the rows of a fold."""
    values = _values(column, number)
    classes, places = np.unique(truth, return_inverse=True)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(places, places)
    found = []
    for learned, asked in folds:
        tell = _by_tree if number else _by_shares
        odds = tell(values[learned], places[learned], values[asked], len(classes))
        found.append(_right(odds, places[asked], of_two))
    return float(np.mean(found))


def _by_tree(values: np.ndarray, labels: np.ndarray, asked: np.ndarray, classes: int) -> np.ndarray:
    """Return [N, classes] what a small tree makes of a number, classes weighing the same."""
    tree = DecisionTreeClassifier(
        max_leaf_nodes=max(32, 2 * classes),
        min_samples_leaf=2,
        class_weight="balanced",
        random_state=0,
    )
    return np.asarray(tree.fit(_with_gaps(values), labels).predict_proba(_with_gaps(asked)))


def _with_gaps(values: np.ndarray) -> np.ndarray:
    """Return ranks with 0 for a missing number, and a second column that says so."""
    return np.column_stack([np.nan_to_num(values), np.isnan(values)])


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


def _right(odds: np.ndarray, labels: np.ndarray, of_two: bool) -> float:
    """Return from 0.5 (chance) to 1 how right the odds are."""
    if of_two:
        return float(roc_auc_score(labels, odds[:, 1]))
    classes = odds.shape[1]
    balanced = recall_score(labels, odds.argmax(axis=1), average="macro", zero_division=0)
    return float(0.5 + 0.5 * (balanced - 1 / classes) / (1 - 1 / classes))
