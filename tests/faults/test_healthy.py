"""A healthy training raises no alarm, whatever its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.every import HEALTHY
from faults.healthy import Healthy
from faults.zoo import plant, told


def test_there_are_enough_healthy_runs() -> None:
    names = [run.name for run in HEALTHY]
    assert len(names) >= 30
    assert len(set(names)) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize("run", HEALTHY, ids=[run.name for run in HEALTHY])
def test_a_healthy_run_raises_no_alarm(run: Healthy, tmp_path: Path) -> None:
    alarms = run.alarms(plant(run.run, tmp_path / "run").findings())
    assert not alarms, told(alarms)
