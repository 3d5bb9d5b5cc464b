"""One call of a Transformers trainer's `train`, watched from its first step to its last."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from transformers import Trainer, TrainerState

from graft.core.errors import InputError, Problem
from graft.core.saves import Saves
from graft.integrations.arguments import option_use, planned_schedule, precision_asked
from graft.integrations.bases import base_folder
from graft.integrations.batches import Batch, as_mapping, kept
from graft.integrations.census import census
from graft.integrations.probing import is_packed, probe_accumulation, probe_packing
from graft.integrations.recording import Recording
from graft.integrations.saving import compare_folder
from graft.integrations.settings import Settings
from graft.integrations.watched import Watched, output_format
from graft.models.encoder import tensor_name

_LOSSES = ("loss", "compute_loss_func", "criterion", "loss_fn", "loss_func", "loss_function")


class TrainerWatch:
    """Takes the place of the training step of one call of `trainer.train`.

    Args:
        trainer: The trainer, ready to train.
        state: Its state.
        settings: What the user asks for.
        optimizer_given: True if the caller built the optimizer.
        checkpoint: Folder that the training is taken up from.

    Raises:
        InputError: The tensors are split over processes, or an expectation matches nothing.
    """

    def __init__(
        self,
        trainer: Trainer,
        state: TrainerState,
        settings: Settings,
        optimizer_given: bool,
        checkpoint: Path | None,
    ) -> None:
        _refuse(trainer)
        self.trainer = trainer
        self.schedule = planned_schedule(trainer, state, optimizer_given)
        self.batches: list[Batch] = []
        self.items: object = None
        self.micro_batches = 0
        self.output = ""
        reasons = {
            "gradient": "not probed in another library's trainer",
            "again": "not probed in another library's trainer",
            "alone": "no row holds more than one text",
            "accumulation": "a step is one batch: nothing is accumulated",
        }
        self.recording = Recording(
            settings,
            Watched(trainer.model, _losses(trainer)),
            trainer.optimizer,
            self.schedule,
            lambda batches: census(trainer, batches),
        )
        self.recording.probes = replace(self.recording.probes, not_probed=reasons)
        self.recording.options = option_use(trainer, state, self.schedule, 0, "")
        if isinstance(getattr(trainer.training_step, "__self__", None), TrainerWatch):
            del trainer.training_step  # an earlier training was broken off
        self.step: Callable[..., torch.Tensor] = trainer.training_step
        self.patched = vars(trainer).get("training_step")
        self.checkpoint = checkpoint

    def begin(self) -> None:
        """Begin the recording, and take the training step's place."""
        base = self.recording.settings.base or base_folder(self.trainer.model)
        self.recording.begin(base, [self.checkpoint] if self.checkpoint else [])
        self.trainer.training_step = self.training_step

    def training_step(
        self, model: nn.Module, inputs: Mapping[str, object], *more: object, **named: object
    ) -> torch.Tensor:
        """Run the trainer's own step; note its batch before and its loss after."""
        recording = self.recording
        if recording.recorder is None:  # that training is over
            return self.step(model, inputs, *more, **named)
        batch = as_mapping(inputs)
        first = recording.step == self.schedule.first_step
        recording.traffic.took_batch(batch)
        self._keep(model, batch, first, more[0] if more else named.get("num_items_in_batch"))
        with output_format(model, first and not self.output) as seen:
            loss = self.step(model, inputs, *more, **named)
        self.output = self.output or "".join(seen[:1])
        self.micro_batches += first
        recording.traffic.losses.append(float(loss))
        return loss

    def _keep(self, model: nn.Module, batch: Batch, first: bool, items: object) -> None:
        """Keep what the probes need: the micro-batches of the first step, a packed row."""
        labels = batch.get("labels")
        tokens = isinstance(labels, torch.Tensor) and labels.ndim == 2
        if first and tokens and self.trainer.args.gradient_accumulation_steps > 1:
            self.batches.append(kept(batch))
            self.items = items
        probes = self.recording.probes
        if probes.alone is None and tokens and is_packed(batch):
            found = probe_packing(model, batch)
            left = {name: why for name, why in probes.not_probed.items() if name != "alone"}
            self.recording.probes = replace(probes, alone=found, not_probed=left)

    def before_update(self) -> None:
        """Note the gradients."""
        scaler = getattr(self.trainer.optimizer, "scaler", None)
        self.recording.before_update(scaled=scaler is not None)

    def after_update(self) -> None:
        """Note the rows and rates of a step."""
        skipped = bool(getattr(self.trainer.optimizer, "step_was_skipped", False))
        self.recording.after_update(skipped)

    def probe_step(self) -> None:
        """Probe accumulation with the micro-batches of the first step."""
        if len(self.batches) < 2:
            return
        batches, self.batches = self.batches, []
        found = probe_accumulation(
            self.trainer, self.trainer.model_wrapped, self.step, batches, self.items
        )
        probes = self.recording.probes
        if found is not None:
            left = {n: why for n, why in probes.not_probed.items() if n != "accumulation"}
            self.recording.probes = replace(probes, accumulation=found, not_probed=left)

    def saved(self, state: TrainerState) -> None:
        """Compare the newest checkpoint with the model in memory."""
        folder = Path(self.trainer.args.output_dir) / f"checkpoint-{state.global_step}"
        if folder.is_dir():
            changed = self.recording.changed()
            save = compare_folder(folder, state.global_step, self.trainer.model, changed)
            self.recording.saved(save)

    def finish(self, state: TrainerState) -> None:
        """Give the training step back, and ask every check."""
        del self.trainer.training_step
        if self.patched is not None:
            self.trainer.training_step = self.patched
        recording, args = self.recording, self.trainer.args
        recording.close()
        recording.saves = _chosen(recording.saves, self.trainer, state, recording.changed())
        if args.load_best_model_at_end and state.best_model_checkpoint:
            recording.best = (state.best_global_step, state.best_metric)
        recording.options = option_use(
            self.trainer, state, self.schedule, self.micro_batches, self.output
        )
        recording.precision = (precision_asked(args) or self.output, self.output or "not seen")
        early = f"a callback stopped it after step {state.global_step}"
        recording.finish(early if state.global_step < state.max_steps else "")


