"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from graft.config.sections import TrainingSection


def warmup_count(training: TrainingSection, total_steps: int) -> int:
    """Return the number of warm-up steps: as given, or a share of all steps, rounded up.

    Example:
        >>> warmup_count(TrainingSection(warmup_steps=0.1), 295)
        30
    """
    if training.warmup_steps >= 1:
        return int(training.warmup_steps)
    return math.ceil(training.warmup_steps * total_steps)


def factor(training: TrainingSection, step: int, total_steps: int, warmup: int) -> float:
    """Return the share of the peak rate that step `step` (from 0) of `total_steps` uses, 0 to 1.

    Warm-up rises linearly from 0. Then: `linear` and `polynomial` fall to 0, `cosine` falls along
    half a cosine, `cosine_with_restarts` along `num_cycles` of them (Loshchilov & Hutter 2017),
    `constant` stays, `one_cycle` rises and falls along cosines, from 1/25 of the peak and to
    1/10,000 of the start (Smith & Topin 2018).

    Example:
        >>> [factor(TrainingSection(), step, 6, 2) for step in range(6)]
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    """
    if training.lr_scheduler_type == "one_cycle":
        return _one_cycle(step, total_steps, max(warmup, 1))
    if step < warmup:
        return step / warmup
    progress = (step - warmup) / max(total_steps - warmup, 1)
    decay: dict[str, Callable[[float], float]] = {
        "constant": lambda _: 1.0,
        "linear": lambda x: 1.0 - x,
        "polynomial": lambda x: float((1.0 - x) ** training.power),
        "cosine": lambda x: _cosine_between(1.0, 0.0, x),
        "cosine_with_restarts": lambda x: _cosine_between(1.0, 0.0, training.num_cycles * x % 1.0),
    }
    return decay[training.lr_scheduler_type](progress)


def _one_cycle(step: int, total_steps: int, rise: int) -> float:
    start, end = 1 / 25, 1 / 25 / 10_000
    if step < rise:
        return _cosine_between(start, 1.0, step / rise)
    return _cosine_between(1.0, end, (step - rise) / max(total_steps - rise, 1))


def _cosine_between(first: float, last: float, share: float) -> float:
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * share))
