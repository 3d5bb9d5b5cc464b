"""Healthy trainings with usual and with odd but right settings: none may raise an alarm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch.callbacks import BackboneFinetuning
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses

import diagnosis_models as models
import foreign_models as foreign
from faults.folder_faults import base as folders
from faults.folder_faults import diagnosed, labelled, tuned
from faults.fusion_faults import ROWS, STACKED, class_frames
from faults.graft_runs import FROZEN, HEAD, LORA, THAW, below_the_head, frames, graft_run
from faults.label_faults import CONTROL, MEANS, label_run
from faults.loop_faults import HEAD_FIRST
from faults.pretraining_faults import TRAINING as PRETRAINED
from faults.pretraining_faults import pretraining_run
from faults.resume_faults import interrupted
from faults.trainer_faults import (
    CHOOSING,
    SAVING,
    ColourNet,
    WithBackbone,
    base,
    classifier,
    resumed,
    scaled,
    watched,
)
from faults.zoo import Plant, Planted, listening
from graft.core.facts import MULTI_LABEL, REGRESSION
from graft.core.findings import Finding, Status
from graft.integrations import lightning as lightning_callback
from tiny_models import colour_pairs

ALARMS = (Status.failed, Status.error, Status.not_run)
ALL_LINEAR = {"target_modules": ["query", "key", "value", "dense"], "lora_alpha": 32}
TOWERS = {"texts": "towers", "table": True}
BALANCED = {"class_weight": "balanced"}
FEW = {"rows_per_class": 20}
AVERAGED = {"arm": "tuned", "members": ["table"], "method": "average"}
LOW, TOP = ["embeddings", "encoder.layer.0"], ["encoder.layer.1"]


@dataclass(frozen=True)
class Healthy:
    """A training that nothing is wrong with.

    Args:
        name: What is special about it.
        run: Trains in an empty folder.
    """

    name: str
    run: Plant

    @staticmethod
    def alarms(findings: tuple[Finding, ...]) -> list[Finding]:
        """Return the findings that would fail the run."""
        return [finding for finding in findings if finding.status in ALARMS]


def _graft(name: str, *arms: dict[str, Any], **changes: Any) -> Healthy:
    return Healthy(name, partial(_run, arms=arms, changes=changes))


def _run(folder: Path, arms: tuple[dict[str, Any], ...], changes: dict[str, Any]) -> Planted:
    return graft_run(folder, *arms, **changes)


def _class(name: str, *arms: dict[str, Any], classes: int = 2, **changes: Any) -> Healthy:
    return _graft(f"classification: {name}", *arms, rows=class_frames(classes), **ROWS, **changes)


def _training(**options: Any) -> dict[str, Any]:
    return {"training": options}


def _schedule(name: str) -> Healthy:
    return _graft(f"schedule {name}", **_training(lr_scheduler_type=name, num_train_epochs=3))


def _loss(name: str) -> Healthy:
    return _graft(f"loss {name}", {"loss": name})


def _graded() -> dict[str, pd.DataFrame]:
    rows = frames()
    for frame in rows.values():
        frame["label"] = frame["label"] * 3 + frame.index % 3
    return rows


_BY_COMPANY = {"columns": {"group": "company"}, "split": {"validation": 0.2, "method": "grouped"}}


def _companies() -> dict[str, pd.DataFrame]:
    rows = colour_pairs(120, 1)
    return {"train": rows.assign(company=[f"company {index // 5}" for index in rows.index])}


def _lengths() -> dict[str, pd.DataFrame]:
    rows = frames()
    for frame in rows.values():
        long = frame.index % 4 == 0
        frame.loc[long, "sentence1"] = (frame.loc[long, "sentence1"] + " ") * 6
    return rows


GRAFT = (
    _graft("full, fp32"),
    _graft("full, bf16", **_training(precision="bf16")),
    _graft("full, another seed", seed=7),
    _graft("full and LoRA and head in one experiment", {}, LORA, HEAD),
    _graft("LoRA, fp32", LORA),
    _graft("LoRA, bf16", {**LORA, "training": {"learning_rate": 2e-2, "precision": "bf16"}}),
    _graft("LoRA, another seed", LORA, seed=3),
    _graft(
        "LoRA on the queries alone",
        {**LORA, "lora": {"target_modules": ["query"], "lora_alpha": 64}},
        **_training(num_train_epochs=6),
    ),
    _graft("LoRA on all linear layers", {**LORA, "lora": ALL_LINEAR}),
    _graft("LoRA with rsLoRA", {**LORA, "lora": {"use_rslora": True, "lora_alpha": 32, "r": 4}}),
    _graft("LoRA of rank 1 without dropout", {**LORA, "lora": {"r": 1, "lora_dropout": 0}}),
    _graft("LoRA at a low rate", {"method": "lora"}, training={"learning_rate": 1e-4}),
    _graft("new head alone", HEAD),
    _graft("new head, another seed", HEAD, seed=5, training={"learning_rate": 1e-2}),
    *(_loss(name) for name in ("cosent", "angle", "contrastive", "online_contrastive")),
    *(_schedule(name) for name in ("constant", "cosine", "one_cycle", "cosine_with_restarts")),
    _graft("two phases", THAW),
    _graft("three seeds of two methods", {}, LORA, seeds=3),
    *(
        _class(name, *arms, **changes)
        for name, arms, changes in (
            ("two classes", ({},), {}),
            ("texts as towers, table beside them", ({"classifier": TOWERS},), {}),
            (
                "two seeds, frozen below the head and thawed",
                (below_the_head(0), below_the_head(1)),
                {"seeds": 2, "training": HEAD_FIRST},
            ),
            ("focal loss, balanced classes", ({"loss": "focal", "classifier": BALANCED},), {}),
            ("full, LoRA and head, a few rows of each class", ({}, {**LORA, **FEW}, HEAD), {}),
            ("lower rates for lower layers", ({"training": {"lr_decay": 0.5}},), {}),
            ("stacked with the table", ({},), {"fusion": {"fused": STACKED}}),
        )
    ),
    _class("a control with five seeds", {}, CONTROL),
    _class("heads at the class means", MEANS, {**LORA, **MEANS}, {**HEAD, **MEANS}),
    Healthy("several labels", partial(label_run, kind=MULTI_LABEL)),
    Healthy("numbers", partial(label_run, kind=REGRESSION)),
    _class("three classes, averaged with the table", {}, classes=3, fusion={"fused": AVERAGED}),
    _graft(
        "thaw at the last epoch",
        {"freeze": [{"name": "low", "patterns": LOW, "unfreeze_after": 4}]},
        **_training(num_train_epochs=5),
    ),
    _graft("lower layers frozen throughout", FROZEN),
    _graft("outputs of frozen layers stored in bf16", FROZEN, **_training(precision="bf16")),
    _graft("frozen layers computed in every epoch", FROZEN, **_training(feature_cache_gb=0)),
    _graft(
        "freeze groups with rates of their own",
        {
            "freeze": [
                {"name": "low", "patterns": LOW, "unfreeze_after": 1, "learning_rate": 1e-4},
                {"name": "top", "patterns": TOP, "unfreeze_after": -1, "learning_rate": 5e-4},
                {"name": "pooler", "patterns": ["pooler"], "unfreeze_after": 0},
            ]
        },
        **_training(num_train_epochs=3),
    ),
    _graft(
        "eight training rows",
        rows=frames(train=10),
        **_training(num_train_epochs=6, per_device_train_batch_size=4),
    ),
    _graft("one epoch", **_training(num_train_epochs=1)),
    _graft("batch larger than the data", **_training(per_device_train_batch_size=500)),
    _graft("max_steps below an epoch", **_training(max_steps=3)),
    _graft("weight decay", **_training(weight_decay=0.1)),
    _graft("no clipping, no warm-up", **_training(max_grad_norm=None, warmup_steps=0)),
    _graft(
        "accumulation with a short last batch",
        **_training(per_device_train_batch_size=5, gradient_accumulation_steps=3),
    ),
    _graft(
        "early stopping",
        **_training(num_train_epochs=12, early_stopping_patience=1, learning_rate=1e-2),
    ),
    _graft("last weights kept", **_training(load_best_model_at_end=False, num_train_epochs=3)),
    _graft("chosen by another metric", **_training(metric_for_best_model="roc_auc")),
    _graft("no validation rows", data={"split": {"validation": 0}}),
    _graft("no evaluation while training", **_training(eval_strategy="no")),
    _graft(
        "evaluated every third step",
        **_training(eval_strategy="steps", eval_steps=3, save_strategy="steps", save_steps=2),
    ),
    _graft("texts cut at five tokens", {"base": {"max_seq_length": 5}}),
    _graft("controls", {}, {"control": "random_init"}, {"control": "shuffled_labels"}),
    _graft("test rows split off", rows={"train": colour_pairs(120, 1)}),
    _graft("graded labels", rows=_graded(), data={"label_range": [0, 5]}),
    _graft("rows of companies kept together", rows=_companies(), data=_BY_COMPANY),
    _graft("precision chosen by the machine", **_training(precision="auto")),
    _graft("full at a low rate", **_training(learning_rate=1e-5)),
    _graft("evaluation in batches of one", **_training(per_device_eval_batch_size=1)),
    _graft("texts of very different lengths", rows=_lengths()),
    Healthy("interrupted and taken up", partial(interrupted, after=3)),
    Healthy("interrupted after the thaw", partial(interrupted, after=6, arm=THAW)),
    Healthy("LoRA, interrupted and taken up", partial(interrupted, after=5, arm=LORA)),
)


def _pretraining(name: str, **section: Any) -> Healthy:
    return Healthy(f"pretraining: {name}", partial(_pretrained, section=section))


def _pretrained(folder: Path, section: dict[str, Any]) -> Planted:
    return pretraining_run(folder, **section)


PRETRAINING = (
    _pretraining("blocks"),
    _pretraining("single values of the training rows", unlabelled=None, mask={"kind": "random"}),
    _pretraining(
        "patches, forecast and contrast",
        mask={"kind": "patch", "share": 0.5},
        objectives={"reconstruction": 1.0, "forecast": 0.5, "contrastive": 0.1},
    ),
    _pretraining("forecast alone", objectives={"forecast": 1.0}),
    _pretraining("contrast alone", objectives={"contrastive": 1.0}),
    _pretraining(
        "accumulation, early stopping",
        training={**PRETRAINED, "gradient_accumulation_steps": 2, "early_stopping_patience": 2},
    ),
)


def _classifier(name: str, model: Any = None, **options: Any) -> Healthy:
    def run(folder: Path) -> Planted:
        made = {key: value() for key, value in options.items() if callable(value)}
        if model:
            made["model"] = model()
        return classifier(folder, **{**options, **made})

    return Healthy(f"Transformers: {name}", run)


def _adapted(**options: Any) -> Any:
    return foreign.with_lora(foreign.classifier(base("bert")), **options)


def _taken_up(folder: Path) -> Planted:
    foreign.classification_trainer(folder / "out", base("bert"), **SAVING).train()
    again = foreign.classification_trainer(folder / "out", base("bert"), **SAVING)
    return resumed(again, folder)


def _head_alone() -> Any:
    model = foreign.classifier(base("bert"))
    model.bert.requires_grad_(False)
    return model


def _still_norm() -> Any:
    """Return a model whose frozen normalisation stays in eval mode whatever the trainer calls."""

    class Still(ColourNet):
        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.body.eval()
            return self

    model = Still()
    model.body.requires_grad_(False)
    return model


def _sentences(name: str, loss: Any, **options: Any) -> Healthy:
    def run(folder: Path) -> Planted:
        model = SentenceTransformer(str(base("sentence")), device="cpu")
        chosen = {key: value() for key, value in options.items()}
        trainer = foreign.sentence_trainer(
            folder / "out", base("sentence"), model=model, loss=loss(model), **chosen
        )
        return watched(trainer, folder)

    return Healthy(f"Sentence-Transformers: {name}", run)


def _positives() -> Any:
    rows = foreign.sentence_pairs(96)
    return rows.filter(lambda row: row["score"] == 1.0).remove_columns("score")


def _language(name: str, kind: str = "llama", **options: Any) -> Healthy:
    def run(folder: Path) -> Planted:
        trainer = foreign.sft_trainer(folder / "out", base(kind), **options)
        return watched(trainer, folder)

    return Healthy(f"TRL: {name}", run)


def _lightning(name: str, *callbacks: Any, **options: Any) -> Healthy:
    def run(folder: Path) -> Planted:
        made = [callback() for callback in callbacks]
        own = lightning_callback.GraftCallback(folder / "audit", on_fault="warn")
        trainer = foreign.lightning_trainer(folder / "out", callbacks=[*made, own], **options)
        module = WithBackbone(base("bert"))
        with listening() as heard:
            trainer.fit(module, foreign.colour_loader(base("bert")))
        return Planted(tuple(heard))

    return Healthy(f"Lightning: {name}", run)


TRAINERS = (
    _classifier("full"),
    _classifier("head alone", _head_alone),
    _classifier("LoRA", _adapted),
    _classifier("LoRA on all linear layers", lambda: _adapted(target_modules="all-linear")),
    _classifier("frozen batch normalisation kept in eval mode", _still_norm),
    _classifier("bf16", bf16=True),
    _classifier("accumulation with a short last batch", gradient_accumulation_steps=4),
    _classifier("cosine schedule with warm-up", lr_scheduler_type="cosine", warmup_steps=3),
    _classifier("constant rate", lr_scheduler_type="constant"),
    _classifier("weight decay and label smoothing", weight_decay=0.1, label_smoothing_factor=0.1),
    _classifier("max_steps", max_steps=7),
    _classifier("more epochs", num_train_epochs=5, learning_rate=5e-3),
    _classifier(
        "gradient checkpointing of an adapter",
        _adapted,
        gradient_checkpointing=True,
        gradient_checkpointing_kwargs={"use_reentrant": False},
    ),
    _classifier("every step saved", save_strategy="steps", save_steps=1, num_train_epochs=1),
    _classifier("adapter saved", _adapted, save_strategy="epoch"),
    Healthy("Transformers: taken up from a checkpoint", _taken_up),
    Healthy(
        "Transformers: gradient scaler that skips one step of 42",
        partial(scaled, back=2.0**-80, optim="adamw_torch", num_train_epochs=7),
    ),
    Healthy(
        "Transformers: the same with a fused optimizer",
        partial(scaled, back=2.0**-80, optim="adamw_torch_fused", num_train_epochs=7),
    ),
    _classifier(
        "best checkpoint loaded",
        metric_for_best_model="loss",
        eval_rows=lambda: foreign.classification_rows(base("bert"), 24, seed=5),
        **CHOOSING,
    ),
    _sentences("CoSENT", losses.CoSENTLoss),
    _sentences("multiple negatives", losses.MultipleNegativesRankingLoss, rows=_positives),
    _sentences("cosine similarity", losses.CosineSimilarityLoss),
    _language("LoRA"),
    _language("full, tied weights", "tied", peft_config=None, learning_rate=1e-3),
    _language("prompts and completions", rows=foreign.prompts()),
    _language("answers alone", assistant_only_loss=True),
    _language("accumulation", gradient_accumulation_steps=3, per_device_train_batch_size=2),
    _language("packing", packing=True),
    _language("gradient checkpointing", activation_checkpointing=True),
    _lightning("full"),
    _lightning("accumulation", accumulate_grad_batches=2),
    _lightning("thaw", lambda: BackboneFinetuning(unfreeze_backbone_at_epoch=1)),
)


def _folders(name: str, before: str, after: str, **given: str) -> Healthy:
    def run(folder: Path) -> Planted:
        places = {key: tuned(value) for key, value in given.items()}
        return diagnosed(folders(before), tuned(after), **places)

    return Healthy(f"folders: {name}", run)


def _head_folder(folder: Path) -> Planted:
    after = models.tune_classifier(folders("body"), folder / "tuned", only_head=True)
    return diagnosed(folders("body"), after, data=labelled(folder))


def _logged(folder: Path) -> Planted:
    after = models.tune_classifier(folders("classifier"), folder / "tuned")
    models.write_trainer_state(after, models.healthy_log())
    return diagnosed(folders("classifier"), after, data=labelled(folder))


FOLDERS = (
    _folders("classifier from its body", "body", "body"),
    _folders("classifier from a classifier", "classifier", "classifier"),
    _folders("language model", "language", "language"),
    _folders("language model with tied weights", "tied", "tied"),
    _folders("adapter", "language", "adapter"),
    _folders("merged model beside its adapter", "language", "merged", adapter="adapter"),
    _folders("sentence encoder", "encoder", "encoder"),
    Healthy("folders: new head alone", _head_folder),
    Healthy("folders: classifier with rows and log", _logged),
)
RUNS: tuple[Healthy, ...] = (*GRAFT, *PRETRAINING, *TRAINERS, *FOLDERS)
