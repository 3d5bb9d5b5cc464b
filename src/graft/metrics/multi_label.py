"""The measures of several labels a row.

They read `y_0`, `y_1`, … (0 or 1), `p_0`, `p_1`, … (the probability of each label) and `threshold`
(one for all labels, chosen on validation, in every row).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from graft.core.scores import Metric
from graft.metrics.agreement import divided
from graft.metrics.binary import AT_THRESHOLD, AVERAGE_PRECISION
from graft.metrics.classification import (
    BRIER,
    CALIBRATION_ERROR,
    LOG_LOSS,
    MACRO_F1,
    SMALLEST,
)
from graft.metrics.label_sets import (
    decided_labels,
    label_probabilities,
    true_labels,
)
from graft.metrics.measures import Columns, Floats, Measure, measure
from graft.metrics.probabilities import BINS, bin_of

_TSOUMAKAS = "Tsoumakas, Katakis & Vlahavas 2010, Mining multi-label data"

MACRO_AVERAGE_PRECISION = Metric(
    "macro_average_precision",
    "Mean average precision",
    True,
    0.0,
    1.0,
    "",
    "Average precision of each label over the rows, as a mean of the labels that some rows have "
    "and others have not.",
    AVERAGE_PRECISION.metric.source,
)
MICRO_F1 = Metric(
    "micro_f1",
    "Micro F1",
    True,
    0.0,
    1.0,
    "",
    f"2 TP / (2 TP + FP + FN) over all labels of all rows, {AT_THRESHOLD}.",
    _TSOUMAKAS,
)
EXACT_MATCH = Metric(
    "exact_match",
    "Exact match",
    True,
    0.0,
    1.0,
    "",
    f"Share of the rows of which every label is decided right, {AT_THRESHOLD}.",
    _TSOUMAKAS,
)
HAMMING_LOSS = Metric(
    "hamming_loss",
    "Hamming loss",
    False,
    0.0,
    1.0,
    "",
    f"Share of the decisions on labels that are wrong, {AT_THRESHOLD}.",
    _TSOUMAKAS,
)


def _outcomes(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return for each label whether a row is decided to have it and has it: 2·decided + true."""
    found = 2.0 * decided_labels(columns) + true_labels(columns)
    unknown = np.isnan(label_probabilities(columns))
    found = np.where(unknown, np.nan, found)
    return {f"outcome_{place}": found[:, place] for place in range(found.shape[1])}


def _row_counts(columns: Columns) -> dict[str, NDArray[Any]]:
    decided, true = decided_labels(columns), true_labels(columns)
    wrong = (decided != true).sum(axis=1)
    counts = {
        "labels_hit": (decided & true).sum(axis=1),
        "labels_wrong": wrong,
        "labels_all_right": wrong == 0,
    }
    unknown = np.isnan(label_probabilities(columns)).any(axis=1)
    return {name: np.where(unknown, np.nan, values) for name, values in counts.items()}


def _losses(columns: Columns) -> dict[str, NDArray[Any]]:
    true, found = true_labels(columns), label_probabilities(columns)
    own = np.where(true, found, 1 - found)
    return {
        "log_loss": -np.log(np.clip(own, SMALLEST, 1.0)).mean(axis=1),
        "squared_error": ((1 - own) ** 2).mean(axis=1),
    }


