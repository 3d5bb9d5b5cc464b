"""How a verb answers: tables on stdout for people, or one JSON document; logs go to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from graft.cli.group import complain
from graft.core.errors import GraftError, InputError
from graft.core.jsonable import dumps, to_plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WIDTH_OF_FILES = 120


class Output:
    """The answer of one verb."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self.shown: list[RenderableType] = []
        self.exit_code = 0

    def answer(
        self,
        document: Mapping[str, object],
        shown: Iterable[RenderableType],
        *,
        exit_code: int = 0,
    ) -> None:
        """Set what the verb says.

        Args:
            document: For machines; `exit_code` is added.
            shown: For people: strings and tables, in order.
            exit_code: 0, or 2 if an audit or a gate failed.
        """
        self.document = {**document, "exit_code": exit_code}
        self.shown, self.exit_code = list(shown), exit_code


@contextlib.contextmanager
def answering(as_json: bool, quiet: bool) -> Iterator[Output]:
    """Yield the answer to fill; print it when the block ends, as JSON or for people.

    With `as_json` nothing but the document reaches stdout: what libraries print there goes to
    stderr, and an error is a document too.

    Raises:
        typer.Exit: With the exit code, unless it is 0.
    """
    stdout = sys.stdout
    output = Output()
    try:
        with _logging(quiet), contextlib.redirect_stdout(sys.stderr if as_json else stdout):
            yield output
    except GraftError as error:
        complain(f"error: {error}")
        if as_json:
            stdout.write(dumps({"error": _described(error), "exit_code": error.exit_code}))
        raise typer.Exit(error.exit_code) from None
    if as_json:
        stdout.write(dumps(output.document))
    else:
        show(output.shown)
    if output.exit_code:
        raise typer.Exit(output.exit_code)


def _described(error: GraftError) -> dict[str, object]:
    if isinstance(error, InputError):
        return {"subject": error.subject, "problems": to_plain(error.problems)}
    return {"subject": type(error).__name__, "message": str(error)}


@contextlib.contextmanager
def _logging(quiet: bool) -> Iterator[None]:
    logger = logging.getLogger("graft")
    handler = logging.StreamHandler(sys.stderr)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def show(items: Iterable[RenderableType]) -> None:
    """Print strings (never cut or broken) and tables (as wide as the terminal)."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH_OF_FILES
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    for item in items:
        console.print(item, soft_wrap=isinstance(item, str))


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Collection[str] = (),
) -> Table:
    """Return a table of texts.

    Args:
        title: What it shows.
        columns: Headings.
        rows: Cells; never read as markup.
        numbers: Columns that are set to the right.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    built = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for column in columns:
        right = column in numbers
        built.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        built.add_row(*(Text(cell) for cell in row))
    return built
