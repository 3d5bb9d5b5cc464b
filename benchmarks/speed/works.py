"""What is measured: each work with its peer, its settings and its goals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from graft.models.precision import Precision

MEMORY_GOAL = 0.8  # of the peer's peak
GROWTH_GOAL = 0.1  # by which seconds per row may change
QUICK_ROWS = 160


@dataclass(frozen=True)
class Work:
    """One kind of work that Graft and a peer do on the same rows.

    Args:
        title: What the table calls it.
        peer: Who does it too.
        data: Data set.
        settings: Fields of the jobs of both sides.
        goals: How many times as fast as the peer Graft is to be, by its number format.
    """

    title: str
    peer: str
    data: str
    settings: dict[str, Any]
    goals: dict[Precision, float] = field(default_factory=dict)


_PAIRS = {"kind": "pairs", "batch": 16, "rate": 2e-5}
_INTENTS = {"kind": "intents", "batch": 16, "rate": 2e-5, "head_rate": 1e-3, "epochs": 3}
_TRAINER, _SENTENCE = "Transformers Trainer", "Sentence-Transformers"

WORKS: dict[str, Work] = {
    "standard": Work(
        "pairs, all weights",
        _SENTENCE,
        "dating_pairs",
        {**_PAIRS, "epochs": 4, "warmup": 100},
        {"auto": 3.0, "fp32": 1.6},
    ),
    "sts": Work(
        "pairs, all weights",
        _SENTENCE,
        "stsbenchmark",
        {**_PAIRS, "epochs": 1},
        {"auto": 3.0, "fp32": 1.6},
    ),
    "lora": Work(
        "pairs, LoRA",
        f"{_SENTENCE} + PEFT",
        "dating_pairs",
        {**_PAIRS, "epochs": 4, "warmup": 100, "rate": 2e-4, "method": "lora"},
        {"auto": 3.0},
    ),
    "head": Work(
        "classes, head alone", _TRAINER, "banking77", {**_INTENTS, "method": "head"}, {"auto": 20.0}
    ),
    "top2": Work(
        "classes, top 2 layers",
        _TRAINER,
        "banking77",
        {**_INTENTS, "method": "top2"},
        {"auto": 2.5},
    ),
    "encode": Work(
        "encode", _SENTENCE, "it_service_tickets", {"kind": "encode", "batch": 32}, {"auto": 2.5}
    ),
}
GROWING = {"growth-pairs": "sts", "growth-head": "head", "growth-encode": "encode"}


def shortened(work: Work) -> Work:
    """Return the work for few rows: a warm-up of a hundred steps would not end."""
    kept = {name: value for name, value in work.settings.items() if name != "warmup"}
    return replace(work, settings=kept)
