"""Tables from files: every record is read or named, none is lost on the way."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graft.core.errors import DataError, Problem
from graft.data.badrows import BadRow, OnBadRows, settle
from graft.data.text_formats import Records, read_csv, read_json, read_jsonl, read_tsv

TEXT_FORMATS: dict[str, Callable[[str], Records]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
}
FORMATS = "JSONL (.jsonl, .ndjson), JSON (.json), CSV (.csv), TSV (.tsv), Parquet (.parquet), \
Arrow (.arrow, .feather), each also .gz, or a folder saved by datasets"


@dataclass(frozen=True, eq=False)
class Table:
    """What a file holds.

    Args:
        frame: The records, cells as Python objects, index from 0.
        source_rows: [N] where each record stands: the line of a text file (a CSV header is line
            1), the record number of any other; from 1.
        name: Name of the file.
        notes: What a person should know about how it was read.
    """

    frame: pd.DataFrame
    source_rows: np.ndarray
    name: str
    notes: tuple[str, ...] = ()


def read_table(
    source: Path | pd.DataFrame,
    *,
    max_cell_bytes: int = 1_000_000,
    on_bad_rows: OnBadRows = "stop",
    name: str | None = None,
) -> Table:
    """Return the records of a file, of a folder saved by `datasets`, or of a frame.

    Text files are UTF-8, with or without a byte-order mark. TSV is read literally (a quotation
    mark is a character); CSV with quotes.

    Args:
        source: File, folder or frame.
        max_cell_bytes: Longest cell that is taken, in bytes of UTF-8.
        on_bad_rows: What to do with records that cannot be read.
        name: Name for errors and reports; the file's name if left out.

    Raises:
        DataError: Missing, empty, binary or broken file, unknown format, or (with `stop`) records
            that are broken, ragged, not UTF-8 or too long; all of them at once.

    Example:
        >>> read_table(pd.DataFrame({"a": ["x", "y"]})).source_rows.tolist()
        [1, 2]
    """
    if isinstance(source, pd.DataFrame):
        title = name or "frame"
        records = _from_frame(source)
    else:
        title = name or source.name
        records = _from_path(source, title)
    if records.fatal:
        raise DataError(title, [Problem(title, what, fix) for what, fix in records.fatal])
    too_long, good = _cells(records, max_cell_bytes)
    notes = settle(title, [*records.bad, *too_long], on_bad_rows)
    frame = records.frame[good].reset_index(drop=True)
    if frame.empty:
        what = f"holds no rows{' that can be read' if notes else ''}"
        raise DataError(title, [Problem(title, what, "give a file with rows")])
    said = (f"{title}: {note}" for note in records.notes)
    return Table(frame, records.rows[good], title, (*said, *notes))


def _from_frame(frame: pd.DataFrame) -> Records:
    rows = np.arange(1, len(frame) + 1)
    names = [str(column) for column in frame.columns]
    twice = sorted({column for column in names if names.count(column) > 1})
    records = Records(frame.astype(object).set_axis(names, axis=1).reset_index(drop=True), rows)
    if twice:
        fix = "give every column its own name"
        return replace(records, fatal=((f"has the columns {twice} more than once", fix),))
    return records


def _from_path(path: Path, name: str) -> Records:
    if path.is_dir():
        return _from_folder(path, name)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = next(iter(suffixes[-2:-1] if packed else suffixes[-1:]), "")
    if kind not in (*TEXT_FORMATS, ".parquet", ".arrow", ".feather"):
        return _refuse(f"has the unknown format '{kind}'", f"use one of: {FORMATS}")
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if packed else data
    except FileNotFoundError:
        return _refuse(f"does not exist ({path.as_posix()})", "correct the path")
    except (OSError, EOFError, zlib.error) as error:
        return _refuse(f"cannot be read: {error}", "write the file again")
    if kind in TEXT_FORMATS:
        return _from_text(data, kind)
    return _from_arrow(data, kind)


def _from_text(data: bytes, kind: str) -> Records:
    if b"\0" in data:
        fix = f"save it as UTF-8 text, or give the file its true ending: {FORMATS}"
        return _refuse(f"is not text although it ends in '{kind}': it holds NUL bytes", fix)
    # Bytes that are no UTF-8 become lone surrogates here and are named row by row later.
    text = data.decode("utf-8-sig", errors="surrogateescape")
    if not text.strip():
        return _refuse("is empty", "give a file with rows")
    return TEXT_FORMATS[kind](text)


def _from_arrow(data: bytes, kind: str) -> Records:
    try:
        if kind == ".parquet":
            table = pq.read_table(pa.BufferReader(data))
        else:
            # Arrow files carry a magic number; what lacks it is a stream (datasets writes those).
            is_file = data[:6] == b"ARROW1"
            reader = pa.ipc.open_file(data) if is_file else pa.ipc.open_stream(data)
            table = reader.read_all()
    except (pa.ArrowInvalid, OSError) as error:
        return _refuse(f"is no whole {kind} file: {error}", "write the file again")
    return _from_frame(table.to_pandas())


def _from_folder(folder: Path, name: str) -> Records:
    if (folder / "dataset_dict.json").is_file():
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
        return _refuse(f"holds the splits {names}", f"name one of them, such as {name}/{names[0]}")
    state = folder / "state.json"
    if not state.is_file():
        return _refuse("is a folder that datasets did not save", f"name a file: {FORMATS}")
    try:
        files = [entry["filename"] for entry in json.loads(state.read_bytes())["_data_files"]]
        parts = [_from_arrow((folder / Path(file).name).read_bytes(), ".arrow") for file in files]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _refuse(f"cannot be read: {error!r}", "save the data set again")
    broken = tuple(problem for part in parts for problem in part.fatal)
    if broken or not parts:
        return replace(_refuse("holds no data files", "save the data set again"), fatal=broken)
    return _from_frame(pd.concat([part.frame for part in parts], ignore_index=True))


def _refuse(what: str, fix: str) -> Records:
    return Records(pd.DataFrame(), np.arange(0), fatal=((what, fix),))


def _cells(records: Records, max_cell_bytes: int) -> tuple[list[BadRow], np.ndarray]:
    """Return the rows with a cell that is too long or not UTF-8, and which rows are good."""
    bad, good = [], np.ones(len(records.frame), dtype=bool)
    for column in records.frame.columns:
        for index, value in enumerate(records.frame[column]):
            if not isinstance(value, str):
                continue
            row = int(records.rows[index])
            try:
                size = len(value.encode("utf-8"))
            except UnicodeEncodeError as error:
                what = f"column '{column}' is not UTF-8 at character {error.start + 1}"
                bad.append(BadRow(row, what, "save the file as UTF-8"))
                good[index] = False
                continue
            if size > max_cell_bytes:
                what = f"column '{column}' holds {size:,} bytes, more than {max_cell_bytes:,}"
                bad.append(BadRow(row, what, "shorten it or raise data.max_cell_bytes"))
                good[index] = False
    return bad, good
