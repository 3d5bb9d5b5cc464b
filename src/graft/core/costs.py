"""What a run cost in time, memory and energy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunCost:
    """The measured cost of one run.

    Args:
        train_seconds: Wall time of training, evaluation during training included.
        predict_seconds: Wall time of loading and predicting in the fresh process.
        peak_memory_bytes: Largest resident size of the training process during the run.
        energy_joules: Energy of the processor package, None if the machine does not tell.
        artefact_bytes: Size of the model folder.
        adapter_bytes: Size of the adapter's weight file, None without an adapter.
        device: Processor or GPU that it ran on.
        threads: Threads that computed, None if that was not recorded.
    """

    train_seconds: float
    predict_seconds: float
    peak_memory_bytes: int
    energy_joules: float | None
    artefact_bytes: int
    adapter_bytes: int | None
    device: str
    threads: int | None = None
