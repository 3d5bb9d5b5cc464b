"""Table columns as numbers: standardised, one-hot, and fitted on training rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]
# Standard deviations: one mistyped number must not outvote a whole text.
_FURTHEST = 10.0
# Share of the mean below which a deviation is the rounding of equal numbers.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers.

    Args:
        name: Its name.
        mean: Mean of the training rows that have a number.
        scale: Their standard deviation, 1 if all are equal.
        missing: True if a training row has none; then a second feature says so.
    """

    name: str
    mean: float
    scale: float
    missing: bool


@dataclass(frozen=True)
class CategoryColumn:
    """A column of names: `values` are those of the training rows, sorted."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class TableFeatures:
    """How table columns become features; plain data, so that it is saved as JSON.

    Args:
        numbers: Columns of numbers.
        categories: Columns of names.

    Example:
        >>> rows = pd.DataFrame({"age": [20.0, 40.0], "city": ["Bern", "Genf"]})
        >>> table = fit_table(rows, ("age",), ("city",))
        >>> table.names
        ('age', 'city = Bern', 'city = Genf')
        >>> table.of(pd.DataFrame({"age": [30.0], "city": ["Rom"]})).tolist()
        [[0.0, 0.0, 0.0]]
    """

    numbers: tuple[NumberColumn, ...] = ()
    categories: tuple[CategoryColumn, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every feature, in order."""
        names = []
        for number in self.numbers:
            names += [number.name, *([f"{number.name} is missing"] if number.missing else [])]
        for column in self.categories:
            names += [f"{column.name} = {value}" for value in column.values]
        return tuple(names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (*(n.name for n in self.numbers), *(c.name for c in self.categories))

    def of(self, rows: pd.DataFrame) -> Array:
        """Return the features of the rows: `[rows, features]` in float32.

        A missing number is the mean of the training rows; one further than 10 standard deviations
        from it counts as that far. A name that they do not hold is all zeros.

        Args:
            rows: Rows with the columns; numbers as floats with NaN, names as strings.
        """
        parts = [np.zeros((len(rows), 0))]
        for number in self.numbers:
            values = rows[number.name].to_numpy(dtype=np.float64)
            absent = np.isnan(values)
            away = np.where(absent, 0.0, (values - number.mean) / number.scale)
            parts.append(np.clip(away, -_FURTHEST, _FURTHEST)[:, None])
            if number.missing:
                parts.append(absent[:, None])
        for column in self.categories:
            values = rows[column.name].to_numpy(dtype=object)
            parts.append(values[:, None] == np.array(column.values, dtype=object))
        return np.hstack(parts).astype(np.float32)


def fit_table(
    rows: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str]
) -> TableFeatures:
    """Return how the columns of `rows` become features.

    A number that no training row lacks has no feature for missing ones: its weight would stay
    random.

    Args:
        rows: Training rows.
        numbers: Columns of numbers.
        categories: Columns of names.
    """
    return TableFeatures(
        numbers=tuple(_number(rows, name) for name in numbers),
        categories=tuple(
            CategoryColumn(name, tuple(sorted(rows[name].unique()))) for name in categories
        ),
    )


def _number(rows: pd.DataFrame, name: str) -> NumberColumn:
    values = rows[name].to_numpy(dtype=np.float64)
    known = values[~np.isnan(values)]
    if not known.size:
        return NumberColumn(name, 0.0, 1.0, missing=True)
    mean, scale = float(known.mean()), float(known.std())
    constant = scale <= _ROUNDING * abs(mean)
    return NumberColumn(name, mean, 1.0 if constant else scale, missing=known.size < values.size)
