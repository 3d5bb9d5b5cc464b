"""`graft init`: a commented recipe to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from graft.cli.options import Json, Quiet
from graft.cli.output import answering
from graft.core.errors import Problem, RecipeError
from graft.core.files import write_text

Kind = Annotated[Literal["pairs", "classification", "series"], typer.Argument(help="Kind of task.")]
File = Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to write the recipe.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]


def init(
    kind: Kind,
    file: File = Path("recipe.yaml"),
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a commented recipe with every key."""
    with answering(json, quiet) as output:
        if file.exists() and not force:
            fix = "name another file, or add --force to overwrite it"
            raise RecipeError(str(file), [Problem(str(file), "is there already", fix)])
        write_text(file, preset(kind))
        steps = (
            f"Wrote {file}.",
            "Name your files and columns under `data`, then:",
            f"  graft data check {file}   what the rows hold, and what the splits give away",
            f"  graft plan {file}         what would be trained, and what it would cost",
            f"  graft run {file}          everything, up to the report",
        )
        output.answer({"file": str(file)}, steps)


def preset(name: str) -> str:
    """Return the recipe `name` that comes with Graft.

    Example:
        >>> preset("pairs").splitlines()[0]
        '# A recipe for pairs of texts: which two belong together?'
    """
    from importlib.resources import files

    return (files("graft.config") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
