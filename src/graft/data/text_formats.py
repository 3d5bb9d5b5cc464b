"""JSON Lines, JSON, CSV and TSV, parsed so strictly that no record is lost or bent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from graft.data.badrows import BadRow, shown


@dataclass(frozen=True, eq=False)
class Records:
    """What a parser found.

    Args:
        frame: The records that could be read.
        rows: [N] line or record number of each, from 1.
        bad: The records that could not be read.
        fatal: What is wrong with the file as a whole: (what, fix).
        notes: What a person should know about how it was read.
    """

    frame: pd.DataFrame
    rows: np.ndarray
    bad: tuple[BadRow, ...] = ()
    fatal: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def read_jsonl(text: str) -> Records:
    r"""Return one record per line that is not blank.

    Example:
        >>> records = read_jsonl('{"a": 1}\n\n{"a": 2}\n[3]\n')
        >>> records.rows.tolist(), records.bad[0].row
        ([1, 3], 4)
    """
    values: list[tuple[int, object]] = []
    bad = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append((number, _parse(line)))
        except (ValueError, RecursionError) as error:
            bad.append(BadRow(number, f"is not JSON: {error}", "write one JSON object per line"))
    return _objects(values, bad)


def read_json(text: str) -> Records:
    """Return the objects of a list, or of the only list in an object such as `{"data": […]}`.

    Example:
        >>> read_json('{"version": 1, "data": [{"a": 1}]}').frame["a"].tolist()
        [1]
    """
    try:
        value = _parse(text)
    except (ValueError, RecursionError) as error:
        return _broken(f"is not JSON: {error}", "mend it there, or name JSON Lines .jsonl")
    if isinstance(value, dict):
        lists = [key for key, item in value.items() if isinstance(item, list)]
        if len(lists) != 1:
            what = f"is an object with the keys {sorted(value)}, of which {lists} are lists"
            return _broken(what, "give a list of objects, or an object with one such list")
        value = value[lists[0]]
    if not isinstance(value, list):
        return _broken(f"is {shown(value)}", "give a list of objects")
    return _objects(list(enumerate(value, start=1)), [])


def read_csv(text: str) -> Records:
    r"""Return the records of comma-separated text with a header, quoted as in RFC 4180.

    Example:
        >>> records = read_csv('a,b\n1,"x, y"\n2\n')
        >>> records.frame["b"].tolist(), records.bad[0].row
        (['x, y'], 3)
    """
    return _separated(text, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def read_tsv(text: str) -> Records:
    r"""Return the records of tab-separated text with a header; quotation marks are characters.

    Example:
        >>> read_tsv('a\tb\n"1\t2\n').frame["a"].tolist()
        ['"1']
    """
    records = _separated(text, delimiter="\t", quoting=csv.QUOTE_NONE)
    quoted = sum(
        len(cell) > 1 and cell[0] == cell[-1] == '"'
        for column in records.frame.columns
        for cell in records.frame[column]
    )
    if not quoted:
        return records
    note = f"{quoted} cells begin and end with a quotation mark; in TSV it belongs to the text"
    return Records(records.frame, records.rows, records.bad, records.fatal, (note,))


def _separated(text: str, delimiter: str, quoting: Literal[0, 3]) -> Records:
    bad, cells, rows = [], [], []
    with _field_limit(len(text) + 1):
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True
        )
        try:
            header = next(reader)
            start = reader.line_num + 1
            for record in reader:
                if record and len(record) == len(header):
                    cells.append(record)
                    rows.append(start)
                elif record:
                    what = f"has {len(record)} cells where the header has {len(header)}"
                    bad.append(BadRow(start, what, "quote cells that hold the separator"))
                start = reader.line_num + 1
        except csv.Error as error:
            what = f"cannot be read from line {reader.line_num} on: {error}"
            return _broken(what, "close the quotes, and double a quotation mark inside quotes")
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        return _broken(f"has the columns {twice} more than once", "give each its own name")
    if not _is_text(header):
        return _broken(f"has column names that are not UTF-8: {header!r}", "save it as UTF-8")
    frame = pd.DataFrame(cells, columns=header, dtype=object)
    return Records(frame, np.asarray(rows, dtype=np.int64), tuple(bad))


@contextmanager
def _field_limit(size: int) -> Iterator[None]:
    # The csv module's own limit is global; ours (max_cell_bytes) names the row instead.
    before = csv.field_size_limit(size)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _objects(values: list[tuple[int, object]], bad: list[BadRow]) -> Records:
    kept = [(number, value) for number, value in values if isinstance(value, dict)]
    bad = bad + [
        BadRow(number, f"is {shown(value)}, not an object", 'write {"column": value, …}')
        for number, value in values
        if not isinstance(value, dict)
    ]
    names = dict.fromkeys(name for _, value in kept for name in value)
    if not _is_text(names):
        return _broken(f"has keys that are not UTF-8: {list(names)!r}", "save it as UTF-8")
    frame = pd.DataFrame([value for _, value in kept], dtype=object)
    rows = np.asarray([number for number, _ in kept], dtype=np.int64)
    return Records(frame, rows, tuple(bad))


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


def _broken(what: str, fix: str) -> Records:
    return Records(pd.DataFrame(), np.arange(0), fatal=((what, fix),))
