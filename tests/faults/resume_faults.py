"""Faults of taking an interrupted training up again, planted in Graft's own loop."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faults.graft_runs import NOTHING, THAW, graft_run, tuned
from faults.zoo import Planted, Registry, sabotage
from graft.core.findings import Status
from graft.train import loop

fault = Registry()
SAVED = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 9}


class _PowerCut(Exception):
    """The machine goes down."""


@fault("FRZ-01", "trainable_set", "movement")
def thaw_undone_by_the_resume(folder: Path) -> Planted:
    """Taken up after the thaw, the loop freezes what the first phase froze."""

    def refrozen(enter: Any) -> Any:
        return lambda model, plan, phase, parameters: enter(model, plan, 0, parameters)

    return interrupted(folder, 5, sabotage(loop, "enter_phase", refrozen), arm=THAW)


@fault("RES-01", "rates")
def schedule_from_the_start(folder: Path) -> Planted:
    """After the interruption the schedule begins again at its first step."""

    def again(set_rates: Any) -> Any:
        return lambda held, plan, step: set_rates(held, plan, step - 4)

    return interrupted(folder, 4, sabotage(loop, "set_rates", again))


@fault("RES-02", "rows_seen")
def rows_from_the_start(folder: Path) -> Planted:
    """Taken up in the middle of an epoch, the loader deals out its first rows again."""

    def rewound(order: Any) -> Any:
        def rows(self: Any, epoch: int) -> Any:
            dealt = order(self, epoch)
            return dealt if epoch else dealt[:32] + dealt[:32]

        return rows

    return interrupted(folder, 2, sabotage(loop._Loop, "_order", rewound))


@fault("RES-02", "resume")
def steps_taken_twice(folder: Path) -> Planted:
    """The counter of the checkpoint is read as the step before, so a step is taken twice."""

    def late(resume: Any) -> Any:
        def first(self: Any) -> int:
            return int(resume(self)) - 1

        return first

    return interrupted(folder, 3, sabotage(loop._Loop, "_resume", late))


@fault("RES-05", "resume", status=Status.warned)
def newest_checkpoint_cut_short(folder: Path) -> Planted:
    """The newest checkpoint was cut short by a full disk; the one before is taken and named."""

    def cut(paths: Any) -> None:
        file = _newest(paths) / "weights.safetensors"
        file.write_bytes(file.read_bytes()[:-64])

    return interrupted(folder, 3, damage=cut)


def interrupted(
    folder: Path,
    after: int,
    resuming: Any = NOTHING,
    arm: Mapping[str, Any] | None = None,
    damage: Any = lambda paths: None,
) -> Planted:
    """Stop a training after step `after`, take it up with `resuming` in force, audit it."""

    def cut(evaluate: Any) -> Any:
        def then(self: Any, step: int) -> None:
            evaluate(self, step)
            if step == after:
                raise _PowerCut

        return then

    with contextlib.suppress(_PowerCut), sabotage(loop._Loop, "_evaluate_and_save", cut):
        graft_run(folder, arm or {}, training=SAVED)
    damage(tuned(folder))
    return graft_run(folder, arm or {}, training=SAVED, during=resuming)


def _newest(paths: Any) -> Path:
    return max(paths.checkpoints.glob("step-*"), key=lambda place: int(place.name[5:]))
