"""Frozen dataclasses to JSON and back, strictly: no unknown key, no NaN, no lost type."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def to_plain(value: object, where: str = "value") -> Any:
    """Return `value` as JSON types.

    Args:
        value: Dataclass, enum, mapping, sequence, number, string, path or None.
        where: Name of the value, for the error.

    Raises:
        TypeError: A value of another type, or a number that is NaN or infinite.

    Example:
        >>> to_plain({"a": (1, 2.5)})
        {'a': [1, 2.5]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name), f"{where}.{field.name}")
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): to_plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{where} is {value}: a result is a finite number or None, never {value}")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}, which has no JSON form")


def from_plain(kind: type[T], plain: object, where: str = "value") -> T:
    """Return the `kind` that `to_plain` wrote.

    Raises:
        ValueError: Missing or unknown key, or a value of the wrong type; names the place.

    Example:
        >>> from_plain(tuple[int, ...], [1, 2])
        (1, 2)
    """
    return typing.cast(T, _read(kind, plain, where))


def _read(kind: Any, plain: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any or kind is object:
        return plain
    if origin in (types.UnionType, typing.Union):
        return _read_union(kind, plain, where)
    if origin in (tuple, list):
        item_kind = typing.get_args(kind)[0]
        _expect(plain, list, where)
        return origin(_read(item_kind, item, f"{where}[{i}]") for i, item in enumerate(plain))
    if origin is dict:
        _expect(plain, dict, where)
        item_kind = typing.get_args(kind)[1]
        return {key: _read(item_kind, item, f"{where}.{key}") for key, item in plain.items()}
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, plain, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    _expect(plain, kind, where)
    return plain


def _read_union(kind: Any, plain: Any, where: str) -> Any:
    if plain is None:
        return None
    members = [member for member in typing.get_args(kind) if member is not type(None)]
    for member in members:
        if isinstance(member, type) and type(plain) is member:
            return plain
    return _read(members[0], plain, where)


def _read_dataclass(kind: Any, plain: Any, where: str) -> Any:
    _expect(plain, dict, where)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(plain) - set(fields))
    required = {
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    missing = sorted(required - set(plain))
    if unknown or missing:
        raise ValueError(f"{where} ({kind.__name__}): unknown keys {unknown}, missing {missing}")
    return kind(**{name: _read(hints[name], plain[name], f"{where}.{name}") for name in plain})


def _expect(plain: Any, kind: type, where: str) -> None:
    if not isinstance(plain, kind) or (isinstance(plain, bool) and kind is int):
        raise ValueError(f"{where}: expected {kind.__name__}, received {plain!r}")


def dumps(value: object) -> str:
    """Return `value` as indented JSON with a final newline.

    Example:
        >>> print(dumps({"n": 1}), end="")
        {
          "n": 1
        }
    """
    return json.dumps(to_plain(value), indent=2, ensure_ascii=False) + "\n"
