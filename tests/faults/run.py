"""`make faults`: plant every fault, run every healthy training, count; `--write` keeps the page."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

from faults.catalogue import NOT_MEASURED, TITLES
from faults.every import FAULTS, HEALTHY
from faults.graft_runs import material
from faults.healthy import Healthy
from faults.zoo import Fault, plant
from graft.core.findings import Finding
from graft.core.processors import usable_cores

PAGE = Path(__file__).parents[2] / "docs" / "fault-zoo.md"
COMMAND = "make faults WRITE=--write"
LONGEST = 200


@dataclass(frozen=True)
class Tried:
    """What became of one fault: the findings that caught it, and what went wrong otherwise."""

    fault: Fault
    caught: dict[str, Finding]
    problem: str

    @property
    def is_caught(self) -> bool:
        """True if every check that is named caught it."""
        return set(self.caught) == set(self.fault.caught_by)


def main() -> int:
    """Return 0 if every planted fault was caught and no healthy run raised an alarm."""
    parser = argparse.ArgumentParser(description="Plant every fault and run what is healthy.")
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    parser.add_argument("names", nargs="*", help="only what has one of these in its name")
    given = parser.parse_args()

    def wanted(name: str) -> bool:
        return not given.names or any(part in name for part in given.names)

    with tempfile.TemporaryDirectory(prefix="fault-zoo-") as scratch:
        root = Path(scratch)
        faults = [place for place, fault in enumerate(FAULTS) if wanted(fault.name)]
        healthy = [place for place, run in enumerate(HEALTHY) if wanted(run.name)]
        # The models are so small that a second thread only waits; a second process does not.
        with ProcessPoolExecutor(
            usable_cores(), get_context("spawn"), torch.set_num_threads, (1,)
        ) as pool:
            found = pool.map(partial(_try, root=root), faults)
            heard = pool.map(partial(_alarms, root=root), healthy)
            tried = [Tried(FAULTS[at], *rest) for at, rest in zip(faults, found, strict=True)]
            alarms = {HEALTHY[at]: said for at, said in zip(healthy, heard, strict=True)}
    missed = [one for one in tried if not one.is_caught]
    false = [run for run, found in alarms.items() if found]
    summary = (
        f"caught {len(tried) - len(missed)} / planted {len(tried)} / not measured"
        f" {len(NOT_MEASURED)} ({len({one.fault.id for one in tried})} of {len(TITLES)} faults,"
        f" some in several ways); false alarms {len(false)} / healthy {len(alarms)}"
    )
    _say(summary)
    if given.write and not given.names:
        PAGE.write_text(page(tried, alarms, summary), encoding="utf-8")
    return 1 if missed or false else 0


def _try(place: int, root: Path) -> tuple[dict[str, Finding], str]:
    """Return the findings that caught the fault in this place, and what went wrong otherwise."""
    fault = FAULTS[place]
    try:
        findings = plant(fault.plant, root / fault.name).findings()
    except Exception as error:  # noqa: BLE001 - a case that breaks is not caught; others go on
        caught, problem = {}, f"{type(error).__name__}: {error}"
    else:
        caught = fault.catches(findings)
        missing = [name for name in fault.caught_by if name not in caught]
        problem = f"not caught by {', '.join(missing)}" if missing else ""
    _say(f"{'MISSED' if problem else 'caught'}  {fault.name}  {problem}".rstrip())
    return caught, problem


def _alarms(place: int, root: Path) -> list[str]:
    run = HEALTHY[place]
    folder = root / re.sub(r"\W+", "-", run.name)
    try:
        found = [
            f"{f.where} {f.name}: {f.summary}"
            for f in run.alarms(plant(run.run, folder).findings())
        ]
    except Exception as error:  # noqa: BLE001 - the same
        found = [f"{type(error).__name__}: {error}"]
    _say(f"{'ALARM ' if found else 'quiet '}  {run.name}")
    for alarm in found:
        _say(f"          {alarm[:LONGEST]}")
    return found


def page(tried: list[Tried], healthy: Mapping[Healthy, list[str]], summary: str) -> str:
    """Return the page: what was planted and caught, what is not measured, what stayed quiet."""
    lines = [
        "# The fault zoo",
        "",
        "Trainings fail in silence: they end without an error and the result is worthless. Each",
        "fault below was reported somewhere in public. Each is planted the way it happens, in a",
        "real training of a tiny model, and must be caught by the checks that are named; the",
        "healthy trainings at the end must raise no alarm. For every check the suite also shows",
        "that the zoo turns red when that check is silenced.",
        "",
        f"`make faults` plants them all again; this page was written by `{COMMAND}`.",
        "",
        f"**{summary[:1].upper()}{summary[1:]}.**",
        "",
        "## Planted and caught",
        "",
        "| id | fault | planted | caught by | what the finding said |",
        "|---|---|---|---|---|",
    ]
    for one in tried:
        names = ", ".join(f"`{name}`" for name in one.fault.caught_by)
        said = _evidence(one)
        cells = (one.fault.id, TITLES[one.fault.id], one.fault.planted, names, said)
        lines.append(f"| {' | '.join(cell.replace('|', '∣') for cell in cells)} |")
    lines += ["", "## Not measured", "", "| id | fault | why |", "|---|---|---|"]
    lines += [f"| {i} | {TITLES[i]} | {reason} |" for i, reason in NOT_MEASURED.items()]
    lines += ["", "## Healthy trainings", ""]
    for run, alarms in healthy.items():
        lines.append(f"- {run.name}" + (f" | **alarm**: {_short(alarms[0])}" if alarms else ""))
    return "\n".join([*lines, ""])


def _evidence(one: Tried) -> str:
    if not one.is_caught:
        return f"**missed**: {one.problem}"
    return _short(one.caught[one.fault.caught_by[0]].summary)


def _short(said: str) -> str:
    """Return the sentence without folders of this run, cut if it is long."""
    said = re.sub(rf"({re.escape(str(material()))}|/\S*/fault-zoo-\w+)(/[\w.-]+)*/", "…/", said)
    return said if len(said) <= LONGEST else f"{said[:LONGEST].rsplit(' ', 1)[0]} …"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
