"""What the benchmarks print: Markdown tables on the standard output, progress on the other."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Sequence

import torch

from graft.models.precision import Precision, resolve_precision
from graft.runs.resources import hardware, versions
from speed.jobs import Measured
from speed.pairing import Pair
from speed.works import MEMORY_GOAL, WORKS

SPEED = (
    "work",
    "data",
    "peer",
    "Graft in",
    "peer s",
    "Graft s",
    "times as fast (each pair)",
    "goal",
)
MEMORY = ("work", "data", "Graft in", "peak, peer", "peak, Graft", "share (each pair)", "goal",
          "imports, peer", "start, peer", "imports, Graft", "start, Graft")  # fmt: skip
RESULT = ("work", "data", "Graft in", "result", "peer", "Graft", "steps, peer and Graft",
          "tokens, peer", "padding, peer", "tokens, Graft", "padding, Graft")  # fmt: skip


def say(text: str) -> None:
    """Tell what is being measured, beside the tables."""
    print(f"{text} …", file=sys.stderr, flush=True)


def print_machine(*, quick: bool) -> None:
    """Print what the figures depend on."""
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    print(f"{hardware()}; {torch.get_num_threads()} threads; {found}")
    if quick:
        print("\nFew rows: these tables show that everything runs, and nothing else.")


def print_head(title: str, columns: Sequence[str]) -> None:
    """Print a title and the head of a table."""
    print(f"\n### {title}\n")
    print_row(columns)
    print_row(["---"] * len(columns))


def print_row(cells: Iterable[object]) -> None:
    """Print one row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def megabytes(size: float) -> str:
    """Return a number of bytes as text."""
    return f"{size / 1e6:,.0f} MB"


def print_pairs(pairs: dict[str, list[Pair]]) -> None:
    """Print speed, memory and results of every work: medians, and each pair where it matters."""
    print_head("Speed", SPEED)
    for name, precision, found in _lines(pairs):
        work, goal = WORKS[name], WORKS[name].goals[precision]
        theirs, ours = _both(found, precision)
        ratios = [a.seconds / b.seconds for a, b in zip(theirs, ours, strict=True)]
        print_row(
            [
                work.title,
                work.data,
                work.peer,
                _format(precision),
                f"{_median(m.seconds for m in theirs):.1f}",
                f"{_median(m.seconds for m in ours):.1f}",
                _each(ratios),
                f"≥ {goal:g}: {_met(statistics.median(ratios) >= goal)}",
            ]
        )
    print_head("Peak memory", MEMORY)
    for name, precision, found in _lines(pairs):
        print_row(_memory(name, precision, *_both(found, precision)))
    print_head("Results, and what was computed", RESULT)
    for name, precision, found in _lines(pairs):
        theirs, ours = _both(found, precision)
        work, peer, graft = WORKS[name], theirs[0].done, ours[0].done
        computed = [peer.tokens, peer.padding, graft.tokens, graft.padding]
        print_row(
            [
                work.title,
                work.data,
                _format(precision),
                *_result(name, precision, found),
                f"{peer.steps:,}, {graft.steps:,}",
                *(f"{count:,}" for count in computed),
            ]
        )


def _lines(pairs: dict[str, list[Pair]]) -> Iterable[tuple[str, Precision, list[Pair]]]:
    return (
        (name, precision, found) for name, found in pairs.items() for precision in found[0].graft
    )


def _both(pairs: list[Pair], precision: Precision) -> tuple[list[Measured], list[Measured]]:
    return [pair.peer for pair in pairs], [pair.graft[precision] for pair in pairs]


def _memory(
    name: str, precision: Precision, theirs: list[Measured], ours: list[Measured]
) -> list[str]:
    shares = [b.peak_bytes / a.peak_bytes for a, b in zip(theirs, ours, strict=True)]
    before = [
        _median(sizes)
        for side in (theirs, ours)
        for sizes in ([m.imported_bytes for m in side], [m.start_bytes for m in side])
    ]
    return [
        WORKS[name].title,
        WORKS[name].data,
        _format(precision),
        *(megabytes(_median(m.peak_bytes for m in side)) for side in (theirs, ours)),
        _each(shares),
        f"≤ {MEMORY_GOAL:g}: {_met(statistics.median(shares) <= MEMORY_GOAL)}",
        *map(megabytes, before),
    ]


def _result(name: str, precision: Precision, pairs: list[Pair]) -> tuple[str, str, str]:
    if pairs[0].cosines:
        mean, smallest = (
            _median(pair.cosines[precision][index] for pair in pairs) for index in (0, 1)
        )
        return "cosine between both", "–", f"mean {mean:.6f}, smallest {smallest:.6f}"
    what = "accuracy" if WORKS[name].settings["kind"] == "intents" else "Spearman"
    sides = _both(pairs, precision)
    peer, graft = (_each([m.done.quality or 0.0 for m in side], 4) for side in sides)
    return what, peer, graft


def _format(precision: Precision) -> str:
    resolved = resolve_precision(precision)
    return resolved if resolved == precision else f"{precision} ({resolved})"


def _each(values: Sequence[float], digits: int = 2) -> str:
    """Return the median and, if there are several, each value."""
    each = ", ".join(f"{value:.{digits}f}" for value in values)
    median = f"{statistics.median(values):.{digits}f}"
    return f"{median} ({each})" if len(values) > 1 else median


def _met(reached: bool) -> str:
    return "met" if reached else "missed"


def _median(values: Iterable[float]) -> float:
    return float(statistics.median(values))
