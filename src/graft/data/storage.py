"""A data set as one Parquet file, rows and meaning together."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from graft.core.errors import DataError, Problem
from graft.core.facts import RowFacts
from graft.core.jsonable import from_plain, to_plain
from graft.data.dataset import Dataset

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
    table = pa.Table.from_pandas(dataset.frame, preserve_index=False)
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
            frame=table.to_pandas(),
            columns=meaning["columns"],
            slices=tuple(meaning["slices"]),
            ignored=tuple(meaning["ignored"]),
            split_method=meaning["split_method"],
            facts=facts,
            notes=tuple(meaning["notes"]),
        )
    raise DataError("data set", [problem])
