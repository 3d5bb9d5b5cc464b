"""A fault is planted once in a session, whatever is asked of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from faults.zoo import Fault, Planted, plant

Planting = Callable[[Fault], Planted]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planting:
    """Return what a fault asked of the checks; each fault is planted once."""
    known: dict[str, Planted] = {}

    def find(fault: Fault) -> Planted:
        if fault.name not in known:
            known[fault.name] = plant(fault.plant, tmp_path_factory.mktemp("fault") / "run")
        return known[fault.name]

    return find
