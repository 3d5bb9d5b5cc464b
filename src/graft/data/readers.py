"""Tables from files: every record is read or named, none is lost on the way."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from graft.core.errors import DataError, Problem
from graft.data.badrows import BadRow, OnBadRows, listed, settle
from graft.data.formats import read_file, read_frame
from graft.data.text_formats import Records, UnreadableError

MAX_CELL_BYTES = 1_000_000
_PART = 16_384


@dataclass(frozen=True, eq=False)
class Table:
    """What a file holds, or a part of it.

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
    max_cell_bytes: int = MAX_CELL_BYTES,
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
    title = name or ("frame" if isinstance(source, pd.DataFrame) else source.name)
    parts = list(_parts(source, title, _PART, max_cell_bytes))
    notes = settle(title, [bad for part in parts for bad in part.bad], on_bad_rows)
    filled = [part for part in parts if len(part.frame)]
    if not filled:
        raise _no_rows(title, bool(notes))
    quoted = sum(part.quoted for part in parts)
    about = f"{quoted} cells begin and end with a quotation mark; in TSV it belongs to the text"
    return Table(
        frame=pd.concat([part.frame for part in filled], ignore_index=True),
        source_rows=np.concatenate([part.rows for part in filled]),
        name=title,
        notes=((f"{title}: {about}",) if quoted else ()) + notes,
    )


def read_parts(source: Path, rows: int, *, max_cell_bytes: int = MAX_CELL_BYTES) -> Iterator[Table]:
    """Yield the records of a file part by part, in order; what `read_table` returns at once.

    Memory is that of a part for JSON Lines, CSV, TSV, Parquet, Arrow and folders saved by
    `datasets`. A JSON file, and a packed Parquet or Arrow file, is held whole.

    Args:
        source: File or folder.
        rows: Most records of a part.
        max_cell_bytes: Longest cell that is taken, in bytes of UTF-8.

    Raises:
        DataError: As `read_table` with `stop`; records that cannot be used are named after the
            last part, all of them at once.
    """
    bad: list[BadRow] = []
    found = False
    for part in _parts(source, source.name, rows, max_cell_bytes):
        bad += part.bad
        if len(part.frame):
            found = True
            yield Table(part.frame, part.rows, source.name)
    if bad:
        raise DataError(source.name, listed(source.name, bad))
    if not found:
        raise _no_rows(source.name, False)


def _no_rows(name: str, dropped: bool) -> DataError:
    what = f"holds no rows{' that can be read' if dropped else ''}"
    return DataError(name, [Problem(name, what, "give a file with rows")])


def _parts(
    source: Path | pd.DataFrame, name: str, rows: int, max_cell_bytes: int
) -> Iterator[Records]:
    """Yield the good records of each part, those with a cell that cannot be used among the bad."""
    try:
        found: Iterable[Records] = (
            [read_frame(source)] if isinstance(source, pd.DataFrame) else read_file(source, rows)
        )
        for part in found:
            too_long, good = _cells(part, max_cell_bytes)
            yield replace(
                part,
                frame=part.frame[good].reset_index(drop=True),
                rows=part.rows[good],
                bad=(*part.bad, *too_long),
            )
    except UnreadableError as error:
        raise DataError(name, [Problem(name, error.what, error.fix)]) from None
    except FileNotFoundError as error:
        what = f"does not exist ({Path(error.filename).as_posix()})"
        raise DataError(name, [Problem(name, what, "correct the path")]) from None
    except (OSError, EOFError, zlib.error) as error:
        problem = Problem(name, f"cannot be read: {error}", "write the file again")
        raise DataError(name, [problem]) from None


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
