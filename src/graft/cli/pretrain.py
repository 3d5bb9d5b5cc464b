"""`graft pretrain`: the base of an experiment, pretrained on rows without labels."""

from __future__ import annotations

from graft.cli.group import FAILED
from graft.cli.options import RUNS, Json, Quiet, Recipe, Runs, Settings
from graft.cli.output import answering
from graft.cli.recipes import opened
from graft.core.errors import Problem, RecipeError


def pretrain(
    recipe: Recipe,
    settings: Settings = None,
    runs: Runs = RUNS,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pretrain the base that the recipe describes.

    On rows without labels; the arms begin with it. What is done already stays, what was interrupted
    is taken up. Exit code 2 if a check fails.
    """
    with answering(json, quiet) as output:
        experiment = opened(recipe, settings, runs)
        section = experiment.recipe.pretrain
        if section is None:
            fix = "add `pretrain: {}` to the recipe of a series task"
            raise RecipeError(recipe.name, [Problem("pretrain", "is not in the recipe", fix)])
        from graft.cli.outcome import finding_lines
        from graft.cli.training import training_document, training_lines
        from graft.core.files import read_json
        from graft.core.findings import Findings
        from graft.core.verdicts import Comparison
        from graft.report.pretraining_page import headline
        from graft.runs.experiment import bound
        from graft.runs.pipeline import prepare_data
        from graft.runs.pretraining import pretrain as run_pretraining

        rows = prepare_data(experiment)
        paths = run_pretraining(bound(experiment), section, rows)
        findings = read_json(paths.audits, Findings)
        comparison = read_json(paths.comparison, Comparison)
        document = {
            **training_document(paths),
            "headline": headline(comparison),
            "comparison": comparison,
            "findings": findings.items,
            "report": str(paths.report),
        }
        shown = [
            headline(comparison),
            *training_lines(paths.name, paths),
            *finding_lines(findings),
            f"Report: {paths.report}",
            f"Next: graft run {recipe}",
        ]
        output.answer(document, shown, exit_code=FAILED if findings.blocking else 0)
