"""One call of a Lightning trainer's `fit`, watched from its first batch to its last."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BackboneFinetuning, BaseFinetuning, ModelCheckpoint
from torch import Tensor

from graft.core.errors import InputError, Problem
from graft.core.options import OptionInForce, OptionUse
from graft.core.saves import Saves
from graft.core.supervision import Supervision
from graft.integrations.adaptation import adapter_options, quantisation
from graft.integrations.bases import base_folder
from graft.integrations.batches import Batch, as_mapping
from graft.integrations.planning import Schedule
from graft.integrations.recording import Recording
from graft.integrations.saving import compare_tensors
from graft.integrations.schedulers import scheduler_options, warmup_steps
from graft.integrations.settings import Settings
from graft.integrations.watched import Watched, output_format
from graft.models.encoder import tensor_name
from graft.tasks.supervised_tokens import IGNORED, Rules, SpecialTokens, count_rows, count_tokens

_UNKNOWN = SpecialTokens(None, frozenset(), None, frozenset(), None, ())


class FitWatch:
    """Sees one call of `trainer.fit`.

    Args:
        trainer: The trainer, about to take its first batch.
        module: The module.
        settings: What the user asks for.

    Raises:
        InputError: Several optimizers or processes, or an expectation that matches nothing.
    """

    def __init__(self, trainer: Trainer, module: LightningModule, settings: Settings) -> None:
        _refuse(trainer)
        self.trainer, self.module = trainer, module
        self.epoch_steps = max(
            math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches), 1
        )
        frozen = {tensor_name(n) for n, p in module.named_parameters() if not p.requires_grad}
        thaws, others = _thaws(trainer, frozen)
        self.recording = Recording(
            settings,
            Watched(module, {}),
            trainer.optimizers[0],
            self._schedule(),
            _census,
            thaws=thaws,
            deferred=frozenset(frozen if others else ()),
        )
        why = "not probed in another library's trainer"
        names = ("gradient", "again", "alone", "accumulation")
        probes = self.recording.probes
        self.recording.probes = replace(probes, not_probed=dict.fromkeys(names, why))
        self.pending: tuple[int, dict[str, Any]] | None = None
        self.evaluations: dict[str, dict[str, float]] = {}
        self.stepped = False
        self.scale: float | None = None
        self.micro_batches = 0
        self.output = ""
        self.seen: list[str] = []
        self.looking = contextlib.ExitStack()

    def _schedule(self) -> Schedule:
        trainer = self.trainer
        total = trainer.estimated_stepping_batches
        return Schedule(
            name="Lightning's schedulers are code",
            total_steps=int(total) if math.isfinite(total) else trainer.global_step + 1,
            steps_per_epoch=self.epoch_steps,
            warmup_steps=max((warmup_steps(c) for c in trainer.lr_scheduler_configs), default=0),
            first_step=trainer.global_step,
            first_epoch=trainer.current_epoch,
        )

    def begin(self) -> None:
        """Begin the recording."""
        settings, resumed = self.recording.settings, self.trainer.global_step > 0
        # A checkpoint of Lightning is one file of many things; only folders are compared.
        base = None if resumed else settings.base or base_folder(self.module)
        self.recording.options = self._options()
        self.recording.begin(base)

    def batch(self, batch: object) -> None:
        """Note a micro-batch before the module sees it."""
        self._compare_saved()
        self.recording.epoch = self.trainer.current_epoch
        self.recording.look()
        self.recording.traffic.took_batch(as_mapping(batch))
        self.micro_batches += self.trainer.global_step == self.recording.schedule.first_step
        self.seen = self.looking.enter_context(output_format(self.module, not self.output))

    def before_update(self) -> None:
        """Note the gradients."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        self.scale = None if scaler is None else float(scaler.get_scale())
        self.stepped = True
        self.recording.before_update(scaled=scaler is not None)

    def batch_done(self) -> None:
        """Note the step, if the batch ended one."""
        self.looking.close()
        self.output = self.output or "".join(self.seen[:1]) or "not seen"
        if self.stepped:
            self.stepped = False
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)
            before, after = self.scale, None if scaler is None else float(scaler.get_scale())
            lower = before is not None and after is not None and after < before
            self.recording.after_update(skipped=lower)

    def evaluated(self) -> None:
        """Note the metrics of an evaluation."""
        numbers = {
            name: float(value)
            for name, value in self.trainer.callback_metrics.items()
            if math.isfinite(float(value))
        }
        self.recording.evaluated(numbers)
        for name, value in numbers.items():
            self.evaluations.setdefault(name, {})[str(self.trainer.global_step)] = value

    def saved(self, checkpoint: dict[str, Any]) -> None:
        """Keep a checkpoint until it is written: the module may still change it."""
        self._compare_saved()
        self.pending = (self.trainer.global_step, checkpoint)

    def _compare_saved(self) -> None:
        if self.pending is None:
            return
        (step, checkpoint), self.pending = self.pending, None
        stored = {n: t for n, t in checkpoint["state_dict"].items() if isinstance(t, Tensor)}
        changed = self.recording.changed()
        save = compare_tensors(f"checkpoint-{step}", step, self.module, changed, stored)
        self.recording.saved(save)

    def finish(self) -> None:
        """Ask every check."""
        self._compare_saved()
        trainer, recording = self.trainer, self.recording
        recording.saves = _chosen(recording.saves, trainer, self.evaluations)
        recording.options = self._options()
        recording.precision = (_format(str(trainer.precision)), self.output or "not seen")
        steps = trainer.global_step
        early = f"a callback stopped it after step {steps}"
        recording.finish(early if steps < recording.schedule.total_steps else "")

    def _options(self) -> OptionUse:
        trainer = self.trainer
        wanted = _format(str(trainer.precision))
        same = None if not self.output or self.output == "not seen" else self.output == wanted
        note = "output of a linear layer in the first step"
        steps = trainer.accumulate_grad_batches
        seen = self.micro_batches or None
        few = trainer.num_training_batches < steps
        found = [
            OptionInForce("precision", wanted, self.output or None, same, note),
            OptionInForce(
                "accumulate_grad_batches",
                steps,
                seen,
                None if few or seen is None else seen == steps,
                "batches of the first step",
            ),
            *scheduler_options(
                trainer.lr_scheduler_configs,
                self.recording.schedule.total_steps,
                self.epoch_steps,
            ),
            *adapter_options(self.module),
            *quantisation(self.module),
        ]
        return OptionUse((), None, tuple(found))


