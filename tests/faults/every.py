"""Every fault of the zoo and every healthy run, in the order of the catalogue."""

from __future__ import annotations

from faults import (
    data_faults,
    evaluation_faults,
    folder_faults,
    fusion_faults,
    label_faults,
    load_faults,
    loop_faults,
    pretraining_faults,
    resume_faults,
    save_faults,
    trainer_faults,
)
from faults.catalogue import TITLES
from faults.healthy import RUNS
from faults.zoo import Fault
from graft.audits.folders.registry import FOLDER_CHECKS
from graft.audits.fusion import CHECKS as FUSION_CHECKS
from graft.audits.pretraining import DATA_CHECKS as PRETRAINING_ROWS
from graft.audits.registry import (
    ARM_CHECKS,
    DATA_CHECKS,
    PRETRAINING_CHECKS,
    RECIPE_CHECKS,
    TRAINER_CHECKS,
)

_PLACES = (
    loop_faults,
    load_faults,
    save_faults,
    data_faults,
    evaluation_faults,
    pretraining_faults,
    fusion_faults,
    label_faults,
    resume_faults,
    trainer_faults,
    folder_faults,
)
_ORDER = list(TITLES)
FAULTS: tuple[Fault, ...] = tuple(
    sorted(
        (fault for place in _PLACES for fault in place.fault.faults),
        key=lambda fault: _ORDER.index(fault.id),
    )
)
HEALTHY = RUNS
_ASKED = (
    *(ARM_CHECKS, DATA_CHECKS, RECIPE_CHECKS),
    *(FUSION_CHECKS, TRAINER_CHECKS, FOLDER_CHECKS),
    *(PRETRAINING_CHECKS, PRETRAINING_ROWS),
)
CHECKS = tuple(sorted({check.name for checks in _ASKED for check in checks}))
