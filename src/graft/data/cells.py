"""One cell of a file: is there something in it, what number is it, what name?"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from graft.data.normal_form import is_blank

MISSING = "(missing)"
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
# How programs write infinity and "no number" into text files.
_INFINITE = re.compile(r"\s*[+-]?inf(inity)?\s*", re.IGNORECASE)
_NAN = re.compile(r"\s*nan\s*", re.IGNORECASE)


def is_missing(value: object) -> bool:
    """Return True if the cell holds nothing: None, NaN, NaT or NA.

    Example:
        >>> is_missing(float("nan")), is_missing("")
        (True, False)
    """
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or value is pd.NA or value is pd.NaT


def is_empty(value: object) -> bool:
    """Return True if the cell holds nothing, or a text without a visible character.

    Example:
        >>> is_empty(" "), is_empty(0)
        (True, False)
    """
    return is_missing(value) or (isinstance(value, str) and is_blank(value))


def number_of(value: object) -> float:
    """Return the finite number that `value` is or spells, NaN if there is none.

    Example:
        >>> number_of(" 1e-1 "), number_of(True), number_of("1,5")
        (0.1, 1.0, nan)
    """
    if isinstance(value, str):
        # float() does not strip all that a pattern counts as space, such as \x1f.
        value = float(value.strip()) if NUMBER.fullmatch(value) else math.nan
    if isinstance(value, bool | int | float | Decimal | np.bool_ | np.integer | np.floating):
        # An integer of 400 digits has no float.
        number = (
            float(value) if not isinstance(value, int) or value.bit_length() < 1000 else math.inf
        )
        return number if math.isfinite(number) else math.nan
    return math.nan


def measure_of(value: object) -> float | None:
    """Return the number of a table cell: NaN if it is missing, infinite, None for anything else.

    A bool is a name, not a number.

    Example:
        >>> measure_of("3"), measure_of(""), measure_of("-inf"), measure_of("red"), measure_of(True)
        (3.0, nan, inf, None, None)
    """
    if is_empty(value) or (isinstance(value, str) and _NAN.fullmatch(value)):
        return math.nan
    if isinstance(value, bool | np.bool_):
        return None
    number = number_of(value)
    if not math.isnan(number):
        return number
    # No NaN is left here: what is a number by its type or spelling has no finite float.
    spelled = isinstance(value, str) and (NUMBER.fullmatch(value) or _INFINITE.fullmatch(value))
    return math.inf if spelled or isinstance(value, int | float | np.floating) else None


def word_of(value: object) -> str:
    """Return the cell as a name, `(missing)` if it is empty.

    Example:
        >>> word_of(3.0), word_of("3"), word_of(None)
        ('3', '3', '(missing)')
    """
    if is_empty(value):
        return MISSING
    # Parquet and CSV tell the same number apart as 3.0 and 3; a slice must not.
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def measures_of(column: pd.Series[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each cell as `measure_of` gives it, and [N] where there is none.

    Example:
        >>> values, odd = measures_of(pd.Series(["3", "", "red"]))
        >>> values.tolist(), odd.tolist()
        ([3.0, nan, nan], [False, False, True])
    """
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    odd = np.zeros(len(values), dtype=bool)
    # Few cells are left for the slow way.
    for place in np.flatnonzero(np.isnan(values)):
        measure = measure_of(column.iloc[place])
        odd[place] = measure is None
        values[place] = math.nan if measure is None else measure
    return values, odd
