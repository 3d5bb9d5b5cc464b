"""Arguments of a Transformers trainer: steps and rates they ask for, and what is in force."""

from __future__ import annotations

import math
from collections.abc import Sized
from dataclasses import MISSING, fields
from typing import Any

import torch
from transformers import Trainer, TrainerState, get_scheduler

from graft.core.options import OptionInForce, OptionUse, Value
from graft.integrations.adaptation import adapter_options, quantisation
from graft.integrations.planning import Schedule

# Their rates depend on what training measures.
_ADAPTIVE = ("reduce_lr_on_plateau", "greedy")


def asked(args: Any) -> dict[str, object]:  # noqa: ANN401
    """Return the arguments that differ from their defaults."""
    found = {}
    for item in fields(args):
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        value = getattr(args, item.name, default)
        if item.init and not item.name.startswith("_") and value != default:
            found[item.name] = value
    return found


def planned_schedule(trainer: Trainer, state: TrainerState, optimizer_given: bool) -> Schedule:
    """Return steps and rates computed anew from the arguments, not read from the trainer.

    Args:
        trainer: The trainer.
        state: Its state when training begins.
        optimizer_given: True if the caller built the optimizer.
    """
    args = trainer.args
    per_epoch, total = _steps(trainer, state)
    name = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
    rates: tuple[tuple[float, ...], ...] = ()
    if not getattr(trainer, "_created_lr_scheduler", False):
        name = "the caller built the scheduler"
    elif name in _ADAPTIVE:
        name = f"{name} depends on the evaluations"
    else:
        rates = _rates(trainer, name, total, optimizer_given)
    return Schedule(
        name=name,
        total_steps=total,
        steps_per_epoch=per_epoch,
        warmup_steps=args.get_warmup_steps(total),
        rates=rates,
        first_step=state.global_step,
        first_epoch=state.global_step // per_epoch,
    )


def _steps(trainer: Trainer, state: TrainerState) -> tuple[int, int]:
    args, loader = trainer.args, trainer.callback_handler.train_dataloader
    if not isinstance(loader, Sized) or not _has_length(loader):
        return max(state.max_steps, 1), state.max_steps
    per_epoch = max(math.ceil(len(loader) / args.gradient_accumulation_steps), 1)
    if args.max_steps > 0:
        return per_epoch, args.max_steps
    return per_epoch, math.ceil(args.num_train_epochs * per_epoch)


def _has_length(loader: Sized) -> bool:
    try:
        return len(loader) >= 0
    except TypeError:  # a stream of rows
        return False


def _rates(
    trainer: Trainer, name: str, total: int, optimizer_given: bool
) -> tuple[tuple[float, ...], ...]:
    args = trainer.args
    groups = trainer.optimizer.param_groups
    mapped = optimizer_given or getattr(args, "learning_rate_mapping", None)
    peaks = [float(g.get("initial_lr", g["lr"])) if mapped else args.learning_rate for g in groups]
    dummies: list[dict[str, Any]] = [
        {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": peak} for peak in peaks
    ]
    optimizer = torch.optim.SGD(dummies, lr=peaks[0])
    scheduler = get_scheduler(
        name,
        optimizer,
        num_warmup_steps=args.get_warmup_steps(total),
        num_training_steps=total,
        scheduler_specific_kwargs=dict(args.lr_scheduler_kwargs or {}),
    )
    steps = []
    for _ in range(total):
        steps.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return tuple(zip(*steps, strict=True))


def option_use(
    trainer: Trainer, state: TrainerState, schedule: Schedule, micro_batches: int, output: str
) -> OptionUse:
    """Return what was asked for beside what was seen.

    Args:
        trainer: The trainer, in training.
        state: Its state.
        schedule: What the arguments ask for.
        micro_batches: Batches that the first step was made of; 0 if it was not seen.
        output: Number format of a linear layer's output in the first step, empty if unseen.
    """
    given = asked(trainer.args)
    found = [
        *_optimization(trainer, given),
        *_sizes(trainer, state, schedule, micro_batches),
        *_numbers(trainer, output),
        *adapter_options(trainer.model),
        *quantisation(trainer.model),
    ]
    return OptionUse(tuple(given), None, tuple(found))


def _optimization(trainer: Trainer, given: dict[str, object]) -> list[OptionInForce]:
    groups = [group for group in trainer.optimizer.param_groups if group["params"]]
    found = []
    for option, key in (("learning_rate", "initial_lr"), ("weight_decay", "weight_decay")):
        seen = [float(group.get(key, group.get("lr", 0.0))) for group in groups]
        wanted = float(getattr(trainer.args, option))
        agree = any(math.isclose(value, wanted, rel_tol=1e-9) for value in seen)
        same = agree if agree or option in given else None
        shown = ", ".join(f"{value:g}" for value in dict.fromkeys(seen))
        note = "groups of the optimizer"
        found.append(
            OptionInForce(
                option,
                wanted if same is not None else None,
                shown or "set on no tensor",
                same,
                note,
            )
        )
    return found


def _sizes(
    trainer: Trainer, state: TrainerState, schedule: Schedule, micro_batches: int
) -> list[OptionInForce]:
    args, loader = trainer.args, trainer.callback_handler.train_dataloader
    size = getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    wanted = args.gradient_accumulation_steps
    few = isinstance(loader, Sized) and _has_length(loader) and len(loader) < wanted
    found = [
        _compared("max_steps", schedule.total_steps, state.max_steps, "rows, batch and epochs"),
        _compared(
            "per_device_train_batch_size",
            args.per_device_train_batch_size,
            size,
            "batch sampler of the loader",
        ),
    ]
    seen = None if few or not micro_batches else micro_batches
    return [
        *found,
        _compared("gradient_accumulation_steps", wanted, seen, "batches of the first step"),
    ]


def _compared(option: str, wanted: Value, seen: Value, note: str) -> OptionInForce:
    return OptionInForce(option, wanted, seen, None if seen is None else seen == wanted, note)


def precision_asked(args: Any) -> str:  # noqa: ANN401
    """Return the number format that the arguments ask for; empty if they ask for none."""
    return "bfloat16" if args.bf16 else "float16" if args.fp16 else ""


def _numbers(trainer: Trainer, output: str) -> list[OptionInForce]:
    wanted = precision_asked(trainer.args)
    same = output == wanted if wanted and output else None
    note = "output of a linear layer in the first step"
    checkpointing = getattr(trainer.args, "activation_checkpointing", None)
    if checkpointing is None:
        checkpointing = trainer.args.gradient_checkpointing
    switched = any(getattr(m, "gradient_checkpointing", False) for m in trainer.model.modules())
    return [
        OptionInForce("precision", wanted or None, output or None, same, note),
        OptionInForce(
            "activation_checkpointing",
            bool(checkpointing),
            switched,
            switched if checkpointing else None,
            "flag of the model's layers",
        ),
    ]
