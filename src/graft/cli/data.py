"""`graft data`: check the rows, deal them out, or make some up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from graft.cli.group import FAILED
from graft.cli.options import Json, Quiet, Recipe, Settings
from graft.cli.output import answering
from graft.cli.recipes import opened

app = typer.Typer(help="Check rows, split them, or make some up.")

Output = Annotated[Path, typer.Option("--output", metavar="DIR", help="A new or empty folder.")]
Repair = Annotated[
    bool, typer.Option("--repair", help="Leave out the training rows that give others away.")
]
Kind = Annotated[
    Literal["compatibility", "match", "regime"], typer.Argument(help="Which generator.")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same rows.")]


@app.command()
def check(
    recipe: Recipe, settings: Settings = None, json: Json = False, quiet: Quiet = False
) -> None:
    """Say what rows hold and splits give away.

    Nothing is written. Exit code 2 if a check of the data fails and the recipe does not accept it.
    """
    with answering(json, quiet) as output:
        from graft.cli.data_lines import data_document, data_lines

        # Nothing is written, so a folder of an earlier recipe of that name is no hindrance.
        with tempfile.TemporaryDirectory() as nowhere:
            experiment = opened(recipe, settings, Path(nowhere))
            from graft.runs.preview import preview_data

            data = preview_data(experiment)
        output.answer(
            data_document(data.report, data.findings),
            data_lines(data.report, data.findings),
            exit_code=FAILED if data.findings.blocking else 0,
        )


@app.command()
def split(
    recipe: Recipe,
    folder: Output,
    repair: Repair = False,
    settings: Settings = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write one file per split, and a report."""
    with answering(json, quiet) as output:
        from graft.cli.data_lines import written
        from graft.config.loading import load_recipe
        from graft.data.leakage import repaired_split
        from graft.data.loading import load_dataset, report_on
        from graft.runs.splitting import write_splits

        loaded = load_recipe(recipe, settings or ())
        section = loaded.recipe.data
        dataset, report = load_dataset(
            section, loaded.folder, loaded.recipe.seed, loaded.recipe.task
        )
        removed = 0
        if repair:
            dataset, removed = repaired_split(dataset, section.leakage)
            report = report_on(dataset, section)
        counts = write_splits(dataset, report, folder)
        lines = [f"Wrote {written(counts)} and report.json to {folder}."]
        if repair:
            lines.append(f"Left out {removed} training rows that gave evaluation rows away.")
        document = {"folder": str(folder), "rows": counts, "removed": removed, "data": report}
        output.answer(document, lines)


@app.command()
def generate(
    kind: Kind, folder: Folder, seed: Seed = 42, json: Json = False, quiet: Quiet = False
) -> None:
    """Write generated rows, with their truth."""
    with answering(json, quiet) as output:
        from graft.synthetic.compatibility import write_compatibility
        from graft.synthetic.matches import write_matches
        from graft.synthetic.regimes import write_regimes

        writers: dict[str, Callable[[Path, int], tuple[Path, ...]]] = {
            "compatibility": write_compatibility,
            "match": write_matches,
            "regime": write_regimes,
        }
        paths = [str(path) for path in writers[kind](folder, seed)]
        named = ", ".join(paths)
        lines = [f"Wrote {named} and {folder / 'TRUTH.md'} ({kind}, seed {seed})."]
        files = dict(zip(("train", "test", "unlabelled"), paths, strict=False))
        output.answer({**files, "seed": seed}, lines)
