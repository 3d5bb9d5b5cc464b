"""`graft demo`: the whole thing on generated rows, with the embedded model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from graft.cli.init import preset
from graft.cli.options import RUNS, Json, Quiet
from graft.cli.output import answering
from graft.cli.run import run_recipe
from graft.core.files import write_text

Kind = Annotated[Literal["pairs"], typer.Argument(help="Which demo.")]
Folder = Annotated[Path, typer.Option("--output", metavar="DIR", help="Where everything goes.")]
Quick = Annotated[bool, typer.Option("--quick", help="One epoch instead of four.")]
# A quick demo is another experiment; its folder must not be taken for the whole one.
QUICK = ("name=demo-pairs-quick", "training.num_train_epochs=1", "evaluation.clusters=false")
SEED = 42


def demo(
    kind: Kind = "pairs",
    folder: Folder = RUNS,
    quick: Quick = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run everything on generated pairs.

    The embedded model, fully fine-tuned and with LoRA, on rows whose surface misleads.
    """
    with answering(json, quiet) as output:
        from graft.synthetic.compatibility import write_compatibility

        data = folder / "demo-data"
        write_compatibility(data, SEED)
        recipe = data / f"demo-{kind}.yaml"
        write_text(recipe, preset(f"demo-{kind}"))
        name = "demo-pairs-quick" if quick else "demo-pairs"
        page = (folder / name / "report.html").resolve().as_uri()
        after = (
            f"Open it in a browser: {page}",
            f"Made from {recipe}; the rule behind the rows stands in {data / 'TRUTH.md'}.",
        )
        settings = QUICK if quick else ()
        run_recipe(output, recipe, settings, folder, restart=False, after=after)
