"""NumPy files: series `[N, T, C]`, and in an `.npz` what else is known of each of them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from graft.data.series import COLUMN, without_tail
from graft.data.text_formats import Records, UnreadableError

SERIES_KEYS = (COLUMN, "X", "x")
_FIX = f"write numpy.savez(file, {COLUMN}=[N, T, C], label=[N]) or numpy.save(file, [N, T, C])"


def read_arrays(path: Path, rows: int) -> Iterator[Records]:
    """Yield one record per series of an `.npy` or `.npz` file.

    An `.npy` file is one array of numbers `[N, T, C]`, or `[N, T]` of one channel. An `.npz` file
    has it under `series`, `X` or `x`; any other array `[N]` is a column under its key, such as
    `label` or `y`. NaN is a missing value; steps at the end that hold nothing but NaN are padding.

    Args:
        path: File.
        rows: Most records of a part.

    Raises:
        UnreadableError: It is no NumPy file without pickled objects, or not of that shape.
    """
    series, columns = _arrays(path)
    for start in range(0, len(series), rows):
        part = slice(start, start + rows)
        cells = [without_tail(np.asarray(one, dtype=np.float32)) for one in series[part]]
        frame = pd.DataFrame({COLUMN: pd.Series(cells, dtype=object)})
        for name, values in columns.items():
            frame[name] = pd.Series(values[part].tolist(), dtype=object)
        yield Records(frame, np.arange(start + 1, start + 1 + len(cells)))


def _arrays(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    try:
        with path.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            held = {COLUMN: found} if isinstance(found, np.ndarray) else dict(found)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        what = f"is no NumPy file of numbers and texts: {error}"
        raise UnreadableError(what, f"{_FIX}; arrays of objects are not read") from None
    keys = [key for key in SERIES_KEYS if key in held]
    if len(keys) != 1:
        what = f"has the arrays {sorted(held)}, of which {keys or 'none'} could be the series"
        raise UnreadableError(what, _FIX)
    series = held.pop(keys[0])
    series = series[:, :, None] if series.ndim == 2 else series
    if series.ndim != 3 or series.dtype.kind not in "fiub":
        what = f"holds series of shape {list(series.shape)} and type {series.dtype}"
        raise UnreadableError(what, _FIX)
    odd = {
        key: list(values.shape) for key, values in held.items() if values.shape != series.shape[:1]
    }
    if odd:
        what = f"holds {len(series)} series and other arrays of the shapes {odd}"
        raise UnreadableError(what, "give every other array one value for each series")
    return series, held
