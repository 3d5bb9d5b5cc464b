"""Rows to a file, part by part; the file is whole or absent."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graft.core.errors import InputError, Problem

Write = Callable[[pd.DataFrame], None]
ENDINGS = (".parquet", ".csv", ".jsonl")


@contextlib.contextmanager
def row_writer(target: Path, schema: pa.Schema | None) -> Iterator[Write]:
    """Yield a function that appends rows; only if the block succeeds do they become `target`.

    Args:
        target: A name that ends in one of `ENDINGS`.
        schema: Columns and their types, which a Parquet file needs before its first row.

    Raises:
        InputError: A row that the format cannot hold.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with _OPENERS[target.suffix.lower()](partial, schema) as write:
            yield _refusing(write, target)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def joint_schema(one: pa.Schema | None, rows: pd.DataFrame, name: str) -> pa.Schema:
    """Return the columns of `one` and of the rows, each with a type that holds both.

    Args:
        one: The schema of the rows before; None if these are the first.
        rows: More rows, cells as Python objects.
        name: Name of the file, for errors.

    Raises:
        InputError: A column holds values that no one type holds, such as numbers and texts.

    Example:
        >>> first = joint_schema(None, pd.DataFrame({"a": [1], "b": [None]}), "x.jsonl")
        >>> joint_schema(first, pd.DataFrame({"a": [0.5], "b": [True]}), "x.jsonl").types
        [DataType(double), DataType(bool)]
    """
    problems, fields = [], []
    for column in rows.columns:
        try:
            found = pa.schema([(column, pa.array(rows[column], from_pandas=True).type)])
            known = (
                [] if one is None or column not in one.names else [pa.schema([one.field(column)])]
            )
            fields += pa.unify_schemas([*known, found], promote_options="permissive")
        except (pa.ArrowException, OverflowError) as error:
            what = f"column '{column}' holds values of several kinds: {str(error)[:200]}"
            problems.append(Problem(name, what, "write .csv or .jsonl, which can hold them"))
    if problems:
        raise InputError("output", problems)
    merged = {field.name: field for field in [*(one or ()), *fields]}
    return pa.schema(list(merged.values()))


def _refusing(write: Write, target: Path) -> Write:
    def written(rows: pd.DataFrame) -> None:
        try:
            write(rows)
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            problem = Problem(str(target), f"cannot hold the rows: {error}", "write another format")
            raise InputError("output", [problem]) from None

    return written


@contextlib.contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with pq.ParquetWriter(path, schema) as writer:
        yield lambda rows: writer.write_table(
            pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
        )


@contextlib.contextmanager
def _csv(path: Path, _: pa.Schema | None) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        yield lambda rows: rows.to_csv(stream, index=False, header=stream.tell() == 0)


@contextlib.contextmanager
def _jsonl(path: Path, _: pa.Schema | None) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        yield lambda rows: rows.to_json(
            stream,
            orient="records",
            lines=True,
            force_ascii=False,
            date_format="iso",
            double_precision=15,
        )


_OPENERS: dict[str, Callable[[Path, Any], contextlib.AbstractContextManager[Write]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
}
