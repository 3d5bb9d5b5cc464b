"""`graft demo`: the whole thing on generated rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from graft.cli.init import preset
from graft.cli.options import RUNS, Json, Quiet
from graft.cli.output import answering
from graft.cli.run import run_recipe
from graft.core.files import write_text

Kind = Annotated[
    Literal["pairs", "match", "regime"],
    typer.Argument(
        help="pairs of texts; match: a classification of texts and table; regime: series, and what "
        "pretraining buys."
    ),
]
Folder = Annotated[Path, typer.Option("--output", metavar="DIR", help="Where everything goes.")]
Quick = Annotated[bool, typer.Option("--quick", help="One epoch of adapting.")]
# A quick demo is another experiment; its folder must not be taken for the whole one.
QUICK = {
    "pairs": ("training.num_train_epochs=1", "evaluation.clusters=false"),
    "match": (
        "training.num_train_epochs=2",
        "fusion.fused.method=average",
        "arms.shuffled_labels.seeds=1",
        "evaluation.clusters=false",
    ),
    "regime": ("seeds=1", "pretrain.training.num_train_epochs=3", "evaluation.clusters=false"),
}
# Where the generated rows lie.
ROWS = {"pairs": "demo-data", "match": "demo-match-data", "regime": "demo-regime-data"}
SEED = 42


def demo(
    kind: Kind = "pairs",
    folder: Folder = RUNS,
    quick: Quick = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run everything on generated rows.

    The embedded model on rows whose words mislead: pairs of flatmates, fully fine-tuned and with
    LoRA; or nurses and hospitals, texts and table, against TF-IDF. Or windows of a market: an
    encoder pretrained without labels, against one from scratch, with five seeds.
    """
    with answering(json, quiet) as output:
        from graft.synthetic.compatibility import write_compatibility
        from graft.synthetic.matches import write_matches
        from graft.synthetic.regimes import write_regimes

        writers: dict[str, Callable[[Path, int], object]] = {
            "pairs": write_compatibility,
            "match": write_matches,
            "regime": write_regimes,
        }
        data = folder / ROWS[kind]
        writers[kind](data, SEED)
        recipe = data / f"demo-{kind}.yaml"
        write_text(recipe, preset(f"demo-{kind}"))
        name = f"demo-{kind}-quick" if quick else f"demo-{kind}"
        page = (folder / name / "report.html").resolve().as_uri()
        after = (
            f"Open it in a browser: {page}",
            f"Made from {recipe}; the rule behind the rows stands in {data / 'TRUTH.md'}.",
        )
        settings = (f"name={name}", *QUICK[kind]) if quick else ()
        run_recipe(output, recipe, settings, folder, restart=False, after=after)
