"""Options that nothing is going to read, found before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

from graft.config.recipe import Recipe
from graft.config.sections import ArmSection, ClassLoss
from graft.config.series import EncoderSection, SeriesSection
from graft.core.errors import Problem
from graft.core.facts import MULTI_LABEL

FOR_ALL_ARMS = " (for all arms)"


def _thaws(arm: ArmSection) -> bool:
    return any(group.unfreeze_after > 0 for group in arm.freeze)


def _chooses(arm: ArmSection) -> bool:
    training = arm.training
    kept = training.load_best_model_at_end or training.early_stopping_patience is not None
    return kept and training.eval_strategy != "no"


def _classifies(arm: ArmSection) -> bool:
    return arm.loss in get_args(ClassLoss)


_CLASSIFICATION = "task: classification"
_CLASSES = "task: classification or series"


# Option of an arm: who reads it, and when it does.
_ARM: Mapping[str, tuple[Callable[[ArmSection], bool], str]] = {
    "lora": (lambda arm: arm.method == "lora", "method: lora"),
    "classifier.focal_gamma": (lambda arm: arm.loss == "focal", "loss: focal"),
    "classifier.label_smoothing": (lambda arm: arm.loss == "cross_entropy", "loss: cross_entropy"),
    "classifier": (_classifies, _CLASSES),
    "rows_per_class": (_classifies, _CLASSES),
    "training.num_cycles": (
        lambda arm: arm.training.lr_scheduler_type == "cosine_with_restarts",
        "lr_scheduler_type: cosine_with_restarts",
    ),
    "training.power": (
        lambda arm: arm.training.lr_scheduler_type == "polynomial",
        "lr_scheduler_type: polynomial",
    ),
    "training.unfreeze_lr_factor": (_thaws, "a freeze group with unfreeze_after above 0"),
    "training.eval_steps": (
        lambda arm: arm.training.eval_strategy == "steps",
        "eval_strategy: steps",
    ),
    "training.save_steps": (
        lambda arm: arm.training.save_strategy == "steps",
        "save_strategy: steps",
    ),
    "training.metric_for_best_model": (
        _chooses,
        "load_best_model_at_end or early_stopping_patience, and an eval_strategy",
    ),
}


def _of_kinds(*kinds: str) -> tuple[Callable[[Recipe], bool], str]:
    """Return when an option is read that only some kinds of encoders have."""
    needed = f"encoder.kind: {' or '.join(kinds)}, and no base.model"
    return lambda recipe: recipe.makes_base and recipe.encoder.kind in kinds, needed


def _pretrains(*objectives: str) -> Callable[[Recipe], bool]:
    """Return whether the recipe pretrains with one of these objectives."""
    return lambda recipe: bool(
        recipe.pretrain and set(objectives) & set(recipe.pretrain.objectives)
    )


def _masks(recipe: Recipe) -> str:
    """Return the kind of the masks that are drawn, empty if none are."""
    drawn = _pretrains("reconstruction", "contrastive")(recipe)
    return recipe.pretrain.mask.kind if recipe.pretrain and drawn else ""


_OF_KINDS = {"heads": ("transformer",), "kernel": ("tcn",), "bidirectional": ("lstm", "gru")}
_RECIPE: Mapping[str, tuple[Callable[[Recipe], bool], str]] = {
    "data.split.test": (lambda recipe: recipe.data.test is None, "no test file"),
    "data.split.validation": (lambda recipe: recipe.data.validation is None, "no validation file"),
    "data.split.method": (
        lambda recipe: recipe.data.test is None or recipe.data.validation is None,
        "no file of its own for test or validation",
    ),
    "data.label_range": (lambda recipe: recipe.task == "pairs", "task: pairs"),
    **{
        f"data.{key}": (lambda recipe: recipe.task == "classification", _CLASSIFICATION)
        for key in ("texts", "table", "categorical", "problem_type")
    },
    "data.positive": (lambda recipe: recipe.task != "pairs", _CLASSES),
    **{
        f"data.series.{key}": (lambda recipe: recipe.task == "series", "task: series")
        for key in SeriesSection.model_fields
    },
    **{
        f"encoder.{key}": (lambda recipe: recipe.makes_base, "task: series, and no base.model")
        for key in EncoderSection.model_fields
    },
    "data.label_separator": (
        lambda recipe: recipe.data.problem_type == MULTI_LABEL,
        f"problem_type: {MULTI_LABEL}",
    ),
    **{f"encoder.{key}": _of_kinds(*kinds) for key, kinds in _OF_KINDS.items()},
    "pretrain.mask.length": (
        lambda recipe: _masks(recipe) != "random",
        "mask.kind: block or patch",
    ),
    **{
        f"pretrain.mask.{key}": (
            lambda recipe: bool(_masks(recipe)),
            "objectives: reconstruction or contrastive",
        )
        for key in ("kind", "share")
    },
    "pretrain.forecast_steps": (_pretrains("forecast"), "objectives: forecast"),
    "pretrain.temperature": (_pretrains("contrastive"), "objectives: contrastive"),
    "evaluation.reasons": (lambda recipe: recipe.task == "classification", _CLASSIFICATION),
}


@dataclass(frozen=True)
class Unread:
    """Options that nothing is going to read.

    Args:
        problems: Those that somebody gave for nothing.
        idle: Dotted keys of those that are given with good reason: an arm has them from all arms
            and another arm reads them, or --set has put files in the place of a split.
    """

    problems: tuple[Problem, ...]
    idle: tuple[str, ...]


def unread_options(
    recipe: Recipe, origins: Mapping[str, str], asked: tuple[str, ...], name: str
) -> Unread:
    """Return the options that were given and that nothing is going to read.

    Args:
        recipe: The recipe.
        origins: Dotted key to where its value stands.
        asked: Dotted keys that were given and differ from their defaults.
        name: Name of the recipe file, for the problems.
    """
    problems: dict[str, Problem] = {}
    idle = []
    # A split that `graft data split` wrote is used by --set, beside the recipe that described it.
    replaced = "--set" in (origins.get("data.test"), origins.get("data.validation"))
    for key in asked:
        place = next(o for k, o in origins.items() if f"{k}.".startswith(f"{key}."))
        if key in _RECIPE and not _RECIPE[key][0](recipe):
            if replaced:
                idle.append(key)
            else:
                problems[key] = _problem(f"{name} {place}", key, _RECIPE[key][1])
        head, _, rest = key.partition(".")
        arm, _, option = rest.partition(".")
        reader = _reader(option) if head == "arms" else None
        if reader is None or reader[0](recipe.arms[arm]):
            continue
        shared = place.endswith(FOR_ALL_ARMS)
        if shared and any(reader[0](other) for other in recipe.arms.values()):
            idle.append(key)
            continue
        shown = option if shared else key
        problems[shown] = _problem(f"{name} {place.removesuffix(FOR_ALL_ARMS)}", shown, reader[1])
    return Unread(tuple(problems.values()), tuple(idle))


def _reader(option: str) -> tuple[Callable[[ArmSection], bool], str] | None:
    return next(
        (found for key, found in _ARM.items() if option == key or option.startswith(f"{key}.")),
        None,
    )


def _problem(place: str, key: str, needed: str) -> Problem:
    return Problem(
        f"{place}, {key}", "is given, but nothing reads it", f"take it out; it needs {needed}"
    )
