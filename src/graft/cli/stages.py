"""The stages of `graft run`, one by one: baseline, train, evaluate, compare, audit, report."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.cli.group import FAILED
from graft.cli.options import RUNS, Json, Quiet, Recipe, Runs, Settings, Source
from graft.cli.output import answering
from graft.cli.recipes import opened, opened_or_found
from graft.core.errors import InputError, Problem

if TYPE_CHECKING:
    from graft.core.layout import RunPaths
    from graft.core.scores import ScoreBook
    from graft.runs.experiment import Experiment

Arms = Annotated[
    list[str] | None,
    typer.Option("--arm", "--mode", metavar="NAME", help="Which arms; `all` if left out."),
]
Target = Annotated[
    Path | None,
    typer.Option("--output", metavar="DIR", help="Copy the finished run of one arm to DIR."),
]


def baseline(
    recipe: Recipe,
    settings: Settings = None,
    runs: Runs = RUNS,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score the baselines, the base among them."""
    with answering(json, quiet) as output:
        experiment = opened(recipe, settings, runs)
        from graft.cli.scores import scores_document, scores_table
        from graft.runs.baselines import run_baselines
        from graft.runs.experiment import bound
        from graft.runs.pipeline import prepare_data
        from graft.runs.stages import leaked_rows, score_runs

        rows, names = prepare_data(experiment), experiment.recipe.baselines
        experiment = bound(experiment)
        run_baselines(experiment, rows, leaked_rows(experiment), names)
        score_runs(experiment, names)
        books = _books(experiment, names)
        document = {
            "folder": str(experiment.paths.root),
            "scores": {name: scores_document(book) for name, book in books.items()},
        }
        shown = scores_table(books, experiment.recipe.evaluation.primary)
        output.answer(document, [shown, f"Next: graft train {recipe}"])


