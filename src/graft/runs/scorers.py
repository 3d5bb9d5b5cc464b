"""What a model makes of the rows of a file: its columns, its checks, its predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sentence_transformers import SentenceTransformer

from graft.core.errors import InputError, Problem
from graft.data.badrows import BadRow
from graft.data.checks import check_rows
from graft.data.columns import assign_columns
from graft.data.dataset import TEXTS
from graft.evaluate.encoding import encode
from graft.models.precision import Precision
from graft.models.series.modeling_series import SeriesClassifier
from graft.runs.classifier import PREDICTED, Classifier
from graft.tasks.pair_columns import pair_columns

PAIR_SCORE, DECISION = "predicted_score", "decision"
_Checked = tuple[pd.DataFrame, list[BadRow]]


@dataclass(frozen=True)
class Scorer:
    """How the rows of a file are predicted.

    Args:
        assign: Columns of the file, role to column and name of the file, to role to column.
        check: Rows by role and their numbers, to clean rows and those that cannot be read.
        score: Clean rows to the columns of `added`.
        added: Name of each added column to its type in a Parquet file.
        threshold: Scores from here on are decided; None without a decision by threshold.
        positive: The class that the threshold decides on, empty for pairs.
    """

    assign: Callable[[Sequence[str], Mapping[str, str], str], dict[str, str]]
    check: Callable[[pd.DataFrame, np.ndarray[Any, Any]], _Checked]
    score: Callable[[pd.DataFrame], pd.DataFrame]
    added: Mapping[str, pa.DataType]
    threshold: float | None
    positive: str = ""


def scorer_of(
    model: SentenceTransformer | Classifier | SeriesClassifier,
    threshold: float | None,
    precision: Precision,
) -> Scorer:
    """Return how `model`, as `graft.load` returns it, predicts the rows of a file.

    Args:
        model: The model.
        threshold: Decision threshold of the run behind it, None if there is none.
        precision: Number format of the encoder.

    Raises:
        InputError: It reads series.
    """
    if isinstance(model, SeriesClassifier):
        fix = "give it the values: model(values, lengths), as its card shows"
        problem = Problem("graft predict", "reads texts and tables, and this model series", fix)
        raise InputError("predict", [problem])
    if isinstance(model, Classifier):
        return _of_classes(model, precision)
    return _of_pairs(model, threshold, precision)


def _of_pairs(
    encoder: SentenceTransformer, threshold: float | None, precision: Precision
) -> Scorer:
    def score(rows: pd.DataFrame) -> pd.DataFrame:
        scores = pair_columns(rows, partial(encode, encoder, precision=precision))["score"]
        found = pd.DataFrame({PAIR_SCORE: scores})
        return found if threshold is None else found.assign(**{DECISION: scores >= threshold})

    decided = {} if threshold is None else {DECISION: pa.bool_()}
    return Scorer(
        assign=partial(assign_columns, required=TEXTS, optional=()),
        check=check_rows,
        score=score,
        added={PAIR_SCORE: pa.float64(), **decided},
        threshold=threshold,
    )


def _of_classes(classifier: Classifier, precision: Precision) -> Scorer:
    columns, facts = classifier.columns, classifier.facts
    return Scorer(
        assign=partial(
            assign_columns,
            required=columns,
            optional=(),
            customary={name: (name.lower(),) for name in columns},
        ),
        check=classifier.checked,
        score=partial(classifier.scored, precision=precision),
        added={
            name: pa.string() if name == PREDICTED else pa.float64() for name in classifier.added
        },
        threshold=classifier.threshold if facts.binary else None,
        positive=facts.classes[1] if facts.binary else "",
    )
