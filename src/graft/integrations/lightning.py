"""The callback for Lightning's trainer."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from graft.integrations.callback import AuditingCallback
from graft.integrations.fit_watch import FitWatch


class GraftCallback(AuditingCallback[FitWatch], Callback):  # type: ignore[misc]
    """Records and audits a training by `lightning.Trainer`.

    The arguments are those of `AuditingCallback`.

    Example:
        >>> GraftCallback("audit", expect_frozen=["backbone"]).findings is None
        True
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier training."""
        self.watch = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Begin with the first batch, when every other callback has frozen what it freezes."""
        if self.watch is None:
            self.watch = FitWatch(trainer, pl_module, self.settings)
            self.watch.begin()
        self.watch.batch(batch)

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Note the loss, as it is."""
        if self.watch:
            self.watch.recording.traffic.losses.append(float(loss.detach()))

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Note the gradients."""
        if self.watch:
            self.watch.before_update()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Note the step, if there was one."""
        if self.watch:
            self.watch.batch_done()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the metrics of an evaluation."""
        if self.watch and not trainer.sanity_checking:
            self.watch.evaluated()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the checkpoint until it is written: the module may still change it."""
        if self.watch:
            self.watch.saved(checkpoint)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask every check."""
        if self.watch:
            self.watch.finish()
