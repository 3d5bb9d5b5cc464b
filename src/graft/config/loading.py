"""From YAML and `--set` to a `Recipe`, with every problem at once and every value's origin."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from graft.config.lines import KeyPath, LocatedYaml, parse
from graft.config.options import DEFAULT, options_asked
from graft.config.problems import recipe_problems
from graft.config.recipe import Recipe
from graft.config.sections import ArmSection
from graft.config.unread import FOR_ALL_ARMS, unread_options
from graft.core.errors import Problem, RecipeError
from graft.core.files import sha256_text

ARM_DEFAULTS = tuple(key for key in ArmSection.model_fields if key != "title")


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe and where it came from.

    Args:
        recipe: The recipe.
        origins: For each dotted key: `line 12`, `line 3 (for all arms)`, `--set` or `default`.
        folder: Folder of the recipe file; relative data paths are looked for there first.
    """

    recipe: Recipe
    origins: dict[str, str]
    folder: Path

    @property
    def text(self) -> str:
        """The resolved recipe as YAML; loading it again gives the same recipe."""
        return yaml.safe_dump(self.recipe.model_dump(mode="json"), sort_keys=False)

    @property
    def sha256(self) -> str:
        """Hash of the resolved recipe."""
        return sha256_text(self.text)


def load_recipe(
    source: Path | str | Mapping[str, Any], overrides: Iterable[str] = ()
) -> LoadedRecipe:
    """Return the recipe in `source` with `overrides` applied.

    Args:
        source: Path of a YAML file, or its content as a mapping.
        overrides: `key=value` with a dotted key, the value in YAML.

    Raises:
        RecipeError: Every problem of the recipe, each with line and fix.

    Example:
        >>> plain = {"name": "x", "data": {"train": "t.csv"}, "arms": {"lora": {"method": "lora"}}}
        >>> load_recipe(plain, ["training.num_train_epochs=2"]).recipe.arms["lora"].method
        'lora'
    """
    located, name, folder = _read(source)
    origins: dict[KeyPath, str] = {path: f"line {line}" for path, line in located.lines.items()}
    if isinstance(source, Mapping):
        origins = dict.fromkeys(_paths(located.plain), "given")
    problems = list(located.problems)
    for override in overrides:
        _apply(override, located.plain, origins, problems)
    if problems:
        raise RecipeError(name, problems)
    resolved, inherited = _spread_over_arms(located.plain)
    try:
        recipe = Recipe.model_validate(resolved)
    except ValidationError as error:
        raise RecipeError(name, recipe_problems(error, name, located, inherited)) from None
    named = _origins(recipe, origins, inherited)
    unread = unread_options(recipe, named, options_asked(recipe, named), name)
    if unread.problems:
        raise RecipeError(name, list(unread.problems))
    if unread.idle:
        # The resolved recipe holds what is read, and no more: it says what was done.
        recipe = Recipe.model_validate(_without(resolved, unread.idle))
    return LoadedRecipe(recipe, _origins(recipe, origins, inherited), folder)


def _read(source: Path | str | Mapping[str, Any]) -> tuple[LocatedYaml, str, Path]:
    if isinstance(source, Mapping):
        return LocatedYaml(copy.deepcopy(dict(source))), "recipe", Path()
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        problem = Problem(str(path), "there is no such file", "write one: graft init pairs NAME")
        raise RecipeError(str(path), [problem]) from None
    except (UnicodeDecodeError, IsADirectoryError, PermissionError) as error:
        problem = Problem(str(path), f"cannot be read: {error}", "give a YAML file in UTF-8")
        raise RecipeError(str(path), [problem]) from None
    return parse(text, path.name), path.name, path.parent


def _paths(plain: Mapping[str, Any], path: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in plain.items():
        yield (*path, key)
        if isinstance(value, Mapping):
            yield from _paths(value, (*path, key))


def _apply(
    override: str, plain: dict[str, Any], origins: dict[KeyPath, str], problems: list[Problem]
) -> None:
    key, equals, text = override.partition("=")
    where = f"--set {override}"
    if not equals or not key:
        problems.append(Problem(where, "has no key=value form", "write --set section.key=value"))
        return
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        problems.append(Problem(where, f"value {text!r} is not YAML", "quote the value"))
        return
    *parents, last = key.split(".")
    node: Any = plain
    for parent in parents:
        if node.get(parent) is None:
            node[parent] = {}
        node = node[parent]
        if not isinstance(node, dict):
            problems.append(Problem(where, f"'{parent}' is not a section", "check the key"))
            return
    node[last] = value
    origins[tuple(key.split("."))] = "--set"


def _without(plain: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    pruned = copy.deepcopy(plain)
    for key in keys:
        *parents, last = key.split(".")
        node = pruned
        for parent in parents:
            node = node[parent]
        del node[last]
    return pruned


def _spread_over_arms(plain: dict[str, Any]) -> tuple[dict[str, Any], dict[KeyPath, KeyPath]]:
    """Give every arm the top-level sections that arms may override.

    Returns the resolved mapping and, for each inherited path, the path it was inherited from.
    """
    resolved = copy.deepcopy(plain)
    shared = {key: resolved.pop(key) for key in ARM_DEFAULTS if key in resolved}
    if "base" in shared:
        resolved["base"] = copy.deepcopy(shared["base"])
    inherited: dict[KeyPath, KeyPath] = {}
    arms = resolved.get("arms")
    if not isinstance(arms, dict):
        return resolved, inherited
    for name, override in arms.items():
        own = {} if override is None else override
        if isinstance(own, dict):
            arms[name] = _merge(shared, own, ("arms", name), (), inherited)
    return resolved, inherited


def _merge(
    below: dict[str, Any],
    above: dict[str, Any],
    path: KeyPath,
    source: KeyPath,
    inherited: dict[KeyPath, KeyPath],
) -> dict[str, Any]:
    merged = copy.deepcopy(above)
    for key, value in below.items():
        if key not in merged:
            merged[key] = copy.deepcopy(value)
            inherited[(*path, key)] = (*source, key)
        elif isinstance(value, dict) and isinstance(merged[key], dict):
            merged[key] = _merge(value, merged[key], (*path, key), (*source, key), inherited)
    return merged


def _origins(
    recipe: Recipe, origins: dict[KeyPath, str], inherited: dict[KeyPath, KeyPath]
) -> dict[str, str]:
    found: dict[str, str] = {}

    def visit(value: Any, path: KeyPath) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                visit(item, (*path, key))
            return
        found[".".join(map(str, path))] = _origin(path, origins, inherited)

    visit(recipe.model_dump(mode="json"), ())
    return found


def _origin(path: KeyPath, origins: dict[KeyPath, str], inherited: dict[KeyPath, KeyPath]) -> str:
    if path in origins:
        return origins[path]
    for length in range(len(path), 0, -1):
        if path[:length] in inherited:
            source = (*inherited[path[:length]], *path[length:])
            return f"{origins[source]}{FOR_ALL_ARMS}" if source in origins else DEFAULT
    return DEFAULT
