"""The callback for Lightning's trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from graft.core.findings import Findings
from graft.integrations.fit_watch import FitWatch
from graft.integrations.settings import Settings


class GraftCallback(Callback):  # type: ignore[misc]  # Lightning is not followed for types
    """Records and audits a training by `lightning.Trainer`.

    The arguments are those of the callback for Transformers.

    Args:
        folder: Where to write; what an earlier training left there is replaced.
        base: Folder of the base's weights; found by itself if a part of the module was loaded
            from one by Transformers.
        expect_trainable: Patterns of tensors that must be trained, at some time.
        expect_frozen: Patterns of tensors that must not be.
        on_fault: `stop` raises `FaultError` as soon as the rest is worthless; `warn` logs it.
        accept: Name of a finding, or id of a check, to the reason for living with it.

    Raises:
        InputError: An argument that cannot be.

    Example:
        >>> GraftCallback("audit", expect_frozen=["backbone"]).findings is None
        True
    """

    def __init__(
        self,
        folder: str | Path = "graft-audit",
        *,
        base: str | Path | None = None,
        expect_trainable: Sequence[str] = (),
        expect_frozen: Sequence[str] = (),
        on_fault: str = "stop",
        accept: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = Settings(
            folder=Path(folder),
            base=None if base is None else Path(base),
            expect_trainable=tuple(expect_trainable),
            expect_frozen=tuple(expect_frozen),
            on_fault=on_fault,
            accept=dict(accept or {}),
        )
        self.watch: FitWatch | None = None

    @property
    def findings(self) -> Findings | None:
        """What the checks found; None before the end of training."""
        return None if self.watch is None else self.watch.recording.judge.findings

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
