"""What more rows cost: 1, 4 and 16 times as many, Graft alone."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from speed import tables
from speed.jobs import Measured, measure
from speed.pairing import jobs_of
from speed.rows import read
from speed.works import GROWING, GROWTH_GOAL, QUICK_ROWS, WORKS, shortened

TIMES = (1, 4, 16)


QUICK_SMALLEST = 32


@dataclass(frozen=True)
class Grown:
    """One size: its rows and what each round measured."""

    rows: int
    rounds: tuple[Measured, ...]

    @property
    def seconds(self) -> float:
        """Median of the rounds."""
        return statistics.median(measured.seconds for measured in self.rounds)

    @property
    def memory(self) -> float:
        """Median of what the peak lies above the resident size before the work, in bytes."""
        return statistics.median(m.peak_bytes - m.start_bytes for m in self.rounds)


def print_growth(name: str, base: Path, data: Path, repeats: int, *, quick: bool) -> None:
    """Measure one work at its three sizes and print the table.

    Args:
        name: A key of `GROWING`.
        base: Folder of the encoder.
        data: Folder of the data sets.
        repeats: Rounds; the sizes rise in one and fall in the next.
        quick: Few rows.
    """
    work = shortened(WORKS[GROWING[name]])
    rows = read(work.data, data)
    smallest = QUICK_SMALLEST if quick else len(rows.train) // TIMES[-1]
    sizes = [smallest * times for times in TIMES]
    rounds: dict[int, list[Measured]] = {size: [] for size in sizes}
    for index in range(repeats):
        for size in sizes if index % 2 == 0 else reversed(sizes):
            with tempfile.TemporaryDirectory() as place:
                job = jobs_of(work, base, rows.few(size, QUICK_ROWS), Path(place))["auto"]
                rounds[size].append(measure(job))
    _print(name, [Grown(size, tuple(found)) for size, found in rounds.items()])


def further_row(sizes: Sequence[tuple[int, float]]) -> list[float]:
    """Return what a further row costs between neighbouring sizes: seconds, without fixed costs.

    Example:
        >>> further_row([(1, 3.0), (3, 7.0), (5, 11.0)])
        [2.0, 2.0]
    """
    return [(more - less) / (many - few) for (few, less), (many, more) in pairwise(sizes)]


def _print(name: str, grown: list[Grown]) -> None:
    costs = further_row([(size.rows, size.seconds) for size in grown])
    columns = ("rows", "steps", "seconds (each)", "a row", "a further row", "memory of the work")
    tables.print_head(name, columns)
    for size, further in zip(grown, [None, *costs], strict=True):
        each = ", ".join(f"{measured.seconds:.2f}" for measured in size.rounds)
        tables.print_row(
            [
                f"{size.rows:,}",
                f"{size.rounds[0].done.steps:,}",
                f"{size.seconds:.2f} ({each})",
                f"{1000 * size.seconds / size.rows:.2f} ms",
                "–" if further is None else f"{1000 * further:.2f} ms",
                tables.megabytes(size.memory),
            ]
        )
    change = costs[1] / costs[0] - 1
    print(
        f"\nA further row costs {100 * change:+.1f} % from {grown[1].rows:,} rows on; the goal is "
        f"±{100 * GROWTH_GOAL:.0f} %. Memory is "
        f"{grown[-1].memory / grown[0].memory:.2f} times that of {grown[0].rows:,} rows."
    )
