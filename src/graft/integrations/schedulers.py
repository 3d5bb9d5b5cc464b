"""Schedulers that a caller built: the length they are made for beside the steps they get."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

from graft.core.options import OptionInForce

# Fewer steps than this share of its length: a schedule that stays near its start.
_SHORT = 0.5


def made_for(scheduler: Any) -> tuple[int | None, int]:  # noqa: ANN401
    """Return the steps that a scheduler is made for, None if it does not say, and its warm-up.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        >>> made_for(torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40))
        (40, 0)
    """
    for name in ("total_steps", "T_max", "total_iters"):
        steps = getattr(scheduler, name, None)
        if isinstance(steps, int):
            return steps, 0
    for rule in getattr(scheduler, "lr_lambdas", ()):
        if isinstance(rule, functools.partial):  # a schedule of Transformers
            named = rule.keywords
            return named.get("num_training_steps"), int(named.get("num_warmup_steps") or 0)
    return None, 0


def warmup_steps(config: Any) -> int:  # noqa: ANN401
    """Return the optimizer steps of warm-up of one of Lightning's scheduler configs."""
    _, warmup = made_for(config.scheduler)
    return warmup if config.interval == "step" else 0


def scheduler_options(
    configs: Iterable[Any], total_steps: int, steps_per_epoch: int
) -> list[OptionInForce]:
    """Return for each scheduler the steps that it is made for and those that it will get.

    A schedule over all optimizer steps that is stepped once an epoch stays near its start.

    Args:
        configs: Lightning's scheduler configs.
        total_steps: Optimizer steps of the run.
        steps_per_epoch: Optimizer steps of an epoch.
    """
    found = []
    for config in configs:
        length, _ = made_for(config.scheduler)
        if length is None:
            continue
        steps = (
            total_steps if config.interval == "step" else math.ceil(total_steps / steps_per_epoch)
        )
        given = steps // max(int(config.frequency), 1)
        wrong = length >= total_steps > steps_per_epoch and given < _SHORT * length
        found.append(
            OptionInForce(
                f"{type(config.scheduler).__name__}, stepped every {config.interval}",
                length,
                given,
                not wrong,
                "steps it is made for, and steps that it gets",
            )
        )
    return found
