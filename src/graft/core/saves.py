"""What a trainer wrote to disk, compared with the model in memory at that moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Save:
    """One folder that a trainer saved.

    Args:
        folder: The folder.
        step: Optimizer steps taken before.
        tensors: Tensors in its weight files.
        changed: Tensors of the model that training had changed by then.
        missing: Changed tensors that the files do not hold.
        different: Tensors that the files hold with other values than memory.
        unknown: Tensors of the files that the model does not have.
    """

    folder: str
    step: int
    tensors: int
    changed: int
    missing: tuple[str, ...]
    different: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Saves:
    """Every folder that a trainer saved, in order.

    Args:
        items: The folders.
        best: Folder that the trainer calls the best, empty if it names none.
        chosen_by: Metric that chose it, empty if none did.
        evaluations: Step to the value of that metric, as the trainer logged it.
        greater_is_better: Direction in which the trainer chose; None if it chose nothing.
        restored: True if the weights in memory at the end are those of `best`; None if `best` is
            empty or was not to be restored.
    """

    items: tuple[Save, ...]
    best: str = ""
    chosen_by: str = ""
    evaluations: dict[str, float] | None = None
    greater_is_better: bool | None = None
    restored: bool | None = None
