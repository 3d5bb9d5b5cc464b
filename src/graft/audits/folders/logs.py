"""What a trainer logged, whoever it was: one record a line, with step, loss, rate and metrics."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.core.errors import DataError, Problem

STATE = "trainer_state.json"
_FIX = "give trainer_state.json, or a CSV or JSONL file with the columns step and loss"
_NAMES = {
    "loss": ("loss", "train_loss", "train_loss_step", "train/loss", "loss_step"),
    "rate": ("learning_rate", "lr", "train/learning_rate"),
    "gradient": ("grad_norm", "train/grad_norm", "gradient_norm"),
}


@dataclass(frozen=True)
class LogRecord:
    """What was logged at one step; None where nothing was, NaN where that was logged."""

    step: int
    loss: float | None
    rate: float | None
    gradient: float | None
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Log:
    """What a trainer logged.

    Args:
        path: The file.
        records: In the order in which they were logged.
        state: The rest of `trainer_state.json`; empty for other logs.
        own: True for a history that Graft wrote.
    """

    path: Path
    records: tuple[LogRecord, ...]
    state: Mapping[str, Any]
    own: bool = False

    def series(self, name: str) -> list[tuple[int, float]]:
        """Return step and value wherever `loss`, `rate` or `gradient` was logged."""
        return [(r.step, v) for r in self.records if (v := getattr(r, name)) is not None]

    def metric(self, name: str) -> list[tuple[int, float]]:
        """Return step and value wherever the metric was logged."""
        return [(r.step, r.metrics[name]) for r in self.records if name in r.metrics]


def find_log(path: Path, folder: Path) -> Path | None:
    """Return the log that lies with the tuned folder: in it, in a checkpoint, or beside it."""
    checkpoints = sorted(folder.glob("checkpoint-*"), key=_step_of) if folder.is_dir() else []
    places = [folder, *reversed(checkpoints), folder.parent, path]
    names = (STATE, "history.jsonl")
    return next((p / name for p in places for name in names if (p / name).is_file()), None)


def _step_of(folder: Path) -> int:
    found = re.search(r"(\d+)$", folder.name)
    return int(found[1]) if found else -1


def read_log(path: Path) -> Log:
    """Return the records of a log.

    Args:
        path: `trainer_state.json`, a JSON list, JSONL or CSV.

    Raises:
        DataError: The file is not there, of another format, or holds no record with a step.
    """
    state: Mapping[str, Any] = {}
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            content = json.loads(text)
            state = content if isinstance(content, dict) else {}
            raw = state.get("log_history", []) if state else content
        elif path.suffix == ".jsonl":
            raw = _lines(text)
        elif path.suffix == ".csv":
            raw = list(csv.DictReader(text.splitlines()))
        else:
            raise ValueError(f"its format '{path.suffix}' is not read")
        records = tuple(_records(raw))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        what = f"cannot be read as a log: {error}"
        raise DataError(path.name, [Problem(str(path), what, _FIX)]) from None
    if not records:
        raise DataError(path.name, [Problem(str(path), "holds no record with a step", _FIX)])
    rest = {key: value for key, value in state.items() if key != "log_history"}
    own = any("kind" in record and "rates" in record for record in raw)
    return Log(path, records, rest, own)


def _lines(text: str) -> list[Any]:
    """Return the records of JSONL; a last line without its end is torn and left out."""
    lines = [line for line in text.splitlines(keepends=True) if line.strip()]
    records = [json.loads(line) for line in lines[:-1]]
    with contextlib.suppress(ValueError) if records else contextlib.nullcontext():
        records += [json.loads(line) for line in lines[-1:]]
    return records


def _records(raw: Iterable[Mapping[str, Any]]) -> Iterable[LogRecord]:
    for record in raw:
        step = _number(record.get("step", record.get("global_step")))
        if step is None or not math.isfinite(step):
            continue
        rates = record.get("rates") or {}
        rate = max(rates.values()) if rates else _first(record, "rate")
        if rate is None:
            named = [_number(v) for key, v in record.items() if str(key).startswith("lr-")]
            rate = max((value for value in named if value is not None), default=None)
        metrics = {**record, **(record.get("metrics") or {})}
        yield LogRecord(
            step=int(step),
            loss=_first(record, "loss"),
            rate=rate,
            gradient=_first(record, "gradient"),
            metrics={
                str(key): number
                for key, value in metrics.items()
                if str(key).startswith(("eval_", "val_", "validation_"))
                and (number := _number(value)) is not None
                and math.isfinite(number)
            },
        )


def _first(record: Mapping[str, Any], name: str) -> float | None:
    found = (_number(record[key]) for key in _NAMES[name] if key in record)
    return next((value for value in found if value is not None), None)


def _number(value: object) -> float | None:
    """Return the number, also of a text in a CSV file; None for what is none, such as a blank."""
    if isinstance(value, bool) or value is None or value == "":
        return None
    try:
        return float(str(value))
    except ValueError:
        return None
