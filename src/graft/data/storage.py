"""A data set as one Parquet file, rows and meaning together."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graft.core.errors import DataError, Problem
from graft.core.facts import RowFacts
from graft.core.jsonable import from_plain, to_plain
from graft.data.dataset import Dataset
from graft.data.series import COLUMN

KEY = b"graft.dataset"


def save_splits(dataset: Dataset, path: Path) -> None:
    """Write the data set as Parquet; a reader sees the old file or the new one, never a half."""
    meaning = {
        "columns": dataset.columns,
        "slices": dataset.slices,
        "ignored": dataset.ignored,
        "split_method": dataset.split_method,
        "facts": to_plain(dataset.facts),
        "notes": dataset.notes,
    }
    table = _table(dataset.frame)
    metadata = {**(table.schema.metadata or {}), KEY: json.dumps(meaning).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    pq.write_table(table.replace_schema_metadata(metadata), partial)
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(path)


def load_splits(path: Path) -> Dataset:
    """Return the data set that `save_splits` wrote.

    Raises:
        DataError: The file is missing, damaged or was written by something else.
    """
    fix = "run the data stage again"
    try:
        table = pq.read_table(path)
        meaning = json.loads((table.schema.metadata or {})[KEY])
        facts = from_plain(RowFacts, meaning["facts"])
    except FileNotFoundError:
        problem = Problem(str(path), "does not exist", fix)
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
        problem = Problem(str(path), f"is no data set that was saved: {error!r}", fix)
    else:
        return Dataset(
            frame=_frame(table),
            columns=meaning["columns"],
            slices=tuple(meaning["slices"]),
            ignored=tuple(meaning["ignored"]),
            split_method=meaning["split_method"],
            facts=facts,
            notes=tuple(meaning["notes"]),
        )
    raise DataError("data set", [problem])


def _table(frame: pd.DataFrame) -> pa.Table:
    """Return the frame as a table, its series as lists of time steps."""
    if COLUMN not in frame:
        return pa.Table.from_pandas(frame, preserve_index=False)
    table = pa.Table.from_pandas(frame.drop(columns=COLUMN), preserve_index=False)
    return table.append_column(COLUMN, _lists(frame[COLUMN].tolist()))


def _lists(series: list[np.ndarray]) -> pa.Array:
    # Offsets over one flat array: nothing is copied value by value.
    starts = np.cumsum([0, *map(len, series)])
    flat = np.concatenate(series) if series else np.empty((0, 1), np.float32)
    steps = pa.FixedSizeListArray.from_arrays(
        pa.array(flat.ravel(), pa.float32()), int(flat.shape[1])
    )
    return pa.LargeListArray.from_arrays(pa.array(starts, pa.int64()), steps)


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return the table as a frame, its series as arrays [time, channels]."""
    if COLUMN not in table.column_names:
        whole: pd.DataFrame = table.to_pandas()
        return whole
    series = [found for part in table[COLUMN].chunks for found in _arrays(part)]
    frame: pd.DataFrame = table.drop_columns(COLUMN).to_pandas()
    return frame.assign(**{COLUMN: pd.Series(series, index=frame.index, dtype=object)})


def _arrays(part: pa.Array) -> list[np.ndarray]:
    channels = part.type.value_type.list_size
    flat = part.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, channels)
    offsets = part.offsets.to_numpy()
    return np.split(flat.copy(), (offsets - offsets[0])[1:-1])
