"""All checks, in the order in which their findings are shown."""

from __future__ import annotations

from graft.audits import (
    artefact,
    chance,
    degenerate,
    distinct,
    equivalence,
    invariance,
    loading,
    merging,
    movement,
    options,
    pretraining,
    rates,
    reading,
    resume,
    rows,
    saving,
    supervision,
    tables,
    trainable,
    trainers,
)
from graft.audits.contract import Check, not_for
from graft.audits.evidence import DataEvidence, RunEvidence

ARM_CHECKS: tuple[Check[RunEvidence], ...] = (
    *trainable.CHECKS,
    *equivalence.GRADIENT,
    *movement.CHECKS,
    *rates.CHECKS,
    *supervision.CHECKS,
    *rows.CHECKS,
    *loading.CHECKS,
    *artefact.CHECKS,
    *distinct.CHECKS,
    *merging.CHECKS,
    *reading.CHECKS,
    *invariance.CHECKS,
    *degenerate.CHECKS,
    *chance.CHECKS,
    *resume.CHECKS,
    *equivalence.ACCUMULATION,
    *options.CHECKS,
)
DATA_CHECKS: tuple[Check[DataEvidence], ...] = (*rows.DATA_CHECKS, *tables.DATA_CHECKS)
# Of a whole experiment, whose stages have read its recipe.
RECIPE_CHECKS: tuple[Check[DataEvidence], ...] = options.RECIPE_CHECKS
# Of a pretraining: it has no labels, and no test rows; what is served is the arms.
_WITHOUT_LABELS = "a pretraining has no labels and no test rows; the arms that begin with it have"
PRETRAINING_CHECKS: tuple[Check[RunEvidence], ...] = (
    *trainable.CHECKS,
    *equivalence.GRADIENT,
    *movement.CHECKS,
    *rates.CHECKS,
    *supervision.CHECKS,
    *(check for check in rows.CHECKS if check.name == "rows_seen"),
    *loading.CHECKS,
    *invariance.CHECKS,
    *pretraining.CHECKS,
    *resume.CHECKS,
    *equivalence.ACCUMULATION,
    *options.CHECKS,
    *(
        not_for(check, _WITHOUT_LABELS)
        for check in (
            *(check for check in rows.CHECKS if check.name != "rows_seen"),
            *artefact.CHECKS,
            *merging.CHECKS,
            *reading.CHECKS,
            *degenerate.CHECKS,
            *chance.CHECKS,
        )
    ),
)
# Of a training that another library ran and a callback watched.
TRAINER_CHECKS: tuple[Check[RunEvidence], ...] = (
    *trainable.CHECKS,
    *movement.CHECKS,
    *trainers.RATES,
    *supervision.CHECKS,
    *trainers.ORDER,
    *trainers.LOADING,
    *saving.CHECKS,
    # The others ask what only Graft's own loop does.
    *(check for check in invariance.CHECKS if check.name in ("row_alone", "frozen_modes")),
    *equivalence.ACCUMULATION,
    *options.CHECKS,
)
