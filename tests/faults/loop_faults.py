"""Faults of freezing, optimizer and schedule, planted in Graft's own loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from faults.fusion_faults import ROWS, class_frames
from faults.graft_runs import (
    FROZEN,
    HEAD,
    LORA,
    LOW,
    THAW,
    below_the_head,
    frames,
    graft_run,
    together,
)
from faults.zoo import Planted, Registry, sabotage
from graft.core.plan import ResolvedPlan
from graft.models.patterns import matching
from graft.runs import arms, pipeline
from graft.tasks import pairs
from graft.train import loop, modes, optimizer

fault = Registry()
HEAD_FIRST = {"num_train_epochs": 4, "head_learning_rate": 3e-2}


# Freezing


@fault("FRZ-01", "trainable_set", "movement", "first_gradient")
def thaw_without_flags(folder: Path) -> Planted:
    """At the thaw the optimizer takes the tensors up at the planned rate, but no flag changes."""

    def broken(enter: Any) -> Any:
        return lambda model, plan, phase, parameters: enter(model, plan, 0, parameters)

    return graft_run(folder, THAW, during=sabotage(loop, "enter_phase", broken))


@contextlib.contextmanager
def thaw_never_due() -> Iterator[None]:
    """The comparison that begins a later phase is never true; the first phase goes on instead."""

    def never(find: Any) -> Any:
        return lambda self, step: None if step else find(self, step)

    with sabotage(loop._Loop, "_phase_from", never):
        yield


@fault("FRZ-01", "movement", "differs_from_other_arms")
def thaw_condition_that_is_never_true(folder: Path) -> Planted:
    """Two arms thaw at different rates, the condition is never true, and both score the same."""
    arms = (below_the_head(1), below_the_head(1, training={"learning_rate": 5e-4}))
    return graft_run(
        folder, *arms, rows=class_frames(), during=thaw_never_due(), **ROWS, training=HEAD_FIRST
    )


@fault("FRZ-02", "trainable_set", "movement")
def freeze_never_applied(folder: Path) -> Planted:
    """The call that freezes before training is left out, and the optimizer takes every tensor."""
    return graft_run(folder, THAW, during=together(_never_freezes(), _optimizes_everything()))


@fault("FRZ-03", "trainable_set", "movement")
def freeze_after_the_backward_pass(folder: Path) -> Planted:
    """The flags are set to frozen once gradients and optimizer hold the tensors already."""

    def late(accumulate: Any) -> Any:
        def step(task: Any, model: nn.Module, *rest: Any) -> Any:
            flags = {p: p.requires_grad for p in model.parameters()}
            model.requires_grad_(True)
            result = accumulate(task, model, *rest)
            for parameter, flag in flags.items():
                parameter.requires_grad_(flag)
            return result

        return step

    return graft_run(
        folder,
        FROZEN,
        # With stored outputs no gradient would reach the frozen layers at all.
        training={"feature_cache_gb": 0},
        during=together(sabotage(loop, "accumulate", late), _optimizes_everything()),
    )


@fault("FRZ-06", "trainable_set", "movement")
def loader_returns_a_frozen_encoder(folder: Path) -> Planted:
    """The base comes frozen out of its loader, and the loop trusts the flags that it finds."""

    def frozen(build: Any) -> Any:
        def load(self: Any, *rest: Any) -> Any:
            model, report = build(self, *rest)
            model[0].requires_grad_(False)
            model[0].auto_model.encoder.layer[1].requires_grad_(True)
            return model, report

        return load

    return graft_run(
        folder, during=together(sabotage(pairs.PairsTask, "build", frozen), _never_freezes())
    )


@fault("FRZ-11", "trainable_set")
def replaced_embedding_is_trainable(folder: Path) -> Planted:
    """The frozen word embeddings are replaced by a copy, as a resize does, which is trainable."""

    def resized(enter: Any) -> Any:
        def start(model: Any, *rest: Any) -> Any:
            frozen = enter(model, *rest)
            body = model[0].auto_model
            table = body.get_input_embeddings().weight.detach().clone()
            body.set_input_embeddings(nn.Embedding.from_pretrained(table, freeze=False))
            return frozen

        return start

    return graft_run(folder, LORA, during=sabotage(loop, "enter_phase", resized))


@fault("FRZ-13", "frozen_modes")
def frozen_modules_keep_their_dropout(folder: Path) -> Planted:
    """A call of train() after the freeze wakes the frozen modules up."""

    def awake(enter: Any) -> Any:
        def start(model: nn.Module, *rest: Any) -> Any:
            frozen = enter(model, *rest)
            model.train()
            return frozen

        return start

    return graft_run(folder, FROZEN, during=sabotage(loop, "enter_phase", awake))


@fault("FRZ-04", "options_read")
def freeze_that_nothing_reads(folder: Path) -> Planted:
    """The recipe freezes the lower layers, and what makes the plan never looks at that key."""

    def deaf(assign: Any) -> Any:
        def groups(arm: Any, *rest: Any) -> Any:
            return assign(type(arm)(method=arm.method, training=arm.training), *rest)

        return groups

    return graft_run(folder, FROZEN, during=sabotage(arms, "assign_groups", deaf))


@fault("FRZ-04", "recipe_read")
def stage_with_settings_of_its_own(folder: Path) -> Planted:
    """The recipe sets when rows count as near copies; the data stage makes its own settings."""

    def own(read: Any) -> Any:
        def rows(train: Any, section: Any, *rest: Any, **named: Any) -> Any:
            kept = type(section)(columns=section.columns, split=section.split, train="")
            return read(train, kept, *rest, **named)

        return rows

    with sabotage(pipeline, "dataset_from_frames", own):
        return graft_run(folder, data={"leakage": {"near_threshold": 0.5}, "slices": []})


# Optimizer


@fault("OPT-01", "trainable_set", "movement")
def head_left_out_of_the_optimizer(folder: Path) -> Planted:
    """The optimizer is built from the tensors of the body alone; a new head trains beside it."""

    def body(groups: Any) -> Any:
        def without(plan: ResolvedPlan, *rest: Any) -> Any:
            tensors = [t for t in plan.tensors if not t.name.endswith("linear.weight")]
            return groups(replace(plan, tensors=tuple(tensors)), *rest)

        return without

    return graft_run(folder, HEAD, during=sabotage(optimizer, "_param_groups", body))


@fault("OPT-02", "trainable_set")
def layers_replaced_after_the_optimizer(folder: Path) -> Planted:
    """A layer of the model is rebuilt after the optimizer was, which now holds dead tensors."""

    def then_rebuilt(build: Any) -> Any:
        def run(self: Any, job: Any) -> None:
            build(self, job)
            layer = job.model[0].auto_model.encoder.layer[1].output.dense
            layer.weight = nn.Parameter(layer.weight.detach().clone())

        return run

    return graft_run(folder, during=sabotage(loop._Loop, "__init__", then_rebuilt))


@fault("OPT-03", "trainable_set", "movement")
def gradients_zeroed_but_decayed(folder: Path) -> Planted:
    """The lower layers are held by zeroing their gradients; weight decay still moves them."""

    def zeroed(accumulate: Any) -> Any:
        def step(task: Any, model: nn.Module, *rest: Any) -> Any:
            result = accumulate(task, model, *rest)
            for name, parameter in modes.named_parameters(model).items():
                if matching(LOW, name) and parameter.grad is not None:
                    parameter.grad.zero_()
            return result

        return step

    breaks = (sabotage(loop, "accumulate", zeroed), _never_freezes(), _optimizes_everything(0.1))
    return graft_run(folder, FROZEN, during=together(*breaks))


@fault("OPT-03", "movement", "stored_outputs")
def stored_layers_decayed(folder: Path) -> Planted:
    """The frozen layers are decayed at every step, and the loss reads their stored outputs."""

    def decayed(accumulate: Any) -> Any:
        def step(task: Any, model: nn.Module, *rest: Any) -> Any:
            result = accumulate(task, model, *rest)
            with torch.no_grad():
                for name, parameter in modes.named_parameters(model).items():
                    if matching(LOW, name) and parameter.dim() > 1:
                        parameter.mul_(0.99)
            return result

        return step

    return graft_run(folder, FROZEN, during=sabotage(loop, "accumulate", decayed))


@fault("OPT-05", "movement")
def weights_in_bfloat16(folder: Path) -> Planted:
    """The weights themselves are bfloat16 and the rate is small, so updates are below one ulp."""

    def halved(build: Any) -> Any:
        def load(self: Any, *rest: Any) -> Any:
            model, report = build(self, *rest)
            return model.to(torch.bfloat16), report

        return load

    training = {"learning_rate": 1e-6}
    return graft_run(folder, training=training, during=sabotage(pairs.PairsTask, "build", halved))


@fault("OPT-16", "gradient_direction")
def wrong_backward(folder: Path) -> Planted:
    """A custom autograd function returns its input exactly and the wrong gradient for it."""

    def wrong(embed: Any) -> Any:
        def through(*given: Any) -> Tensor:
            passed: Tensor = _WrongBackward.apply(embed(*given))
            return passed

        return through

    return graft_run(folder, during=sabotage(pairs, "embed", wrong))


class _WrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.roll(1, dims=-1)


@fault("OPT-04", "accumulation")
def micro_batches_averaged(folder: Path) -> Planted:
    """Each micro-batch is averaged by itself: the short last one weighs as much as a full one."""

    def averaged(loss: Any) -> Any:
        def mean(self: Any, model: Any, batch: Any, arm: Any) -> Any:
            total, count = loss(self, model, batch, arm)
            return total / count, 1

        return mean

    training = {"per_device_train_batch_size": 5, "gradient_accumulation_steps": 3}
    return graft_run(
        folder,
        rows=frames(train=16),
        training=training,
        during=sabotage(pairs.PairsTask, "loss", averaged),
    )


# Rates and steps


@fault("OPT-09", "rates")
def schedule_stepped_twice(folder: Path) -> Planted:
    """The schedule moves on by two at every step, as it does once per process of two."""
    return graft_run(folder, during=_rates(lambda plan, step: min(2 * step, plan.total_steps - 1)))


@fault("OPT-10", "rates")
def schedule_stepped_by_epoch(folder: Path) -> Planted:
    """The schedule moves on once per epoch instead of once per step."""
    return graft_run(folder, during=_rates(lambda plan, step: step // plan.steps_per_epoch))


@fault("OPT-12", "rates")
def rate_overridden(folder: Path) -> Planted:
    """A backend puts its own constant rate of 1e-3 over the rate of the recipe."""

    def constant(original: Any) -> Any:
        def overridden(held: torch.optim.Optimizer, plan: ResolvedPlan, step: int) -> None:
            for group in held.param_groups:
                group["lr"] = 1e-3

        return overridden

    return graft_run(folder, during=sabotage(loop, "set_rates", constant))


@fault("OPT-13", "rates", "movement")
def thaw_into_an_exhausted_schedule(folder: Path) -> Planted:
    """The first phase uses the whole schedule up, and the second inherits its last rate, zero."""

    def exhausted(set_rates: Any) -> Any:
        def run(held: torch.optim.Optimizer, plan: ResolvedPlan, step: int) -> None:
            set_rates(held, plan, step)
            for group in held.param_groups:
                group["lr"] *= step < plan.steps_per_epoch

        return run

    return graft_run(folder, THAW, during=sabotage(loop, "set_rates", exhausted))


@fault("OPT-15", "rates")
def a_fifth_of_the_steps(folder: Path) -> Planted:
    """The number of optimizer steps is divided by the processes once too often."""

    def shortened(train: Any) -> Any:
        return lambda job: train(
            replace(job, plan=replace(job.plan, total_steps=job.plan.total_steps // 5))
        )

    training = {"per_device_train_batch_size": 4}
    return graft_run(folder, training=training, during=sabotage(arms, "train", shortened))


# Order of the rows


@fault("DAT-18", "rows_seen")
def second_phase_reads_a_part(folder: Path) -> Planted:
    """After the thaw the loader goes on with the cached first half of the rows, twice over."""

    def cached(order: Any) -> Any:
        def rows(self: Any, epoch: int) -> Any:
            all_rows = order(self, epoch)
            half = all_rows[: len(all_rows) // 2]
            return all_rows if epoch == 0 else half + half

        return rows

    return graft_run(folder, THAW, during=sabotage(loop._Loop, "_order", cached))


@fault("DAT-20", "rows_seen")
def same_order_every_epoch(folder: Path) -> Planted:
    """The sampler is never told the epoch, so each has the order of the first."""

    def first(order: Any) -> Any:
        return lambda self, epoch: order(self, 0)

    return graft_run(folder, during=sabotage(loop._Loop, "_order", first))


def _never_freezes() -> Any:
    def trusting(enter: Any) -> Any:
        def start(model: nn.Module, *rest: Any) -> tuple[str, ...]:
            model.train()
            return ()

        return start

    return sabotage(loop, "enter_phase", trusting)


def _optimizes_everything(decay: float | None = None) -> Any:
    """Hold every tensor in the optimizer from the start, as if no plan had frozen any."""

    def everything(groups: Any) -> Any:
        def all_of(plan: ResolvedPlan, phase: int, parameters: Any) -> Any:
            if phase:
                return []
            tensors = tuple(replace(t, joins=0) for t in plan.tensors)
            made = groups(replace(plan, tensors=tensors), 0, parameters)
            return [{**g, "weight_decay": decay or g["weight_decay"]} for g in made]

        return all_of

    def known(set_rates: Any) -> Any:
        def run(held: torch.optim.Optimizer, plan: ResolvedPlan, step: int) -> None:
            highest = max(plan.rates.values(), key=sum)
            rates = {group["name"]: highest for group in held.param_groups}
            set_rates(held, replace(plan, rates=rates), step)

        return run

    return together(
        sabotage(optimizer, "_param_groups", everything), sabotage(loop, "set_rates", known)
    )


def _rates(at: Any) -> Any:
    """Set the rates that the plan has for step `at(plan, step)`."""

    def moved(set_rates: Any) -> Any:
        return lambda held, plan, step: set_rates(held, plan, at(plan, step))

    return sabotage(loop, "set_rates", moved)