def train(
    recipe: Recipe,
    arms: Arms = None,
    target: Target = None,
    settings: Settings = None,
    runs: Runs = RUNS,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train the arms, or some of them.

    What is trained already stays; what was interrupted is taken up where it stopped.
    """
    with answering(json, quiet) as output:
        experiment = opened(recipe, settings, runs)
        from graft.cli.training import training_document, training_lines
        from graft.runs.arms import train_arm
        from graft.runs.experiment import bound
        from graft.runs.handover import check_target, hand_over
        from graft.runs.pipeline import prepare_data
        from graft.runs.stages import leaked_rows

        names = chosen(arms, experiment.recipe.arms)
        if target is not None:
            _refuse_several(names)
            check_target(target)
        rows = prepare_data(experiment)
        experiment = bound(experiment)
        leaked = leaked_rows(experiment)
        done = [train_arm(experiment, name, rows, leaked) for name in names]
        places: list[RunPaths] = [hand_over(done[0], target)] if target else done
        document = {name: training_document(p) for name, p in zip(names, places, strict=True)}
        shown = [
            line
            for name, place in zip(names, places, strict=True)
            for line in training_lines(name, place)
        ]
        shown += [
            f"{name} was trained with {count} seeds; shown is the first."
            for name in names
            if (count := len(experiment.replicates(name))) > 1
        ]
        following = "Not evaluated yet. Next: graft evaluate"
        output.answer({"arms": document}, [*shown, f"{following} {recipe}"])


def evaluate(
    recipe: Recipe,
    arms: Arms = None,
    settings: Settings = None,
    runs: Runs = RUNS,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score the saved artefacts of the arms.

    They are loaded in a fresh process; what was in memory after training plays no part.
    """
    with answering(json, quiet) as output:
        experiment = opened(recipe, settings, runs)
        from graft.cli.scores import scores_document, scores_table
        from graft.core.roles import Split
        from graft.runs.reasons import explain_runs
        from graft.runs.stages import fuse_runs, predict_artefacts, score_runs

        names = chosen(arms, experiment.recipe.arms)
        predict_artefacts(experiment, names)
        fused = tuple(n for n, f in experiment.recipe.fusion.items() if f.arm in names)
        fuse_runs(experiment, fused)
        names = (*names, *fused)
        paths = experiment.paths
        there = tuple(
            name
            for name in experiment.recipe.baselines
            if paths.run(name).predictions(Split.test).is_file()
        )
        score_runs(experiment, (*there, *names))
        explain_runs(experiment)
        books = _books(experiment, (*there, *names))
        document = {
            "folder": str(paths.root),
            "scores": {name: scores_document(book) for name, book in books.items()},
        }
        shown = scores_table(books, experiment.recipe.evaluation.primary)
        output.answer(document, [shown, f"Next: graft compare {recipe}"])


def compare(
    source: Source,
    settings: Settings = None,
    runs: Runs = RUNS,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare arms with the base and each other.

    Exit code 2 if a gate is missed.
    """
    with answering(json, quiet) as output:
        experiment = opened_or_found(source, settings, runs)
        from graft.cli.outcome import comparison_document, comparison_lines
        from graft.report.evidence import read_evidence
        from graft.runs.stages import compare_runs

        comparison = compare_runs(experiment)
        missed = any(not gate.reached for gate in comparison.gates)
        evidence = read_evidence(experiment.paths.root)
        shown = [*comparison_lines(evidence), f"Next: graft audit {source}"]
        output.answer(comparison_document(evidence), shown, exit_code=FAILED if missed else 0)


def audit(
    source: Source,
    settings: Settings = None,
    runs: Runs = RUNS,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run every check on the data and each arm.

    Exit code 2 if one fails and the recipe does not accept it.
    """
    with answering(json, quiet) as output:
        experiment = opened_or_found(source, settings, runs)
        from graft.cli.outcome import finding_lines
        from graft.runs.stages import audit_runs

        findings = audit_runs(experiment)
        document = {"folder": str(experiment.paths.root), "findings": findings.items}
        shown = [*finding_lines(findings), f"Next: graft report {source}"]
        output.answer(document, shown, exit_code=FAILED if findings.blocking else 0)


def report(
    source: Source,
    settings: Settings = None,
    runs: Runs = RUNS,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the report again, from files alone.

    The model cards too. Needs neither torch nor the data.
    """
    with answering(json, quiet) as output:
        from graft.config.loading import load_recipe
        from graft.runs.pages import write_pages

        root = source if source.is_dir() else runs / load_recipe(source, settings or ()).recipe.name
        page = write_pages(root)
        output.answer({"report": str(page)}, [f"Report: {page}"])


def chosen(wanted: Sequence[str] | None, known: Iterable[str]) -> tuple[str, ...]:
    """Return the arms that were asked for, in the order of the recipe; all of them for `all`.

    Raises:
        InputError: Names every one that the recipe does not have.

    Example:
        >>> chosen(["lora"], ["standard", "lora"]), chosen(None, ["standard", "lora"])
        (('lora',), ('standard', 'lora'))
    """
    names = tuple(known)
    if not wanted or "all" in wanted:
        return names
    problems = []
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            fix = f"did you mean '{near[0]}'?" if near else f"choose from {list(names)}"
            problems.append(Problem(f"--arm {name}", "is no arm of the recipe", fix))
    if problems:
        raise InputError("arms", problems)
    return tuple(name for name in names if name in wanted)


def _refuse_several(names: tuple[str, ...]) -> None:
    if len(names) > 1:
        fix = f"add --arm {names[0]}"
        problem = Problem("--output", f"takes one arm, and there are {list(names)}", fix)
        raise InputError("output folder", [problem])


def _books(experiment: Experiment, names: Iterable[str]) -> dict[str, ScoreBook]:
    from graft.core.files import read_json
    from graft.core.scores import ScoreBook

    return {name: read_json(experiment.paths.run(name).scores, ScoreBook) for name in names}
