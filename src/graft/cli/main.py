"""`graft`: the root of the command line and the list of its verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from graft import __version__
from graft.cli import (
    data,
    demo,
    diagnose,
    init,
    plan,
    predict,
    pretrain,
    run,
    stages,
    verify_frozen,
)
from graft.cli.group import GraftGroup, with_hyphens

app = typer.Typer(
    name="graft",
    cls=GraftGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"token_normalize_func": with_hyphens, "help_option_names": ["-h", "--help"]},
    epilog="Exit code: 0 passed; 2 an audit or a gate failed; 3 wrong usage, recipe, data or "
    "model; 1 anything else.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"graft {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="GRAFT_DEBUG", help="Show tracebacks.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Fine-tune a pretrained model on a small domain data set, and prove that it took."""


app.command()(init.init)
app.command()(run.run)
app.command()(plan.plan)
app.command()(demo.demo)
app.command()(pretrain.pretrain)
app.command()(stages.baseline)
app.command()(stages.train)
app.command()(stages.evaluate)
app.command()(stages.audit)
app.command()(stages.compare)
app.command()(stages.report)
app.command()(predict.predict)
app.command()(diagnose.diagnose)
app.command(name="verify-frozen")(verify_frozen.verify_frozen)
app.add_typer(data.app, name="data")
