"""Files of every format, opened and read part by part."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graft.data.array_files import read_arrays
from graft.data.text_formats import (
    Records,
    UnreadableError,
    read_csv,
    read_json,
    read_jsonl,
    read_tsv,
)
from graft.data.ts_format import read_ts


class TextFormat(NamedTuple):
    """How a text file is cut into lines, and who makes records of them."""

    newline: str
    parse: Callable[[Iterable[str], int], Iterator[Records]]


TEXT_FORMATS: dict[str, TextFormat] = {
    ".jsonl": TextFormat("\n", read_jsonl),
    ".ndjson": TextFormat("\n", read_jsonl),
    ".json": TextFormat("\n", read_json),
    ".csv": TextFormat("", read_csv),
    ".tsv": TextFormat("", read_tsv),
    ".ts": TextFormat("\n", read_ts),
}
FORMATS = "JSONL (.jsonl, .ndjson), JSON (.json), CSV (.csv), TSV (.tsv), Parquet (.parquet), \
Arrow (.arrow, .feather), series (.ts), each also .gz, NumPy (.npz, .npy), or a folder saved by \
datasets"


def read_file(path: Path, rows: int) -> Iterator[Records]:
    """Yield the records of a file or of a folder saved by `datasets`, part by part.

    Args:
        path: File or folder.
        rows: Most records of a part.

    Raises:
        UnreadableError: The format is unknown, or the file as a whole is broken.
        OSError: It is missing or cannot be read; a packed one also `EOFError` and `zlib.error`.
    """
    if path.is_dir():
        return _from_folder(path, rows)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = next(iter(suffixes[-2:-1] if packed else suffixes[-1:]), "")
    if kind in TEXT_FORMATS:
        return _from_text(path, kind, packed, rows)
    if kind in (".parquet", ".arrow", ".feather"):
        return _from_arrow(path, kind, packed, rows)
    if kind in (".npz", ".npy") and not packed:
        return read_arrays(path, rows)
    raise UnreadableError(f"has the unknown format '{kind}'", f"use one of: {FORMATS}")


def read_frame(frame: pd.DataFrame, before: int = 0) -> Records:
    """Return the frame's rows as records, numbered from the one after `before`."""
    names = [str(column) for column in frame.columns]
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        what = f"has the columns {twice} more than once"
        raise UnreadableError(what, "give every column its own name")
    rows = np.arange(before + 1, before + 1 + len(frame))
    return Records(frame.astype(object).set_axis(names, axis=1).reset_index(drop=True), rows)


def _from_text(path: Path, kind: str, packed: bool, rows: int) -> Iterator[Records]:
    form = TEXT_FORMATS[kind]
    opened: Callable[..., Any] = partial(gzip.open, path, "rt") if packed else path.open
    # Bytes that are no UTF-8 become lone surrogates here and are named row by row later.
    with opened(encoding="utf-8-sig", errors="surrogateescape", newline=form.newline) as stream:
        yield from form.parse(_lines(stream, kind), rows)


def _lines(stream: Iterable[str], kind: str) -> Iterator[str]:
    empty = True
    for line in stream:
        if "\0" in line:
            what = f"is not text although it ends in '{kind}': it holds NUL bytes"
            fix = f"save it as UTF-8 text, or give the file its true ending: {FORMATS}"
            raise UnreadableError(what, fix)
        empty = empty and not line.strip()
        yield line
    if empty:
        raise UnreadableError("is empty", "give a file with rows")


def _from_arrow(
    path: Path, kind: str, packed: bool, rows: int, before: int = 0
) -> Iterator[Records]:
    with path.open("rb") as stream:
        # Parquet is read from its end on, which a packed file does not allow.
        whole = pa.BufferReader(gzip.decompress(stream.read())) if packed else None
        try:
            for batch in _batches(whole or pa.PythonFile(stream, mode="r"), kind, rows):
                # Whole numbers stay whole, whichever parts of their column have gaps.
                part = read_frame(batch.to_pandas(integer_object_nulls=True), before)
                before += len(part.rows)
                yield part
        except (pa.ArrowInvalid, OSError) as error:
            what = f"is no whole {kind} file: {error}"
            raise UnreadableError(what, "write the file again") from None


def _batches(file: pa.NativeFile, kind: str, rows: int) -> Iterator[pa.RecordBatch]:
    if kind == ".parquet":
        # Without a buffer size a whole row group would be fetched at once.
        yield from pq.ParquetFile(file, buffer_size=1 << 16).iter_batches(rows)
        return
    # Arrow files carry a magic number; what lacks it is a stream (datasets writes those).
    is_file = file.read(6) == b"ARROW1"
    file.seek(0)
    if is_file:
        reader = pa.ipc.open_file(file)
        found = (reader.get_batch(index) for index in range(reader.num_record_batches))
    else:
        found = iter(pa.ipc.open_stream(file))
    for batch in found:
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _from_folder(folder: Path, rows: int) -> Iterator[Records]:
    if (folder / "dataset_dict.json").is_file():
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
        fix = f"name one of them, such as {folder.name}/{names[0]}"
        raise UnreadableError(f"holds the splits {names}", fix)
    state = folder / "state.json"
    if not state.is_file():
        what = "is a folder that datasets did not save"
        raise UnreadableError(what, f"name a file: {FORMATS}")
    fix = "save the data set again"
    try:
        files = [entry["filename"] for entry in json.loads(state.read_bytes())["_data_files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"cannot be read: {error!r}", fix) from None
    if not files:
        raise UnreadableError("holds no data files", fix)
    before = 0
    for file in files:
        for part in _from_arrow(folder / Path(file).name, ".arrow", False, rows, before):
            before += len(part.rows)
            yield part
