"""The callback for the trainers of Transformers, Sentence-Transformers and TRL."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from pathlib import Path

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from graft.core.errors import InputError, Problem
from graft.integrations.callback import AuditingCallback
from graft.integrations.trainer_watch import TrainerWatch


class GraftCallback(AuditingCallback[TrainerWatch], TrainerCallback):  # type: ignore[misc]
    """Records and audits a training by `Trainer`, `SentenceTransformerTrainer` or `SFTTrainer`.

    The arguments are those of `AuditingCallback`.

    Example:
        >>> GraftCallback("audit", expect_frozen=["embeddings"]).findings is None
        True
    """

    optimizer_given = False

    def on_init_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Note whether the caller brought an optimizer."""
        self.optimizer_given = given.get("optimizer") is not None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Write the plan, look at the loaded weights, and watch the training step."""
        self.watch = None
        if state.is_world_process_zero:
            trainer, checkpoint = _caller()
            given_one = self.optimizer_given
            self.watch = TrainerWatch(trainer, state, self.settings, given_one, checkpoint)
            self.watch.begin()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Count the epoch."""
        if self.watch:
            self.watch.recording.epoch = math.floor((state.epoch or 0.0) + 1e-6)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Look for a thaw."""
        if self.watch:
            self.watch.recording.look()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Note the gradients."""
        if self.watch:
            self.watch.before_update()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Note the rows and rates of the step."""
        if self.watch:
            self.watch.after_update()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Probe accumulation once, now that no gradient is in memory."""
        if self.watch:
            self.watch.probe_step()

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Note the metrics of an evaluation."""
        if self.watch:
            metrics = given.get("metrics")
            self.watch.recording.evaluated(metrics if isinstance(metrics, Mapping) else {})

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Compare the checkpoint with the model in memory."""
        if self.watch:
            self.watch.saved(state)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """End the ledger before the trainer restores a checkpoint: this log is the last before."""
        logs = given.get("logs")
        if self.watch and isinstance(logs, Mapping) and "train_runtime" in logs:
            self.watch.recording.close()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: object
    ) -> None:
        """Compare the restored weights with the best checkpoint, and ask every check."""
        if self.watch:
            self.watch.finish(state)


def _caller() -> tuple[Trainer, Path | None]:
    """Return the trainer that calls the callback, and the checkpoint that it takes up.

    Transformers hands a callback the model but not the trainer, which alone knows the losses and
    the training step; it stands in the frame that called.
    """
    frame = inspect.currentframe()
    while frame is not None:
        trainer = frame.f_locals.get("self")
        if isinstance(trainer, Trainer):
            checkpoint = frame.f_locals.get("resume_from_checkpoint")
            return trainer, Path(checkpoint) if isinstance(checkpoint, str | Path) else None
        frame = frame.f_back
    problem = Problem("GraftCallback", "is called by no transformers.Trainer", "give it to one")
    raise InputError("GraftCallback", [problem])
