"""Graft against its peers: `python -m speed.run`, with `benchmarks` on the path.

Each pair measures the peer and Graft one after the other, each in a process of its own, in an
order that turns round from pair to pair, and with a seed that changes with it. `--quick` takes few
rows: it shows that everything runs, and its ratios mean nothing, because what is paid once a run
weighs too much.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from graft.models.locate import locate_base
from speed import growth, tables
from speed.pairing import Pair, jobs_of, one_pair
from speed.rows import read
from speed.works import GROWING, QUICK_ROWS, WORKS, shortened


def main() -> None:
    asked = _asked()
    base = locate_base(asked.base).folder
    tables.print_machine(quick=asked.quick)
    pairs = {name: _pairs(name, base, asked) for name in WORKS if name in asked.only}
    if pairs:
        tables.print_pairs(pairs)
    for name in GROWING:
        if name in asked.only:
            tables.say(name)
            growth.print_growth(name, base, asked.data, asked.repeats, quick=asked.quick)


def _pairs(name: str, base: Path, asked: argparse.Namespace) -> list[Pair]:
    work, rows = WORKS[name], read(WORKS[name].data, asked.data)
    if asked.quick:
        work, rows = shortened(work), rows.few(QUICK_ROWS, QUICK_ROWS)
    found = []
    with tempfile.TemporaryDirectory() as place:
        jobs = jobs_of(work, base, rows, Path(place))
        for index in range(asked.repeats):
            tables.say(f"{name}: pair {index + 1} of {asked.repeats}")
            found.append(one_pair(jobs, index))
    return found


def _asked() -> argparse.Namespace:
    names = [*WORKS, *GROWING]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=names,
        metavar="NAME,…",
        help=f"some of {', '.join(names)}",
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--base", default="all-MiniLM-L6-v2", help="folder or name")
    parser.add_argument("--repeats", type=int, default=3, help="pairs of each work")
    parser.add_argument("--quick", action="store_true", help="few rows: only that it runs")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.only) - set(names)):
        parser.error(f"--only names {', '.join(unknown)}; choose from {', '.join(names)}")
    return asked


if __name__ == "__main__":
    main()
