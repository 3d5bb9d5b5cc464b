"""`.ts` files of the UCR and UEA archives: a header of directives, then one series a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from graft.data.badrows import BadCell, BadRow, shown
from graft.data.series import COLUMN, side_by_side
from graft.data.text_formats import Records, UnreadableError

_MISSING = ("?", "nan", "")
_FLAGS = ("timestamps", "missing", "univariate", "equallength")


@dataclass(frozen=True)
class Header:
    """What the directives say.

    Args:
        labelled: True if the last part of a line is the name of its class.
        classes: Names of the classes; empty if any name will do.
        channels: Number of channels, None if the header does not say.
        steps: Time steps of every series, None if lengths may differ.
    """

    labelled: bool = False
    classes: tuple[str, ...] = ()
    channels: int | None = None
    steps: int | None = None


def read_ts(lines: Iterable[str], rows: int) -> Iterator[Records]:
    r"""Yield one record per line of data: `series`, and `label` if the file has classes.

    Channels are parted by `:`, values by `,`; `?` and `NaN` are missing values.

    Args:
        lines: Lines, split at `\n` alone.
        rows: Most records of a part.

    Raises:
        UnreadableError: The header is incomplete, contradicts itself or asks for what is not read.

    Example:
        >>> text = ["@univariate false\n", "@classLabel true up down\n", "@data\n", "1,?:3,4:up\n"]
        >>> part = next(read_ts(text, rows=9))
        >>> part.frame["series"][0].tolist(), part.frame["label"][0], part.rows.tolist()
        ([[1.0, 3.0], [nan, 4.0]], 'up', [4])
    """
    numbered = enumerate(lines, start=1)
    header = _header(numbered)
    data = ((row, line.strip()) for row, line in numbered)
    kept = ((row, line) for row, line in data if line and not line.startswith(("#", "%")))
    while part := list(islice(kept, rows)):
        yield _records(part, header)


def _header(numbered: Iterator[tuple[int, str]]) -> Header:
    given: dict[str, list[str]] = {}
    for row, line in numbered:
        name, *words = line.split() or [""]
        if name.lower() == "@data":
            return _checked(given)
        if name.startswith("@"):
            given[name[1:].lower()] = words
        elif name and not name.startswith(("#", "%")):
            what = f"line {row} stands before @data and is no directive: {shown(line.strip())}"
            raise UnreadableError(what, "begin the data with a line @data")
    raise UnreadableError("has no line @data", "give a whole .ts file")


def _checked(given: dict[str, list[str]]) -> Header:
    for name in (*_FLAGS, "classlabel", "targetlabel"):
        if name in given and (given[name] or [""])[0].lower() not in ("true", "false"):
            what = f"@{name} says {' '.join(given[name])!r}, not true or false"
            raise UnreadableError(what, "correct the header")
    if _true(given, "timestamps"):
        what = "has @timeStamps true: values with their times are not read from .ts files"
        raise UnreadableError(what, "write it as a long table: item_id, timestamp, channels, label")
    if _true(given, "targetlabel"):
        what = "has @targetLabel true: a number to predict, not a class"
        raise UnreadableError(what, "give a file with @classLabel true, or one without labels")
    channels = _number(given, "dimensions", "dimension")
    if _true(given, "univariate"):
        if channels not in (None, 1):
            what = f"has @univariate true and {channels} dimensions"
            raise UnreadableError(what, "correct the header")
        channels = 1
    equal = _true(given, "equallength")
    return Header(
        labelled=_true(given, "classlabel"),
        classes=tuple(given.get("classlabel", ())[1:]),
        channels=channels,
        steps=_number(given, "serieslength") if equal else None,
    )


def _true(given: dict[str, list[str]], name: str) -> bool:
    return (given.get(name) or ["false"])[0].lower() == "true"


def _number(given: dict[str, list[str]], *names: str) -> int | None:
    for name in names:
        words = given.get(name)
        if words is None:
            continue
        if len(words) != 1 or not words[0].isdigit():
            what = f"@{name} says {' '.join(words)!r}, not a whole number"
            raise UnreadableError(what, "correct the header")
        return int(words[0])
    return None


def _records(part: list[tuple[int, str]], header: Header) -> Records:
    series, labels, rows, bad = [], [], [], []
    for row, line in part:
        pieces = line.split(":")
        label = pieces.pop().strip() if header.labelled else ""
        found = _series(pieces, header)
        if not isinstance(found, BadCell) and header.classes and label not in header.classes:
            what = f"ends in the class {label!r}, which @classLabel does not name"
            found = BadCell(what, f"the classes are {list(header.classes[:20])}")
        if isinstance(found, BadCell):
            bad.append(BadRow(row, found.what, found.fix))
            continue
        series.append(found)
        labels.append(label)
        rows.append(row)
    frame = pd.DataFrame({COLUMN: pd.Series(series, dtype=object)})
    if header.labelled:
        frame["label"] = pd.Series(labels, dtype=object)
    return Records(frame, np.asarray(rows, dtype=np.int64), tuple(bad))


def _series(pieces: list[str], header: Header) -> np.ndarray | BadCell:
    channels = []
    if header.channels is not None and len(pieces) != header.channels:
        label = " and a class" if header.labelled else ""
        what = f"has {len(pieces)} channels, the header says {header.channels}"
        return BadCell(what, f"write {header.channels} channels{label}, parted by ':'")
    for place, piece in enumerate(pieces, start=1):
        values = piece.split(",")
        words = ["nan" if value.strip().lower() in _MISSING else value for value in values]
        try:
            channels.append(np.array(words, dtype=np.float64))
        except ValueError:
            odd = next(value for value in words if not _is_number(value))
            return BadCell(
                f"channel {place} holds {shown(odd)}", "write a number, or ? if it lacks"
            )
    found = side_by_side(channels, [f"channel_{place + 1}" for place in range(len(channels))])
    if not isinstance(found, BadCell) and header.steps not in (None, len(found)):
        what = f"has {len(found)} time steps, the header says {header.steps}"
        return BadCell(what, "correct the line, or write @equalLength false")
    return found


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
