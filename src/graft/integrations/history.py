"""The history of a foreign training: one line per step or evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graft.core.files import append_jsonl


class History:
    """Appends to `history.jsonl`.

    Args:
        path: The file.
        steps_per_epoch: Optimizer steps of an epoch.
    """

    def __init__(self, path: Path, steps_per_epoch: int) -> None:
        self.path, self.steps_per_epoch = path, max(steps_per_epoch, 1)

    def step(self, step: int, loss: float | None, rates: Mapping[str, float], rows: int) -> None:
        """Note a step; a loss that is no finite number is None."""
        record = self._record("step", step)
        append_jsonl(self.path, {**record, "loss": loss, "rates": dict(rates), "rows": rows})

    def evaluation(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Note the finite numbers of an evaluation."""
        numbers = {
            name: float(value)
            for name, value in metrics.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        append_jsonl(self.path, {**self._record("evaluation", step), "metrics": numbers})

    def _record(self, kind: str, step: int) -> dict[str, object]:
        return {"kind": kind, "step": step, "epoch": step / self.steps_per_epoch}
