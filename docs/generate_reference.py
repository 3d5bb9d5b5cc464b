"""The reference pages, written from the code: `python docs/generate_reference.py`.

Nothing in `docs/reference/` is written by hand; a test fails when a page is stale.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from graft.cli.main import app
from graft.config.loading import ARM_DEFAULTS
from graft.config.recipe import Recipe
from graft.config.sections import BaseSection
from graft.core.scores import Metric
from graft.metrics.catalogue import CATALOGUE

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate_reference.py. Do not edit. -->"
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
WORDS: Mapping[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "null",
}
# Every mapping of the recipe, by what stands for a key in it.
KEYS_OF_MAPPINGS = {
    "arms": "NAME",
    "fusion": "NAME",
    "data.columns": "ROLE",
    "pretrain.objectives": "OBJECTIVE",
    "accept": "FINDING",
    "published.figures": "RUN",
    "published.figures.RUN": "METRIC",
    "pretrain.objectives": "OBJECTIVE",
}


def recipe_page() -> str:
    """Return every key of a recipe with type, default and meaning, section by section."""
    shared = ", ".join(f"`{key}`" for key in ARM_DEFAULTS)
    parts = [
        "# Recipe",
        NOTE,
        "Every key that a recipe may have. A recipe is one YAML file, read once and never changed; "
        "a key that does not stand here is an error that names the nearest one. `graft init pairs` "
        "writes a recipe with all of them and comments. On the command line, `--set` takes a "
        "dotted key: `--set arms.lora.lora.r=16`.",
        f"The keys {shared} may stand at the top level too. They are then the defaults of every "
        "arm, and an arm overrides them key by key.",
        "Keys without a description mean what their name says; those under `training` have the "
        "names of the arguments of Hugging Face's `TrainingArguments`.",
    ]
    for path, model in _sections(Recipe, ""):
        parts += [f"## {path or 'Top level'}", _first_line(model), _table(path, model)]
    return _page(parts)


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every section once, with the path of its keys, in the order of the recipe."""
    yield path, model
    for name, field in model.model_fields.items():
        inner, place = _section_of(field.annotation), _joined(path, name)
        # An arm's base has the keys of the recipe's.
        if inner is not None and not (inner is BaseSection and path):
            yield from _sections(inner, f"{place}{_suffix(field.annotation, place)}")


def _section_of(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_of(member) for member in typing.get_args(annotation))
    return next((section for section in found if section is not None), None)


def _suffix(annotation: object, place: str) -> str:
    kind = typing.get_origin(annotation)
    if kind is dict:
        return f".{KEYS_OF_MAPPINGS[place]}"
    return "[]" if kind is tuple else ""


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _table(path: str, model: type[BaseModel]) -> str:
    rows = ["| key | type | default | description |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        place = _joined(path, name)
        cells = (
            f"`{name}`",
            _type(field.annotation, place) + _limits(field),
            _default(field),
            field.description or "",
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _type(annotation: object, place: str) -> str:
    """Return the type in words; a section as a link to its table."""
    arguments = typing.get_args(annotation)
    kind = typing.get_origin(annotation)
    if kind is tuple:
        return f"list of {_type(arguments[0], f'{place}[]')}"
    if kind is dict:
        key = KEYS_OF_MAPPINGS[place]
        return f"{key} → {_type(arguments[1], f'{place}.{key}')}"
    if kind in (typing.Union, types.UnionType):
        return " or ".join(_type(member, place) for member in arguments)
    if _section_of(annotation) is not None:
        shown = "base" if annotation is BaseSection else place
        return f"[{shown}](#{_anchor(shown)})"
    return WORDS[annotation] if kind is None else ", ".join(f"`{value}`" for value in arguments)


def _anchor(heading: str) -> str:
    return "".join(c for c in heading.lower() if c.isalnum() or c in "-_ ").replace(" ", "-")


def _limits(field: FieldInfo) -> str:
    found = [
        f"{sign} {getattr(item, name):g}"
        for item in field.metadata
        for name, sign in BOUNDS.items()
        if hasattr(item, name)
    ]
    for item in field.metadata:
        if getattr(item, "min_length", None):
            found.append("not empty")
        if pattern := getattr(item, "pattern", None):
            found.append(f"matches `{pattern}`")
    return f", {', '.join(found)}" if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel):
        return "its defaults"
    if isinstance(field.default, float):
        text = f"{field.default:g}"
        # YAML reads 2e-05 as a word and 2.0e-05 as a number.
        return f"`{text.replace('e', '.0e') if 'e' in text and '.' not in text else text}`"
    return f"`{json.dumps(field.default, ensure_ascii=False)}`"


def cli_page() -> str:
    """Return the help of every verb, as the command line shows it."""
    parts = [
        "# Command line",
        NOTE,
        "What `--help` says. Verbs that take a recipe take `--set key=value` as often as needed; "
        "with `--json` one document goes to stdout and everything else to stderr.",
        "```text\n" + _help() + "\n```",
    ]
    for verb in verbs():
        parts += [f"## graft {verb}", "```text\n" + _help(*verb.split()) + "\n```"]
    return _page(parts)


def verbs() -> list[str]:
    """Return every verb of `graft`, those of a group with both words."""
    found = []
    for verb in _listed():
        inner = _listed(verb)
        found += [f"{verb} {name}" for name in inner] if inner else [verb]
    return found


def _listed(*words: str) -> list[str]:
    text = _help(*words)
    _, _, below = text.partition("\nCommands:\n")
    lines = below.split("\n\n")[0].splitlines()
    return [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]


def _help(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "100"}, prog_name="graft")
    lines = [line.rstrip() for line in result.stdout.strip().splitlines()]
    return "\n".join(lines)


def metrics_page() -> str:
    """Return every metric with direction, range, definition and source."""
    rows = ["| metric | better | range | definition | source |", "|---|---|---|---|---|"]
    rows += [_metric(metric) for metric in CATALOGUE.values()]
    parts = [
        "# Metrics",
        NOTE,
        "The names are those of `evaluation.primary`, of gates, of published figures, of "
        "`scores.json` and (with the split in front) of MLflow. A metric without a direction "
        "describes and does not judge: it can be neither primary nor compared. What intervals and "
        "thresholds mean stands in [verdicts](../concepts/verdicts.md).",
        "\n".join(rows),
    ]
    return _page(parts)


def _metric(metric: Metric) -> str:
    better = {True: "higher", False: "lower", None: "–"}[metric.higher_is_better]
    low = "−∞" if metric.low is None else f"{metric.low:g}"
    high = "∞" if metric.high is None else f"{metric.high:g}"
    span = f"{low} to {high}".replace("-", "−") + (f" {metric.unit}" if metric.unit else "")
    name = f"{metric.title}<br>`{metric.name}`"
    return f"| {name} | {better} | {span} | {metric.definition} | {metric.source} |"


def _page(parts: list[str]) -> str:
    return "\n\n".join(parts) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "recipe.md": recipe_page,
    "cli.md": cli_page,
    "metrics.md": metrics_page,
}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
