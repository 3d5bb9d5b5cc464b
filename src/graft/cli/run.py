"""`graft run`: everything that a recipe asks for, up to the report and the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.cli.options import RUNS, Json, Quiet, Recipe, Runs, Settings
from graft.cli.output import Output, answering

if TYPE_CHECKING:
    from graft.runs.result import Result

Restart = Annotated[
    bool, typer.Option("--restart", help="Remove what an earlier run left, and begin anew.")
]


def run(
    recipe: Recipe,
    settings: Settings = None,
    runs: Runs = RUNS,
    restart: Restart = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run everything, up to the report.

    Data, baselines, arms, artefacts, scores, comparison, audits; what is done already stays.
    Exit code 2 if an audit or a gate fails.
    """
    with answering(json, quiet) as output:
        run_recipe(output, recipe, settings or (), runs, restart=restart)


def run_recipe(
    output: Output,
    recipe: Path,
    settings: Iterable[str],
    runs: Path,
    *,
    restart: bool,
    after: tuple[str, ...] = (),
) -> None:
    """Run a recipe and answer with its outcome.

    Args:
        output: The answer to fill.
        recipe: The recipe.
        settings: `key=value` pairs.
        runs: Where the experiment's folder lies.
        restart: Begin anew.
        after: Lines to end with.
    """
    from graft.config.loading import load_recipe

    load_recipe(recipe, settings)  # a mistake is told before torch loads
    from graft.runs import pipeline

    answer_with(output, pipeline.run(recipe, settings, runs, restart=restart), after)


def answer_with(output: Output, result: Result, after: tuple[str, ...] = ()) -> None:
    """Answer with everything that an experiment came to."""
    from graft.cli.outcome import outcome, outcome_document
    from graft.report.evidence import read_evidence

    evidence = read_evidence(result.folder)
    document = {"report": str(result.report), **outcome_document(evidence)}
    shown = [*outcome(evidence), f"Report: {result.report}", *after]
    output.answer(document, shown, exit_code=result.exit_code)
