"""A check that always says that all is well makes the zoo red."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from faults.every import CHECKS, FAULTS
from faults.zoo import Fault, Planted


def test_every_check_has_a_fault_of_its_own() -> None:
    caught = {name for fault in FAULTS for name in fault.caught_by}
    assert sorted(set(CHECKS) - caught) == []


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
def test_a_sabotaged_check_lets_a_fault_pass(
    check: str, planted: Callable[[Fault], Planted]
) -> None:
    watched = [fault for fault in FAULTS if check in fault.caught_by]
    assert any(check not in f.catches(planted(f).findings(check)) for f in watched)
