"""The options of a recipe one by one: which were given, and which were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graft.config.recipe import Recipe
from graft.config.section import Reads, Section

DEFAULT = "default"


def options_asked(recipe: Recipe, origins: Mapping[str, str]) -> tuple[str, ...]:
    """Return the dotted keys that were given and differ from their defaults.

    Args:
        recipe: The recipe.
        origins: Dotted key to where its value stands, `default` if nobody gave it.

    Example:
        >>> from graft.config.loading import load_recipe
        >>> arms = {"standard": {"training": {"weight_decay": 0.1, "num_train_epochs": 4}}}
        >>> loaded = load_recipe({"name": "x", "data": {"train": "t.csv"}, "arms": arms})
        >>> options_asked(loaded.recipe, loaded.origins)
        ('name', 'data.train', 'arms.standard.training.weight_decay')
    """
    # A list or mapping is one option although each of its items has an origin.
    given = [f"{key}." for key, origin in origins.items() if origin != DEFAULT]
    return tuple(
        key
        for key, section, field, value in _leaves(recipe)
        if value != type(section).model_fields[field].get_default()
        and any(name.startswith(f"{key}.") for name in given)
    )


def options_read(recipe: Recipe, reads: Reads) -> frozenset[str]:
    """Return the dotted keys of the recipe that `reads` holds."""
    return frozenset(
        key for key, section, field, _ in _leaves(recipe) if (id(section), field) in reads
    )


def _leaves(section: Section, path: str = "") -> Iterator[tuple[str, Section, str, Any]]:
    for field, value in vars(section).items():
        key = f"{path}{field}"
        if isinstance(value, Section):
            yield from _leaves(value, f"{key}.")
        elif isinstance(value, dict) and any(isinstance(v, Section) for v in value.values()):
            for name, item in value.items():
                yield from _leaves(item, f"{key}.{name}.")
        else:
            yield key, section, field, value
