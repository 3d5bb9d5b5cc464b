"""The callback in Lightning's trainer."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch.callbacks import BackboneFinetuning, ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader

import foreign_models as foreign
from graft.core.findings import Status
from graft.integrations.faults import FaultError
from graft.integrations.lightning import GraftCallback

pytestmark = pytest.mark.slow


def fit(tmp_path, base, module=None, checkpoint=None, callbacks=(), **options):
    own = {k: options.pop(k) for k in ("expect_trainable", "on_fault") if k in options}
    callback = GraftCallback(tmp_path / "audit", **own)
    trainer = foreign.lightning_trainer(
        tmp_path / "out", callbacks=[callback, *callbacks], **options
    )
    trainer.fit(module or foreign.ColourModule(base), foreign.colour_loader(base),
                ckpt_path=checkpoint)  # fmt: skip
    return callback.findings


def worst(findings):
    return {finding.name: finding.summary for finding in findings.blocking}


def named(findings, name):
    (found,) = [finding for finding in findings.items if finding.name == name]
    return found


def keeper(folder, **options):
    return ModelCheckpoint(folder, save_top_k=-1, **options)


def thaw(epoch=1):
    return BackboneFinetuning(unfreeze_backbone_at_epoch=epoch)


def everything(base):
    """A frozen body whose tensors are in the optimizer all the same."""
    module = foreign.ColourModule(base)
    module.model.bert.requires_grad_(False)
    module.configure_optimizers = lambda: torch.optim.AdamW(module.parameters(), lr=1e-3)
    return {"module": module}


HEALTHY = {
    "plain": lambda base: {},
    "schedule": lambda base: {"module": foreign.ColourModule(base, schedule="linear")},
    "thaw": lambda base: {"module": foreign.BackboneModule(base), "callbacks": [thaw()]},
    "thaw that never comes": lambda base: {
        "module": foreign.BackboneModule(base),
        "callbacks": [thaw(9)],
    },
    "accumulation": lambda base: {"accumulate_grad_batches": 4},
    "bf16": lambda base: {"precision": "bf16-mixed"},
    "everything in the optimizer": everything,
    "three steps": lambda base: {"max_steps": 3},
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_trainings_give_no_alarm(name, tmp_path, bert):
    options = HEALTHY[name](bert)
    options["callbacks"] = [*options.get("callbacks", ()), keeper(tmp_path / "kept")]
    findings = fit(tmp_path, bert, enable_checkpointing=True, **options)
    assert worst(findings) == {}
    assert named(findings, "load_ledger").status == Status.passed
    assert (tmp_path / "audit" / "report.html").is_file()


def test_a_thaw_is_planned_before_it_happens(tmp_path, bert):
    findings = fit(tmp_path, bert, foreign.BackboneModule(bert), callbacks=[thaw()])
    phases = named(findings, "trainable_set").evidence["phases"]
    assert [phase["planned"] for phase in phases] == [2, 41]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`:UserWarning")
def test_a_backbone_that_a_resume_freezes_for_ever_stops(tmp_path, bert):
    """FRZ-01, as Lightning 2.6 does it."""
    module = foreign.BackboneModule
    callbacks = [thaw(), keeper(tmp_path / "kept")]
    fit(tmp_path, bert, module(bert), callbacks=callbacks, enable_checkpointing=True)
    newest = max((tmp_path / "kept").iterdir())
    with pytest.raises(FaultError, match="39 tensors planned but frozen"):
        fit(tmp_path, bert, module(bert), newest, callbacks=[thaw()], max_epochs=4)


class NeverThaws(BackboneFinetuning):
    """A hook that is not called."""

    def finetune_function(self, pl_module, epoch, optimizer):
        pass


def test_a_thaw_that_does_not_come_stops(tmp_path, bert):
    callbacks = [NeverThaws(unfreeze_backbone_at_epoch=1)]
    with pytest.raises(FaultError, match="Phase 1: 39 tensors planned but frozen"):
        fit(tmp_path, bert, foreign.BackboneModule(bert), callbacks=callbacks)


class WrongInterval(foreign.ColourModule):
    """OPT-10: a schedule over all steps that is stepped once an epoch."""

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.rate)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
        return [optimizer], [scheduler]


class LongWarmup(foreign.ColourModule):
    """OPT-11."""

    def configure_optimizers(self):
        from transformers import get_scheduler

        optimizer = torch.optim.AdamW(self.parameters(), lr=self.rate)
        scheduler = get_scheduler("linear", optimizer, 100, 200)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


class DeadTensors(foreign.ColourModule):
    """OPT-02: the head is replaced after the optimizer was built."""

    def on_fit_start(self):
        self.model.classifier = nn.Linear(32, 3)


class NotANumber(foreign.ColourModule):
    """OPT-07."""

    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        return loss * float("nan") if self.global_step == 3 else loss


def test_a_replaced_head_stops(tmp_path, bert):
    class Late(foreign.ColourModule):
        def on_train_start(self):
            self.model.classifier = nn.Linear(32, 3)

    with pytest.raises(FaultError, match="not in the optimizer"):
        fit(tmp_path, bert, Late(bert))


def test_a_loss_that_is_not_finite_stops(tmp_path, bert):
    with pytest.raises(FaultError, match="finite_loss"):
        fit(tmp_path, bert, NotANumber(bert))


@pytest.mark.parametrize(("module", "finding"), [(WrongInterval, "options_in_force"),
                                                 (LongWarmup, "rates")])  # fmt: skip
def test_schedules_that_never_get_anywhere_are_found(module, finding, tmp_path, bert):
    assert finding in worst(fit(tmp_path, bert, module(bert)))


class Forgets(foreign.ColourModule):
    """SAV-02: the head is taken out of the checkpoint."""

    def on_save_checkpoint(self, checkpoint):
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {n: t for n, t in state.items() if "classifier" not in n}


def test_a_checkpoint_without_the_head_is_found(tmp_path, bert):
    findings = fit(tmp_path, bert, Forgets(bert), callbacks=[keeper(tmp_path / "kept")],
                   enable_checkpointing=True)  # fmt: skip
    assert "classifier" in worst(findings)["saved_tensors"]


def test_an_expected_thaw_that_never_comes_is_found_at_the_end(tmp_path, bert):
    from lightning.pytorch.callbacks import BaseFinetuning

    class Own(BaseFinetuning):
        def freeze_before_training(self, pl_module):
            self.freeze(pl_module.model.bert)

        def finetune_function(self, pl_module, epoch, optimizer):
            pass

    findings = fit(tmp_path, bert, callbacks=[Own()], expect_trainable=["model.bert.encoder"])
    assert "planned but frozen" in worst(findings)["trainable_set"]


def test_the_best_checkpoint_must_be_the_best(tmp_path, bert):
    class Watched(foreign.ColourModule):
        def validation_step(self, batch, index):
            self.log("val_accuracy", float(self.global_step))

    callback = GraftCallback(tmp_path / "audit")
    kept = ModelCheckpoint(tmp_path / "kept", monitor="val_accuracy", mode="min")
    trainer = foreign.lightning_trainer(tmp_path / "out", callbacks=[callback, kept],
                                        enable_checkpointing=True)  # fmt: skip
    loader = foreign.colour_loader(bert)
    trainer.fit(Watched(bert), loader, DataLoader(loader.dataset, 8, collate_fn=loader.collate_fn))
    assert "is a score" in worst(callback.findings)["best_checkpoint"]