def _format(precision: str) -> str:
    if precision.startswith("bf16"):
        return "bfloat16"
    return "float16" if precision.startswith("16") else f"float{precision.partition('-')[0]}"


def _refuse(trainer: Trainer) -> None:
    problems = []
    if len(trainer.optimizers) != 1:
        what = f"there are {len(trainer.optimizers)} of them"
        problems.append(Problem("optimizers", what, "audit a training with one optimizer"))
    if trainer.world_size > 1:
        what = f"training runs in {trainer.world_size} processes"
        problems.append(Problem("devices", what, "audit a run on one device first"))
    if problems:
        raise InputError("GraftCallback", problems)


def _thaws(trainer: Trainer, frozen: set[str]) -> tuple[dict[str, int], bool]:
    """Return when `BackboneFinetuning` thaws what is frozen, and whether others thaw, too."""
    thaws: dict[str, int] = {}
    others = False
    for callback in trainer.callbacks:
        if isinstance(callback, BackboneFinetuning):
            epoch = callback.unfreeze_backbone_at_epoch
            thaws |= {name: epoch for name in frozen if name.split(".")[0] == "backbone"}
        elif isinstance(callback, BaseFinetuning):
            others = True
    return thaws, others


def _census(batches: Sequence[Batch]) -> Supervision:
    ids, labels = batches[0].get("input_ids"), batches[0].get("labels")
    if not isinstance(ids, Tensor) or not isinstance(labels, Tensor):
        return count_rows(batches, None)
    if labels.shape != ids.shape or labels.is_floating_point():
        return count_rows(batches, None)
    seen = labels != IGNORED
    same = torch.equal(labels[seen], ids[seen])
    return count_tokens(batches, _UNKNOWN, Rules("causal" if same else "classes"))


def _chosen(saves: Saves, trainer: Trainer, evaluations: dict[str, dict[str, float]]) -> Saves:
    keeper = next((c for c in trainer.callbacks if isinstance(c, ModelCheckpoint)), None)
    if keeper is None or keeper.monitor is None:
        return saves
    values = evaluations.get(keeper.monitor, {})
    best = keeper.best_model_path
    return Saves(saves.items, best, keeper.monitor, values, keeper.mode == "max", None)
