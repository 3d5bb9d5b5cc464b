"""A trained classifier, ready to use on rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from graft.core.errors import DataError
from graft.core.facts import RowFacts
from graft.data.badrows import BadRow, listed
from graft.data.checks import check_rows
from graft.data.columns import missing_column
from graft.data.reading import Layout
from graft.evaluate.encoding import encode
from graft.models.heads import TextClassifier
from graft.models.precision import Precision
from graft.tasks.class_columns import classified
from graft.tasks.class_outputs import outputs_of

PREDICTED, SCORE = "predicted", "score"
BETWEEN_LABELS = "|"  # as a recipe reads several labels that are one text
_EVEN = 0.5  # decides where no run has chosen a threshold


@dataclass(frozen=True)
class Classifier:
    """A classifier with its classes and its decision threshold, or a model of numbers.

    Args:
        model: The model; `model.encode(text)` gives the logits if it reads one text and no table.
        threshold: Of two classes the second is decided from this probability on, of several labels
            each; None if no run stands behind the model, then from 0.5 on.
    """

    model: TextClassifier
    threshold: float | None = None

    @property
    def facts(self) -> RowFacts:
        """The columns that are read, and the classes."""
        layout, features = self.model.layout, self.model.features
        numbers = tuple(column.name for column in features.numbers)
        categories = tuple(column.name for column in features.categories)
        return RowFacts(layout.texts, numbers, categories, layout.classes, layout.problem_type)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (*self.facts.texts, *self.facts.table)

    @property
    def added(self) -> tuple[str, ...]:
        """The columns of a prediction: the class, its score, the probability of every class.

        Of several labels those that are decided, and the probability of each; or the number alone.
        """
        score = (SCORE,) if self.facts.one_class else ()
        return (PREDICTED, *score, *(f"p_{name}" for name in self.facts.classes))

    def predict(self, rows: pd.DataFrame, precision: Precision = "fp32") -> pd.DataFrame:
        """Return the columns of `added` for each row, such as class, score and probabilities.

        Args:
            rows: Rows with the columns that the model reads; others are passed over.
            precision: `fp32` gives the scores of the artefact, bf16 rounds them.

        Raises:
            DataError: A column is missing, or a row holds nothing that can be read.
        """
        names = list(rows.columns)
        problems = [
            missing_column("rows", name, names) for name in self.columns if name not in names
        ]
        if problems:
            raise DataError("rows", problems)
        checked, bad = self.checked(rows[list(self.columns)], np.arange(1, len(rows) + 1))
        if bad:
            raise DataError("rows", listed("rows", bad))
        return self.scored(checked, precision).set_axis(rows.index)

    def checked(
        self, rows: pd.DataFrame, numbers: np.ndarray[Any, Any]
    ) -> tuple[pd.DataFrame, list[BadRow]]:
        """Return the rows with clean types, and those that cannot be read.

        Args:
            rows: Rows with the columns that the model reads and no others.
            numbers: Number of each row for the errors.
        """
        facts = self.facts
        layout = Layout(
            (), facts.texts, facts.table, facts.categories, facts.numbers, facts.problem_type
        )
        return check_rows(rows, numbers, layout=layout)

    def scored(self, rows: pd.DataFrame, precision: Precision = "fp32") -> pd.DataFrame:
        """Return the columns of `added` for rows that `checked` has passed."""
        encoder, facts = self.model.encoder, self.facts
        found = classified(self.model, rows, partial(encode, encoder, precision=precision))
        classes = np.array(facts.classes, dtype=object)
        least = _EVEN if self.threshold is None else self.threshold
        if facts.regression:
            columns = [found[SCORE]]
        elif facts.multi_label:
            shares = outputs_of(found, facts)
            named = [BETWEEN_LABELS.join(classes[row >= least]) for row in shares]
            columns = [np.array(named, dtype=object), *shares.T]
        else:
            shares = outputs_of(found, facts)
            reached = (found[SCORE] >= least).astype(int)
            chosen = reached if facts.binary else shares.argmax(axis=1)
            columns = [classes[chosen], found[SCORE], *shares.T]
        return pd.DataFrame(dict(zip(self.added, columns, strict=True)))
