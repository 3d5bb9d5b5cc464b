"""Validation errors in the words of the person who wrote the recipe."""

from __future__ import annotations

import difflib
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

from graft.config.lines import KeyPath, LocatedYaml
from graft.config.recipe import Recipe
from graft.config.sections import ArmSection
from graft.core.errors import Problem


def recipe_problems(
    error: ValidationError, name: str, located: LocatedYaml, inherited: dict[KeyPath, KeyPath]
) -> list[Problem]:
    """Return one problem per mistake, with the line where it stands.

    A mistake in a section that several arms inherit is told once, where it was written.
    """
    problems: dict[str, tuple[int, Problem]] = {}
    for detail in error.errors(include_url=False):
        path = _written_path(tuple(detail["loc"]), inherited)
        line = located.line(path)
        key = ".".join(map(str, path)) or "recipe"
        where = f"{name} line {line}, {key}" if line else f"{name}, {key}"
        what, fix = _words(detail, path)
        problem = Problem(where, what, fix)
        problems.setdefault(str(problem), (line or 0, problem))
    return [problem for _, problem in sorted(problems.values(), key=lambda item: item[0])]


def _written_path(path: KeyPath, inherited: dict[KeyPath, KeyPath]) -> KeyPath:
    for length in range(len(path), 0, -1):
        if path[:length] in inherited:
            return (*inherited[path[:length]], *path[length:])
    return path


def _words(detail: Any, path: KeyPath) -> tuple[str, str]:
    received = detail.get("input")
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    match detail["type"]:
        case "extra_forbidden":
            known = known_keys(path[:-1])
            near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
            fix = f"did you mean '{near[0]}'?" if near else f"the keys here are {known}"
            return f"unknown key '{path[-1]}'", fix
        case "missing":
            return "is missing", f"add '{path[-1]}' to the recipe"
        case "value_error":
            return message, "change one of the two"
        case "literal_error":
            return f"received {received!r}", f"choose {detail['ctx']['expected']}"
        case _:
            return f"received {received!r}", message


def known_keys(path: KeyPath) -> list[str]:
    """Return the keys that a recipe may have at `path`.

    Example:
        >>> "num_train_epochs" in known_keys(("arms", "lora", "training"))
        True
    """
    model: Any = Recipe
    for part in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            model = _inner(model)
            continue
        fields = dict(model.model_fields)
        if model is Recipe:
            fields = {**ArmSection.model_fields, **fields}
        if part not in fields:
            return []
        model = _unwrap(fields[str(part)].annotation)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    keys = list(model.model_fields)
    if model is Recipe:
        keys += [key for key in ArmSection.model_fields if key not in keys and key != "title"]
    return keys


def _unwrap(annotation: Any) -> Any:
    members = [item for item in typing.get_args(annotation) if item is not type(None)]
    if typing.get_origin(annotation) in (dict, tuple):
        return annotation
    return members[0] if members else annotation


def _inner(annotation: Any) -> Any:
    members = typing.get_args(annotation)
    return members[1] if typing.get_origin(annotation) is dict else members[0]
