"""JSON Lines, JSON, CSV and TSV, parsed so strictly that no record is lost or bent.

A parser takes lines and yields the records part by part, so that a file of any length fits.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import pandas as pd

from graft.data.badrows import BadRow, shown

T = TypeVar("T")
# A C long of 32 bits holds it on every system.
_NO_LIMIT = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Records:
    """Part of what a parser found.

    Args:
        frame: The records that could be read.
        rows: [N] line or record number of each, from 1.
        bad: The records that could not be read.
        quoted: Cells of a TSV file that begin and end with a quotation mark.
    """

    frame: pd.DataFrame
    rows: np.ndarray
    bad: tuple[BadRow, ...] = ()
    quoted: int = 0


class UnreadableError(Exception):
    """The file as a whole cannot be used; whoever knows its name says so."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def read_jsonl(lines: Iterable[str], rows: int) -> Iterator[Records]:
    r"""Yield one record per line that is not blank.

    Args:
        lines: Lines, split at `\n` alone.
        rows: Most records of a part.

    Raises:
        UnreadableError: A key is not UTF-8.

    Example:
        >>> parts = list(read_jsonl(['{"a": 1}\n', "\n", '{"a": 2}\n', "[3]\n"], rows=2))
        >>> [part.rows.tolist() for part in parts], parts[1].bad[0].row
        ([[1, 3], []], 4)
    """
    numbered = (pair for pair in enumerate(lines, start=1) if pair[1].strip())
    for part in _parts(numbered, rows):
        values: list[tuple[int, object]] = []
        bad = []
        for number, line in part:
            try:
                values.append((number, _parse(line)))
            except (ValueError, RecursionError) as error:
                what = f"is not JSON: {error}"
                bad.append(BadRow(number, what, "write one JSON object per line"))
        yield _objects(values, bad)


def read_json(lines: Iterable[str], rows: int) -> Iterator[Records]:
    """Yield the objects of a list, or of the only list in an object such as `{"data": […]}`.

    The file is read whole: where an object ends is known only at the end.

    Args:
        lines: The text, in pieces of any length.
        rows: Most records of a part.

    Raises:
        UnreadableError: It is no JSON, holds no such list, or a key is not UTF-8.

    Example:
        >>> next(read_json(['{"version": 1, "data": [{"a": 1}]}'], rows=2)).frame["a"].tolist()
        [1]
    """
    try:
        value = _parse("".join(lines))
    except (ValueError, RecursionError) as error:
        fix = "mend it there, or name JSON Lines .jsonl"
        raise UnreadableError(f"is not JSON: {error}", fix) from None
    if isinstance(value, dict):
        lists = [key for key, item in value.items() if isinstance(item, list)]
        if len(lists) != 1:
            what = f"is an object with the keys {sorted(value)}, of which {lists} are lists"
            raise UnreadableError(what, "give a list of objects, or an object with one such list")
        value = value[lists[0]]
    if not isinstance(value, list):
        raise UnreadableError(f"is {shown(value)}", "give a list of objects")
    for part in _parts(enumerate(value, start=1), rows):
        yield _objects(part, [])


def read_csv(lines: Iterable[str], rows: int) -> Iterator[Records]:
    r"""Yield the records of comma-separated text with a header, quoted as in RFC 4180.

    Args:
        lines: Lines with their ends as in the file.
        rows: Most records of a part.

    Raises:
        UnreadableError: A quote is never closed, or the header is not UTF-8 or names a column
            twice.

    Example:
        >>> part = next(read_csv(["a,b\n", '1,"x, y"\n', "2\n"], rows=9))
        >>> part.frame["b"].tolist(), part.bad[0].row
        (['x, y'], 3)
    """
    return _separated(lines, rows, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def read_tsv(lines: Iterable[str], rows: int) -> Iterator[Records]:
    r"""Yield the records of tab-separated text with a header; quotation marks are characters.

    Args:
        lines: Lines with their ends as in the file.
        rows: Most records of a part.

    Raises:
        UnreadableError: The header is not UTF-8 or names a column twice.

    Example:
        >>> next(read_tsv(["a\tb\n", '"1\t2\n'], rows=9)).frame["a"].tolist()
        ['"1']
    """
    for part in _separated(lines, rows, delimiter="\t", quoting=csv.QUOTE_NONE):
        cells = (cell for column in part.frame.columns for cell in part.frame[column])
        quoted = sum(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)
        yield Records(part.frame, part.rows, part.bad, quoted)


def _separated(
    lines: Iterable[str], rows: int, delimiter: str, quoting: Literal[0, 3]
) -> Iterator[Records]:
    records = _numbered(lines, delimiter, quoting)
    _, header = _taken(records, 1)[0]
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        what = f"has the columns {twice} more than once"
        raise UnreadableError(what, "give each its own name")
    if not _is_text(header):
        what = f"has column names that are not UTF-8: {header!r}"
        raise UnreadableError(what, "save it as UTF-8")
    while part := _taken(records, rows):
        good = [(row, record) for row, record in part if record and len(record) == len(header)]
        bad = [
            BadRow(
                row,
                f"has {len(record)} cells where the header has {len(header)}",
                "quote cells that hold the separator",
            )
            for row, record in part
            if record and len(record) != len(header)
        ]
        frame = pd.DataFrame([record for _, record in good], columns=header, dtype=object)
        yield Records(frame, _numbers([row for row, _ in good]), tuple(bad))


def _numbered(
    lines: Iterable[str], delimiter: str, quoting: Literal[0, 3]
) -> Iterator[tuple[int, list[str]]]:
    """Yield every record with the line that it begins in."""
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = f"cannot be read from line {reader.line_num} on: {error}"
            fix = "close the quotes, and double a quotation mark inside quotes"
            raise UnreadableError(what, fix) from None
        yield start, record


def _taken(records: Iterator[T], count: int) -> list[T]:
    with _no_field_limit():
        return list(itertools.islice(records, count))


@contextmanager
def _no_field_limit() -> Iterator[None]:
    # The csv module's own limit is global; ours (max_cell_bytes) names the row instead.
    before = csv.field_size_limit(_NO_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while part := list(itertools.islice(iterator, size)):
        yield part


def _objects(values: list[tuple[int, object]], bad: list[BadRow]) -> Records:
    kept = [(number, value) for number, value in values if isinstance(value, dict)]
    bad = bad + [
        BadRow(number, f"is {shown(value)}, not an object", 'write {"column": value, …}')
        for number, value in values
        if not isinstance(value, dict)
    ]
    names = dict.fromkeys(name for _, value in kept for name in value)
    if not _is_text(names):
        what = f"has keys that are not UTF-8: {list(names)!r}"
        raise UnreadableError(what, "save it as UTF-8")
    frame = pd.DataFrame([value for _, value in kept], dtype=object)
    return Records(frame, _numbers([number for number, _ in kept]), tuple(bad))


def _numbers(rows: list[int]) -> np.ndarray:
    return np.asarray(rows, dtype=np.int64)


def _parse(text: str) -> object:
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} stands twice")
    return record


def _is_text(names: Iterable[str]) -> bool:
    """Return False if a name holds half of a surrogate pair, as undecodable bytes do."""
    return not any("\ud800" <= char <= "\udfff" for name in names for char in name)