def _calibration(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return for each row and bin by how much the probabilities of its labels are too large."""
    true, found = true_labels(columns), label_probabilities(columns)
    places, gaps = bin_of(found), found - true
    return {
        f"calibration_gap_{place}": np.where(places == place, gaps, 0.0).sum(axis=1)
        for place in range(BINS)
    }


def _orders(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return for each label 4 · the place of its probability from the top + whether it is there.

    Places are all that an order tells, so two runs are on one scale; equal ones share the mean of
    theirs. One whole number that holds both is sorted far faster than two columns are.
    """
    true, found = true_labels(columns), label_probabilities(columns)
    codes = 4.0 * rankdata(-found, axis=0) + true
    return {f"order_{place}": codes[:, place] for place in range(codes.shape[1])}


def _mean_of_defined(values: list[Floats]) -> Floats:
    found = np.stack(values)
    known = np.isfinite(found)
    return divided(np.where(known, found, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def _macro_f1(*outcomes: Floats) -> Floats:
    each = []
    for found in outcomes:
        hits = (found == 3).sum(axis=-1).astype(np.float64)
        wrong = ((found == 1) | (found == 2)).sum(axis=-1)
        each.append(divided(2 * hits, 2 * hits + wrong))
    return _mean_of_defined(each)


def _macro_average_precision(*orders: Floats) -> Floats:
    return _mean_of_defined([_average_precision(order) for order in orders])


def _average_precision(order: Floats) -> Floats:
    """Return what `thresholds.average_precision` does, of a column of `_orders`."""
    known = order if np.isfinite(order).all() else np.nan_to_num(order)
    codes = np.sort(known.astype(np.int32), axis=-1)
    hits = (codes & 1).cumsum(axis=-1, dtype=np.int32)
    places, rows = codes >> 1, codes.shape[-1]
    # Equal probabilities are decided together, so only where a place ends something is gained.
    until = hits.copy()
    until[..., :-1][places[..., :-1] == places[..., 1:]] = 0
    until = np.maximum.accumulate(until, axis=-1)
    precision = hits * (1 / np.arange(1, rows + 1))
    gained = (until[..., 1:] - until[..., :-1]) * precision[..., 1:]
    summed = gained.sum(axis=-1) + until[..., 0] * precision[..., 0]
    mixed = np.where(hits[..., -1] < rows, hits[..., -1], 0)
    return divided(summed, mixed.astype(np.float64))


@lru_cache(maxsize=8)
def multi_label_measures(labels: int) -> tuple[Measure, ...]:
    """Return the measures of so many labels.

    Example:
        >>> [found.metric.name for found in multi_label_measures(3)][:3]
        ['macro_average_precision', 'micro_f1', 'macro_f1']
    """

    def names(start: str) -> tuple[str, ...]:
        return tuple(f"{start}_{place}" for place in range(labels))

    decided, found = (*names("p"), "threshold"), names("p")
    return (
        measure(
            MACRO_AVERAGE_PRECISION,
            _macro_average_precision,
            reads=names("order"),
            exchange=found,
            derive=_orders,
        ),
        measure(
            MICRO_F1,
            lambda hits, wrong: divided(
                2 * hits.sum(axis=-1), 2 * hits.sum(axis=-1) + wrong.sum(axis=-1)
            ),
            reads=("labels_hit", "labels_wrong"),
            exchange=decided,
            derive=_row_counts,
        ),
        measure(MACRO_F1, _macro_f1, reads=names("outcome"), exchange=decided, derive=_outcomes),
        measure(
            EXACT_MATCH,
            lambda right: right.mean(axis=-1),
            reads=("labels_all_right",),
            exchange=decided,
            derive=_row_counts,
        ),
        measure(
            HAMMING_LOSS,
            lambda wrong: wrong.mean(axis=-1) / labels,
            reads=("labels_wrong",),
            exchange=decided,
            derive=_row_counts,
        ),
        measure(
            LOG_LOSS,
            lambda losses: losses.mean(axis=-1),
            reads=("log_loss",),
            exchange=found,
            derive=_losses,
        ),
        measure(
            BRIER,
            lambda errors: errors.mean(axis=-1),
            reads=("squared_error",),
            exchange=found,
            derive=_losses,
        ),
        measure(
            CALIBRATION_ERROR,
            lambda *gaps: np.asarray(sum(np.abs(gap.mean(axis=-1)) for gap in gaps) / labels),
            reads=tuple(f"calibration_gap_{place}" for place in range(BINS)),
            exchange=found,
            derive=_calibration,
        ),
    )
