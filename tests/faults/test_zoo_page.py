"""The page of the zoo lists what is planted, what is not measured and what stays quiet."""

from __future__ import annotations

import re

from faults.catalogue import NOT_MEASURED, TITLES
from faults.every import FAULTS, HEALTHY
from faults.run import PAGE

ROW = re.compile(r"^\| ([A-Z]{3}-\d\d) \| (.+?) \|", re.MULTILINE)


def section(title: str) -> str:
    return PAGE.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_page_lists_every_planted_fault_in_order() -> None:
    rows = ROW.findall(section("Planted and caught"))
    assert rows == [(fault.id, TITLES[fault.id]) for fault in FAULTS]
    for fault in FAULTS:
        assert fault.planted in PAGE.read_text(encoding="utf-8")


def test_the_page_lists_what_is_not_measured_and_why() -> None:
    assert ROW.findall(section("Not measured")) == [(i, TITLES[i]) for i in NOT_MEASURED]


def test_the_page_lists_every_healthy_run() -> None:
    lines = [line for line in section("Healthy trainings").splitlines() if line[:2] == "- "]
    assert [line[2:].partition(" | ")[0] for line in lines] == [run.name for run in HEALTHY]


def test_the_page_counts_as_the_registries_do() -> None:
    counted = f"planted {len(FAULTS)} / not measured {len(NOT_MEASURED)}"
    assert counted in PAGE.read_text(encoding="utf-8")
    assert f"/ healthy {len(HEALTHY)}" in PAGE.read_text(encoding="utf-8")
