"""Every fault of the zoo is planted as it happens in the wild and caught by its check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from faults.catalogue import NOT_MEASURED, TITLES
from faults.every import CHECKS, FAULTS
from faults.zoo import Fault, Planted, told


def test_every_fault_is_planted_or_said_not_to_be() -> None:
    planted = {fault.id for fault in FAULTS}
    assert len(TITLES) == 98
    assert planted | set(NOT_MEASURED) == set(TITLES)
    assert not planted & set(NOT_MEASURED)


def test_every_way_of_planting_has_a_name_and_a_sentence() -> None:
    names = Counter(fault.name for fault in FAULTS)
    assert [name for name, count in names.items() if count > 1] == []
    for fault in FAULTS:
        assert fault.planted.endswith("."), fault.name
        assert fault.caught_by, fault.name
        assert set(fault.caught_by) <= set(CHECKS), fault.name


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_planted_fault_is_caught_by_name(
    fault: Fault, planted: Callable[[Fault], Planted]
) -> None:
    findings = planted(fault).findings()
    caught = fault.catches(findings)
    missed = [name for name in fault.caught_by if name not in caught]
    assert not missed, f"{missed} did not answer {fault.status}\n{told(findings)}"
    for finding in caught.values():
        assert finding.fix
        assert finding.evidence
