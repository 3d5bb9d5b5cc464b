"""The roles of rows and of runs, as types: a test row cannot pass for a validation row."""

from __future__ import annotations

from enum import StrEnum


class Split(StrEnum):
    """What a row may be used for: train teaches, validation chooses, test reports, once."""

    train = "train"
    validation = "validation"
    test = "test"


class Role(StrEnum):
    """What a run is in the comparison: a way to adapt the base, or a yardstick for it."""

    arm = "arm"
    baseline = "baseline"