def _refuse(trainer: Trainer) -> None:
    kinds = {"DeepSpeed": "is_deepspeed_enabled", "FSDP": "is_fsdp_enabled"}
    problems = [
        Problem(kind, "splits the tensors over processes", "audit a run on one device first")
        for kind, flag in kinds.items()
        if getattr(trainer, flag, False)
    ]
    if problems:
        raise InputError("GraftCallback", problems)


def _losses(trainer: Trainer) -> dict[str, nn.Module]:
    """Return the losses that the trainer holds as modules, by name."""
    found: dict[str, nn.Module] = {}
    for name in _LOSSES:
        loss = getattr(trainer, name, None)
        if isinstance(loss, Mapping):
            found |= {
                str(key): value for key, value in loss.items() if isinstance(value, nn.Module)
            }
        elif isinstance(loss, nn.Module):
            found["" if name == "loss" else name] = loss
    return found


def _chosen(saves: Saves, trainer: Trainer, state: TrainerState, changed: Sequence[str]) -> Saves:
    """Return the saves with what the trainer calls the best, and whether it is in memory."""
    args = trainer.args
    metric = args.metric_for_best_model
    if metric is None or not (saves.items or args.load_best_model_at_end):
        return saves
    metric = metric if metric.startswith("eval_") else f"eval_{metric}"
    values = {
        str(record["step"]): float(record[metric])
        for record in state.log_history
        if isinstance(record.get(metric), int | float) and math.isfinite(record[metric])
    }
    best = state.best_model_checkpoint or ""
    restored = None
    if args.load_best_model_at_end and best:
        trained = {tensor_name(n) for n, p in trainer.model.named_parameters() if p.requires_grad}
        names = trained | set(changed)
        save = compare_folder(Path(best), state.best_global_step or 0, trainer.model, names)
        restored = not save.missing and not save.different
    return Saves(saves.items, best, metric, values, args.greater_is_better, restored)
