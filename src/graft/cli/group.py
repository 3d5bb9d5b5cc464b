"""The root command: exit codes, both spellings of a name, and no traceback for anybody's typo."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import typer
from typer.core import TyperGroup

from graft.core.errors import GraftError

FAILED, USAGE, INTERRUPTED = 2, 3, 130
# Typer brings its own copy of click in some versions; the base of its public error is the one
# that is really raised.
_CLICK_ERROR = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])


def with_hyphens(name: str) -> str:
    """Return the name as it is registered; users write both.

    Example:
        >>> with_hyphens("verify_frozen")
        'verify-frozen'
    """
    return name.replace("_", "-")


class GraftGroup(TyperGroup):
    """Turns every way to end into an exit code: 0 passed, 2 failed, 3 wrong input, 1 broken."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - Typer's own signature
        """Run the command line; leave the process unless `standalone_mode` is False."""
        go = partial(super().main, args, prog_name, complete_var, False, windows_expand_args)
        if not standalone_mode:
            return go(**extra)
        try:
            code = go(**extra)
        except _CLICK_ERROR as error:
            error.show()
            code = USAGE
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - Typer's own signature
        """Run the verb; whatever it raises becomes a message and an exit code."""
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
            return answer
        except (typer.Exit, typer.Abort, _CLICK_ERROR):
            raise
        except KeyboardInterrupt:
            complain("interrupted; run the same command again to go on")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has gone; Python would complain once more while it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except GraftError as error:
            complain(f"error: {error}")
            raise typer.Exit(error.exit_code) from None
        except Exception as error:  # noqa: BLE001 - the last stop: users see no traceback
            if ctx.params.get("debug"):
                traceback.print_exc()
            told = f"internal error: {type(error).__name__}: {error}"
            complain(f"{told}; run again as `graft --debug …` for the traceback")
            raise typer.Exit(1) from None


def complain(message: str) -> None:
    """Write one message to stderr."""
    sys.stderr.write(f"{message}\n")
