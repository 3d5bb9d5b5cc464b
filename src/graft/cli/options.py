"""The options that many verbs share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")]
Source = Annotated[
    Path,
    typer.Argument(metavar="RECIPE|RUNFOLDER", help="A recipe, or the folder of an experiment."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a value of the recipe: training.learning_rate=1e-5. Repeatable.",
    ),
]
Runs = Annotated[
    Path, typer.Option("--runs", metavar="DIR", help="Where the folders of experiments lie.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No log lines on stderr.")]

RUNS = Path("runs")
