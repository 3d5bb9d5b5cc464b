"""Files that are whole or absent: atomic writes, folders committed by rename, hashes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from graft.core.errors import Problem, RunFolderError
from graft.core.jsonable import dumps, from_plain, to_plain

MANIFEST = "MANIFEST.sha256"
T = TypeVar("T")


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """Return the SHA-256 of the text's UTF-8 bytes as 64 hex digits.

    Example:
        >>> sha256_text("graft")[:8]
        '4e762e99'
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write a result type (or plain mapping) as indented JSON, atomically."""
    write_text(path, dumps(value))


def read_json(path: Path, kind: type[T]) -> T:
    """Return the result type that `write_json` wrote.

    Raises:
        RunFolderError: The file is missing, is not JSON, or does not fit `kind`.
    """
    try:
        return from_plain(kind, json.loads(path.read_text(encoding="utf-8")), path.name)
    except FileNotFoundError:
        problem = Problem(str(path), "the file is missing", "run the stage that writes it")
    except (ValueError, UnicodeDecodeError) as error:
        problem = Problem(str(path), f"cannot be read as {kind}: {error}", "run the stage again")
    raise RunFolderError("run folder", [problem])


def append_jsonl(path: Path, record: dict[str, Any]) -> None:
    """Append one record as one line of JSON.

    A line can be torn when the machine dies; `read_jsonl` leaves such a line out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(json.dumps(to_plain(record), ensure_ascii=False) + "\n")


def append_durably(path: Path, record: dict[str, Any]) -> None:
    """Append one record as one line of JSON, in one write that is on disk when this returns.

    Several processes may append to one file. What a machine that died left of a line stays a line
    of its own, and no later record is lost with it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(to_plain(record), ensure_ascii=False) + "\n"
    with path.open("ab+", buffering=0) as stream:
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            line = line if stream.read(1) == b"\n" else f"\n{line}"
        stream.write(line.encode("utf-8"))
        os.fsync(stream.fileno())


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file written by `append_jsonl`; a torn last line is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


@contextlib.contextmanager
def committed_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target`, with a manifest, only if the block succeeds.

    Every file is hashed into `MANIFEST.sha256` and flushed before the rename, so a folder with
    the final name is complete. A folder of that name that exists already is replaced.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        write_manifest(partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if target.exists():
        shutil.rmtree(target)
    partial.replace(target)
    _sync(target.parent)


def write_manifest(folder: Path) -> None:
    """Hash every file below `folder` into its manifest and flush each one to disk."""
    lines = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            _sync(path)
            lines.append(f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n")
    write_text(folder / MANIFEST, "".join(lines))


def manifest_problems(folder: Path) -> list[Problem]:
    """Return what differs between `folder` and its manifest; empty when it verifies."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return [Problem(str(folder), f"has no {MANIFEST}", "write the folder again")]
    problems = []
    for line in manifest.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file():
            problems.append(Problem(str(path), "is missing", "write the folder again"))
        elif sha256_file(path) != digest:
            problems.append(Problem(str(path), "differs from its hash", "write the folder again"))
    return problems


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
