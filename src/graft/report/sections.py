"""What the sections show that every page has: findings, trainings, charts.

The pages of an experiment, of a pretraining and of a training that Graft did not run include the
same templates. What these ask for is listed here once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graft.core.findings import Finding
from graft.report import words
from graft.report.evidence import RunEvidence
from graft.report.findings import places, statuses
from graft.report.training import summary


def sections(
    findings: Sequence[Finding],
    titles: Mapping[str, str],
    trainings: Sequence[RunEvidence],
    *,
    place: Callable[[str], str] = lambda where: "",
    foreign: bool = False,
    first_seed: str = "",
    key_of: str = "line",
) -> dict[str, Any]:
    """Return what the shared templates ask for.

    Args:
        findings: Everything that the checks said.
        titles: What findings can be about, in the order of the page.
        trainings: The runs that were trained.
        place: From what a finding is about to its title; empty on a page about one training.
        foreign: True if another library ran the training.
        first_seed: That what stands for one model is the first seed's; empty if there is only one.
        key_of: What a key of a chart stands for.
    """
    return {
        "checked": bool(findings),
        "failures": words.blocked(findings, place),
        "accepted": [finding for finding in findings if finding.accepted],
        "place": place,
        "places": places(findings, titles),
        "statuses": statuses(findings),
        "training": [summary(run) for run in trainings],
        "foreign": foreign,
        "first_seed": first_seed,
        "key_of": key_of,
    }
