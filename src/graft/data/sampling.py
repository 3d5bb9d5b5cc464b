"""Fewer rows: so many of all, or a few of each class, so that what little data can do is measured.

Both are drawn by the seed alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from graft.core.errors import DataError, Problem
from graft.core.seeds import generator
from graft.data.splits import fill

_KEY = "recipe, data.max_rows"


def rows_per_class(rows: pd.DataFrame, few: int | None, seed: int) -> pd.DataFrame:
    """Return `few` rows of each class in their order; all if `few` is None, or a class has fewer.

    Samples are nested: the 5 rows of a class are among its 10, and do not depend on other classes.

    Args:
        rows: Rows with `label`.
        few: Rows of each class.
        seed: The experiment's seed.

    Example:
        >>> rows = pd.DataFrame({"row": list("abcdef"), "label": [0, 0, 0, 1, 1, 1]})
        >>> rows_per_class(rows, 2, seed=1)["label"].tolist()
        [0, 0, 1, 1]
    """
    if few is None:
        return rows
    kept: list[int] = []
    for label, part in rows.reset_index(drop=True).groupby("label", sort=True):
        order = generator(seed, "rows_per_class", str(label)).permutation(len(part))
        kept += part.index[order[:few]].tolist()
    return rows.iloc[sorted(kept)].reset_index(drop=True)


def drawn_rows(
    rows: pd.DataFrame, most: int, seed: int, *, by: str | None = None, whole: str | None = None
) -> np.ndarray:
    """Return the positions of at most `most` rows, ascending.

    Args:
        rows: Rows.
        most: Number of rows; all are taken if there are no more.
        seed: The experiment's seed.
        by: Column whose values keep their shares, each with one row at least.
        whole: Column whose values are taken with all of their rows or not at all; `by` then plays
            no part.

    Raises:
        DataError: `most` is less than the values of `by`, or than the rows of each of `whole`.

    Example:
        >>> rows = pd.DataFrame({"label": list("aaaaaaaab"), "group": list("xxxyyyzzz")})
        >>> rows["label"][drawn_rows(rows, 4, 1, by="label")].tolist()
        ['a', 'a', 'a', 'b']
        >>> rows["group"][drawn_rows(rows, 4, 1, whole="group")].nunique()
        1
    """
    if len(rows) <= most:
        return np.arange(len(rows))
    rng = generator(seed, "max_rows")
    if whole is not None:
        units = pd.factorize(rows[whole])[0]
        found = fill(units, np.arange(units.max() + 1), most, rng)
        if not len(found):
            what = f"is {most}, and the smallest {whole} has {np.bincount(units).min()} rows"
            raise DataError("data", [Problem(_KEY, what, "give a larger number")])
        return found
    if by is None:
        return np.sort(rng.permutation(len(rows))[:most])
    codes, values = pd.factorize(rows[by], sort=True)
    if len(values) > most:
        what = f"is {most}, and there are {len(values)} classes"
        raise DataError("data", [Problem(_KEY, what, "give at least one row of each class")])
    spare = np.bincount(codes) - 1
    # One row of each value, the others by cumulative rounding, which meets the whole exactly.
    shares = np.round(np.cumsum(spare) * (most - len(values)) / spare.sum()).astype(int)
    wanted = 1 + np.diff(shares, prepend=0)
    places = [np.flatnonzero(codes == code) for code in range(len(values))]
    kept = [rng.permutation(at)[:n] for at, n in zip(places, wanted.tolist(), strict=True)]
    return np.sort(np.concatenate(kept))
