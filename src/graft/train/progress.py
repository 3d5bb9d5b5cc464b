"""A progress bar on stderr with rate and time left; quiet when nobody is watching."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

logger = logging.getLogger(__name__)
Report = Callable[[int, str], None]


@contextlib.contextmanager
def progress_bar(title: str, total: int, done: int = 0, unit: str = "steps") -> Iterator[Report]:
    """Yield `report(done, note)`, which moves the bar.

    Args:
        title: What is running.
        total: Steps in all.
        done: Steps that are done already.
        unit: What is counted.
    """
    if not sys.stderr.isatty() or not logger.isEnabledFor(logging.INFO):
        yield lambda done, note: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    started, first = time.monotonic(), done
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total, completed=done, note="")

        def report(done: int, note: str) -> None:
            rate = (done - first) / max(time.monotonic() - started, 1e-9)
            speed = f"{rate:.1f} {unit}/s"
            progress.update(task, completed=done, note=f"{note}, {speed}" if note else speed)

        yield report
