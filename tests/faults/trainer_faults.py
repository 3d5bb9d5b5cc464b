"""Faults in the trainers of other libraries, watched by the callbacks of `graft.integrations`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import lightning
import torch
from datasets import Dataset
from lightning.pytorch.callbacks import BackboneFinetuning, ModelCheckpoint
from peft import PeftModel, prepare_model_for_kbit_training
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from torch import Tensor, nn
from transformers import (
    BertForSequenceClassification,
    DataCollatorForLanguageModeling,
    LlamaForCausalLM,
    Trainer,
    TrainingArguments,
)

import foreign_models as foreign
from faults.graft_runs import material
from faults.zoo import Planted, Registry, listening, sabotage
from graft.core.findings import Status
from graft.integrations import lightning as lightning_callback
from graft.integrations.faults import FaultError
from graft.integrations.transformers import GraftCallback

fault = Registry()
SAVING = {"save_strategy": "steps", "save_steps": 6}
CHOOSING = {
    **SAVING,
    "eval_strategy": "steps",
    "eval_steps": 6,
    "num_train_epochs": 4,
    "load_best_model_at_end": True,
    "save_total_limit": 9,
}


@cache
def base(kind: str) -> Path:
    """Return the folder of a base: `bert`, `llama`, `tied` or `sentence`."""
    folder = material() / f"foreign-{kind}"
    if kind == "bert":
        return foreign.write_bert(folder)
    if kind == "sentence":
        return foreign.write_sentence_encoder(folder)
    return foreign.write_llama(folder, tied=kind == "tied")


def watched(trainer: Any, folder: Path, **expected: Any) -> Planted:
    """Train with the callback and return what it asked, even if it stopped the training."""
    given = {"on_fault": "warn", **expected}
    trainer.add_callback(GraftCallback(folder / "audit", **given))
    with listening() as heard, contextlib.suppress(FaultError):
        trainer.train()
    return Planted(tuple(heard))


def classifier(folder: Path, expected: Mapping[str, Any] | None = None, **options: Any) -> Planted:
    """Train three colours with the Transformers trainer and watch it."""
    trainer = foreign.classification_trainer(folder / "out", base("bert"), **options)
    return watched(trainer, folder, **(expected or {}))


def chat(folder: Path, **options: Any) -> Planted:
    """Train a tiny Llama with TRL's trainer and watch it."""
    return watched(foreign.sft_trainer(folder / "out", base("llama"), **options), folder)


def language(folder: Path, tokenizer: Any, rows: Dataset, collator: Any) -> Planted:
    """Train a tiny Llama with the plain trainer on rows and labels of one's own."""
    arguments = TrainingArguments(
        str(folder / "out"), per_device_train_batch_size=8, learning_rate=1e-3, **foreign.QUIET
    )
    trainer = Trainer(
        LlamaForCausalLM.from_pretrained(base("llama")),
        arguments,
        train_dataset=rows,
        data_collator=collator,
        processing_class=tokenizer,
    )
    return watched(trainer, folder)


# Freezing


@fault("FRZ-06", "trainable_set")
def encoder_that_came_frozen(folder: Path) -> Planted:
    """The loader hands out a frozen body; the user expects that all of it is trained."""
    model = foreign.classifier(base("bert"))
    model.bert.requires_grad_(False)
    return classifier(folder, {"expect_trainable": ["bert"]}, model=model)


@fault("FRZ-07", "first_gradient", "movement")
def reentrant_checkpointing_of_an_adapter(folder: Path) -> Planted:
    """Reentrant checkpointing starts from embeddings without gradient: the adapters get none."""
    model = foreign.with_lora(foreign.classifier(base("bert")))
    return classifier(
        folder,
        model=model,
        gradient_checkpointing=True,
        gradient_checkpointing_kwargs={"use_reentrant": True},
        trainer=_WithoutInputGradients,
    )


class _WithoutInputGradients(Trainer):
    """A trainer of before input gradients were switched on for adapters."""

    def _inner_training_loop(self, *rest: Any, **named: Any) -> Any:
        self.model.disable_input_require_grads()
        return super()._inner_training_loop(*rest, **named)


@fault("FRZ-08", "trainable_set")
def adapter_loaded_for_inference(folder: Path) -> Planted:
    """The adapter of a first training is loaded as for inference, and trained on."""
    first = foreign.with_lora(foreign.classifier(base("bert")))
    first.save_pretrained(folder / "first")
    model = PeftModel.from_pretrained(foreign.classifier(base("bert")), str(folder / "first"))
    model.enable_input_require_grads()
    return classifier(folder, model=model)


@fault("FRZ-09", "trainable_set")
def adapter_frozen_by_the_trainer(folder: Path) -> Planted:
    """The preparation for quantised training is applied to a model that has its adapter already."""
    model = foreign.with_lora(foreign.classifier(base("bert")))
    model.enable_input_require_grads()
    prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return classifier(folder, {"expect_trainable": ["lora_A", "lora_B"]}, model=model)


@fault("FRZ-12", "movement")
def frozen_batch_norm_counts_on(folder: Path) -> Planted:
    """The body is frozen and in eval mode until the trainer calls train(): its statistics drift."""
    model = ColourNet()
    model.body.requires_grad_(False)
    model.body.eval()
    return classifier(folder, model=model)


class ColourNet(nn.Module):
    """An embedding, a batch normalisation and a head: what a small vision model comes down to."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleDict({"table": nn.Embedding(100, 16), "norm": nn.BatchNorm1d(16)})
        self.head = nn.Linear(16, 3)

    def forward(self, input_ids: Tensor, labels: Tensor, **rest: Tensor) -> dict[str, Tensor]:
        features = self.body["norm"](self.body["table"](input_ids).mean(1))
        logits = self.head(features)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@fault("FRZ-13", "frozen_modes", status=Status.warned)
def frozen_body_with_dropout(folder: Path) -> Planted:
    """The body is frozen by its flags alone, so the trainer runs it with dropout."""
    model = foreign.classifier(base("bert"))
    model.bert.requires_grad_(False)
    return classifier(folder, model=model)


# Optimizer and schedule


@fault("OPT-01", "trainable_set")
def classifier_of_the_loss_not_optimized(folder: Path) -> Planted:
    """The softmax loss owns a classifier, and the optimizer is built from the model alone."""
    model = SentenceTransformer(str(base("sentence")), device="cpu")
    loss = losses.SoftmaxLoss(model, model.get_embedding_dimension(), num_labels=2)
    rows = foreign.sentence_pairs()
    rows = rows.remove_columns("score").add_column("label", [int(s) for s in rows["score"]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    trainer = foreign.sentence_trainer(
        folder / "out", base("sentence"), model=model, loss=loss, rows=rows,
        optimizers=(optimizer, None),
    )  # fmt: skip
    return watched(trainer, folder)


@fault("OPT-02", "trainable_set")
def head_replaced_after_the_optimizer(folder: Path) -> Planted:
    """The optimizer is built first; then the model is given a new head."""
    model = foreign.classifier(base("bert"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.classifier = nn.Linear(32, 3)
    return classifier(folder, model=model, optimizers=(optimizer, None))


@fault("OPT-04", "accumulation")
def loss_of_one_s_own_averages_micro_batches(folder: Path) -> Planted:
    """A loss function of one's own averages each micro-batch; the trainer then adds them up."""

    def mean(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        logits, target = outputs["logits"][:, :-1].flatten(0, 1), labels[:, 1:].flatten()
        return nn.functional.cross_entropy(logits, target)

    return chat(
        folder,
        gradient_accumulation_steps=3,
        per_device_train_batch_size=2,
        peft_config=None,
        trainer=_with_loss(mean),
    )


@fault("OPT-06", "rates")
def scaler_skips_steps(folder: Path) -> Planted:
    """The gradient scaler starts far too high and skips step after step until it fits."""
    return scaled(folder, back=2.0**-10, optim="adamw_torch")


@fault("OPT-06", "rates")
def fused_optimizer_skips_steps(folder: Path) -> Planted:
    """The same with a fused optimizer, which skips inside of its kernel and reports no skip."""
    return scaled(folder, back=2.0**-10, optim="adamw_torch_fused")


def scaled(folder: Path, back: float, **options: Any) -> Planted:
    """Train with a gradient scaler that starts far too high and comes down by `back` a step."""
    trainer = foreign.classification_trainer(
        folder / "out", base("bert"), max_grad_norm=0.0, **options
    )
    trainer.accelerator.scaler = torch.amp.GradScaler(
        "cpu", init_scale=2.0**127, backoff_factor=back, growth_interval=10**6
    )
    return watched(trainer, folder)


@fault("OPT-07", "finite_loss")
def overflow_hidden_by_the_log(folder: Path) -> Planted:
    """The weights overflow; the trainer's filter leaves NaN out of the log and trains on."""
    return classifier(folder, learning_rate=1e30, max_grad_norm=0.0)


@fault("OPT-11", "rates")
def warm_up_beyond_the_end(folder: Path) -> Planted:
    """The warm-up takes 100 steps, the training 12."""
    return classifier(folder, warmup_steps=100)


@fault("OPT-12", "rates", "options_in_force")
def rate_of_a_backend(folder: Path) -> Planted:
    """A backend builds the optimizer with its own rate and passes over that of the user."""

    class Backend(Trainer):
        def create_optimizer(self, *rest: Any) -> Any:
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
            return self.optimizer

    return classifier(folder, trainer=Backend)


@fault("OPT-09", "rates")
def schedule_moved_on_twice(folder: Path) -> Planted:
    """The training loop and a callback both move the schedule on."""

    class Twice(Trainer):
        def create_scheduler(self, *rest: Any, **named: Any) -> Any:
            scheduler = super().create_scheduler(*rest, **named)
            step = scheduler.step
            scheduler.step = lambda *a: (step(*a), step(*a))
            return scheduler

    return classifier(folder, trainer=Twice)


# Rows, tokens and labels


@fault("DAT-20", "row_order", status=Status.warned)
def rows_never_shuffled(folder: Path) -> Planted:
    """The sampler deals the rows in the order of the file, every epoch."""

    class InOrder(Trainer):
        def _get_train_sampler(self, *rest: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    return classifier(folder, trainer=InOrder)


@fault("DAT-01", "supervision")
def padding_is_the_end_token(folder: Path) -> Planted:
    """The padding token is the end-of-text token, and the collator masks all padding."""
    tokenizer = foreign.chat_tokenizer(pad="</s>")
    rows = _rows(tokenizer, _rendered(tokenizer))
    return language(folder, tokenizer, rows, DataCollatorForLanguageModeling(tokenizer, mlm=False))


@fault("DAT-02", "supervision")
def template_without_generation_marks(folder: Path) -> Planted:
    """The chat template marks no answer, so the mask of the assistant is zero everywhere."""
    template = foreign.TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    tokenizer = foreign.chat_tokenizer(template=template)
    found = [
        tokenizer.apply_chat_template(chat, return_dict=True, return_assistant_tokens_mask=True)
        for chat in foreign.conversations()["messages"]
    ]
    rows = Dataset.from_dict(
        {
            "input_ids": [one["input_ids"] for one in found],
            "labels": [
                [t if kept else -100 for t, kept in zip(*pair, strict=True)]
                for pair in ((one["input_ids"], one["assistant_masks"]) for one in found)
            ],
        }
    )
    return language(folder, tokenizer, rows, _Padded(tokenizer))


@fault("DAT-03", "supervision")
def answer_marker_not_found(folder: Path) -> Planted:
    """The marker of the answer is looked for as token ids that its context never yields."""
    tokenizer = foreign.chat_tokenizer()
    rows = _rows(tokenizer, _rendered(tokenizer))
    wrong = tokenizer.convert_tokens_to_ids("<assistant>") + 1
    return language(folder, tokenizer, rows, _AfterMarker(tokenizer, wrong))


@fault("DAT-04", "supervision")
def answers_cut_off(folder: Path) -> Planted:
    """The maximum length ends before the answer does."""
    return chat(folder, rows=foreign.prompts(words=6), max_length=7)


@fault("DAT-06", "supervision")
def prompt_mask_overwritten(folder: Path) -> Planted:
    """Prompts are masked in the data set; the collator for plain texts makes its own labels."""
    tokenizer = foreign.chat_tokenizer()
    collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)
    return chat(
        folder,
        rows=foreign.prompts(),
        tokenizer=tokenizer,
        collator=_TokensAlone(collator),
        completion_only_loss=True,
    )


@fault("DAT-09", "supervision")
def labels_shifted_by_the_collator(folder: Path) -> Planted:
    """The data set shifts the labels by one, and the model shifts them again."""
    tokenizer = foreign.chat_tokenizer()
    rows = _rows(tokenizer, _rendered(tokenizer))
    shifted = [[*ids[1:], -100] for ids in rows["input_ids"]]
    return language(folder, tokenizer, rows.add_column("labels", shifted), _Padded(tokenizer))


@fault("DAT-10", "row_alone")
def packed_rows_see_each_other(folder: Path) -> Planted:
    """Rows are packed into one under a mask of ones, which tells the attention of no borders."""
    tokenizer = foreign.chat_tokenizer()
    return language(folder, tokenizer, _rows(tokenizer, _rendered(tokenizer)), _packed)


def _packed(rows: list[dict[str, list[int]]]) -> dict[str, Tensor]:
    texts = [row["input_ids"] for row in rows]
    ids = torch.tensor([[token for text in texts for token in text]])
    positions = torch.tensor([[place for text in texts for place in range(len(text))]])
    mask = torch.ones_like(ids)
    return {"input_ids": ids, "position_ids": positions, "attention_mask": mask, "labels": ids}


@fault("DAT-23", "supervision")
def tokenizer_of_another_family(folder: Path) -> Planted:
    """The tokenizer knows none of the words of the data."""
    tokenizer = foreign.chat_tokenizer()
    texts = [text.upper() for text in _rendered(tokenizer)]
    rows = _rows(tokenizer, [text.replace("<S>", "<s>").replace("</S>", "</s>") for text in texts])
    return language(folder, tokenizer, rows, DataCollatorForLanguageModeling(tokenizer, mlm=False))


@fault("DAT-26", "supervision", status=Status.warned)
def generation_prompt_supervised(folder: Path) -> Planted:
    """The mark that opens the answer carries loss although the prompt provides it."""
    template = foreign.TEMPLATE.replace(
        " <assistant> {% generation %}", " {% generation %}<assistant> "
    )
    tokenizer = foreign.chat_tokenizer(template=template)
    return chat(folder, tokenizer=tokenizer, assistant_only_loss=True)


@fault("SRV-03", "supervision")
def start_token_twice(folder: Path) -> Planted:
    """The chat template writes the start token, and the tokenizer puts another before it."""
    tokenizer = foreign.chat_tokenizer(adds_start=True)
    rows = _rows(tokenizer, _rendered(tokenizer))
    return language(folder, tokenizer, rows, DataCollatorForLanguageModeling(tokenizer, mlm=False))


# Loading


@fault("LOD-01", "load_ledger")
def body_not_loaded(folder: Path) -> Planted:
    """The state dict is loaded with strict=False into a model of other names."""
    model = BertForSequenceClassification(foreign.classifier(base("bert")).config)
    state = foreign.classifier(base("bert")).state_dict()
    model.load_state_dict({f"model.{k}": v for k, v in state.items()}, strict=False)
    return classifier(folder, {"base": base("bert")}, model=model)


@fault("LOD-12", "options_in_force")
def target_that_fits_nothing(folder: Path) -> Planted:
    """One of the two target modules is misspelt, and PEFT goes on with the other."""
    model = foreign.with_lora(foreign.classifier(base("bert")), target_modules=["query", "values"])
    return classifier(folder, model=model)


@fault("LOD-13", "options_in_force")
def quantisation_not_done(folder: Path) -> Planted:
    """The config asks for four bits; the backend is missing and the layers stay as they are."""
    model = foreign.classifier(base("bert"))
    model.config.quantization_config = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    with (
        sabotage(Trainer, "_validate_args", lambda check: lambda self: None)
        if hasattr(Trainer, "_validate_args")
        else contextlib.nullcontext()
    ):
        return classifier(folder, model=model)


# Saving and choosing


@fault("SAV-01", "saved_tensors")
def empty_adapter_saved(folder: Path) -> Planted:
    """The state dict is gathered on another rank: the adapter is saved without tensors."""

    class Gathered(Trainer):
        def _save(self, output_dir: Any = None, state_dict: Any = None) -> None:
            super()._save(output_dir, {})

    model = foreign.with_lora(foreign.classifier(base("bert")), task_type=None)
    return classifier(folder, model=model, trainer=Gathered, **SAVING)


@fault("SAV-02", "saved_tensors")
def head_left_out_of_the_adapter(folder: Path) -> Planted:
    """The new head is made trainable by hand, and PEFT saves the adapter without it."""
    model = foreign.with_lora(foreign.classifier(base("bert")), task_type=None)
    model.base_model.model.classifier.requires_grad_(True)
    return classifier(folder, model=model, **SAVING)


@fault("SAV-03", "saved_tensors")
def embeddings_left_out_of_the_adapter(folder: Path) -> Planted:
    """The word embeddings are made trainable by hand, and PEFT saves the adapter without them."""
    model = foreign.with_lora(foreign.classifier(base("bert")))
    model.get_input_embeddings().weight.requires_grad_(True)
    return classifier(folder, model=model, trainer=_AdapterAlone, **SAVING)


class _AdapterAlone(Trainer):
    """A trainer that saves the adapter without asking for changed embeddings."""

    def _save(self, output_dir: Any = None, state_dict: Any = None) -> None:
        self.model.save_pretrained(output_dir, save_embedding_layers=False)


@fault("SAV-05", "best_checkpoint")
def best_not_loaded_at_the_end(folder: Path) -> Planted:
    """Loading the best checkpoint at the end does nothing, and the last weights stay."""

    class Skips(Trainer):
        def _load_best_model(self) -> None:
            return None

    return classifier(
        folder,
        trainer=Skips,
        eval_rows=_other_colours(),
        metric_for_best_model="loss",
        **{**CHOOSING, "learning_rate": 5e-3, "num_train_epochs": 6},
    )


@fault("SAV-06", "best_checkpoint")
def lowest_accuracy_kept(folder: Path) -> Planted:
    """The metric is an accuracy, and greater_is_better is left at False."""
    return classifier(
        folder,
        eval_rows=foreign.classification_rows(base("bert"), 24, seed=5),
        compute_metrics=_accuracy,
        metric_for_best_model="accuracy",
        greater_is_better=False,
        **CHOOSING,
    )


# Resume


@fault("RES-04", "options_in_force")
def stored_batch_size(folder: Path) -> Planted:
    """Taken up with another batch size, the trainer goes on with the one that it stored."""

    class Stored(Trainer):
        def get_train_dataloader(self) -> Any:
            with sabotage(self.args, "per_device_train_batch_size", lambda asked: 8):
                self._train_batch_size = 8
                return super().get_train_dataloader()

    first = foreign.classification_trainer(folder / "out", base("bert"), **SAVING)
    first.train()
    again = foreign.classification_trainer(
        folder / "out", base("bert"), trainer=Stored, per_device_train_batch_size=4, **SAVING
    )
    return resumed(again, folder)


@fault("RES-01", "rates")
def scheduler_state_lost(folder: Path) -> Planted:
    """The checkpoint lacks the state of the scheduler: the rate begins again at its peak."""
    foreign.classification_trainer(folder / "out", base("bert"), **SAVING).train()
    for name in ("scheduler.pt", "optimizer.pt"):
        (folder / "out" / "checkpoint-6" / name).unlink()
    return resumed(foreign.classification_trainer(folder / "out", base("bert"), **SAVING), folder)


# Lightning


@fault("FRZ-01", "trainable_set", "movement")
def finetuning_callback_after_a_resume(folder: Path) -> Planted:
    """Lightning's callback thaws in one epoch only; a training taken up later stays frozen."""

    def trainer(epochs: int, *callbacks: Any) -> lightning.Trainer:
        saving = ModelCheckpoint(folder / "out", save_last=True)
        thaw = BackboneFinetuning(unfreeze_backbone_at_epoch=1)
        return foreign.lightning_trainer(
            folder / "out",
            max_epochs=epochs,
            enable_checkpointing=True,
            callbacks=[saving, thaw, *callbacks],
        )

    loader = foreign.colour_loader(base("bert"))
    trainer(2).fit(WithBackbone(base("bert")), loader)
    callback = lightning_callback.GraftCallback(
        folder / "audit", on_fault="warn", expect_trainable=["bert.encoder"]
    )
    with listening() as heard:
        trainer(4, callback).fit(
            WithBackbone(base("bert")), loader, ckpt_path=folder / "out" / "last.ckpt"
        )
    return Planted(tuple(heard))


class WithBackbone(foreign.ColourModule):
    """A module whose body Lightning's own callback freezes and thaws."""

    @property
    def backbone(self) -> nn.Module:
        return self.model.bert

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=self.rate)


# Parts


def resumed(trainer: Trainer, folder: Path) -> Planted:
    """Take a training up at its checkpoint of step 6 and watch it."""
    trainer.add_callback(GraftCallback(folder / "audit", on_fault="warn"))
    with listening() as heard:
        trainer.train(resume_from_checkpoint=str(folder / "out" / "checkpoint-6"))
    return Planted(tuple(heard))


def _with_loss(function: Any) -> type:
    class WithLoss(foreign.SFTTrainer):
        def __init__(self, *rest: Any, **named: Any) -> None:
            super().__init__(*rest, compute_loss_func=function, **named)

        def compute_loss(self, *rest: Any, **named: Any) -> Any:
            return Trainer.compute_loss(self, *rest, **named)

    return WithLoss


def _accuracy(prediction: Any) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(1) == prediction.label_ids).mean())}


def _other_colours() -> Dataset:
    """Return rows whose labels are those of other colours: what is learned makes them worse."""
    rows = foreign.classification_rows(base("bert"), 24, seed=5)
    labels = [(label + 1) % 3 for label in rows["labels"]]
    return rows.remove_columns("labels").add_column("labels", labels)


def _rendered(tokenizer: Any) -> list[str]:
    chats = foreign.conversations()["messages"]
    return [tokenizer.apply_chat_template(chat, tokenize=False) for chat in chats]


def _rows(tokenizer: Any, texts: list[str]) -> Dataset:
    return Dataset.from_dict({"input_ids": [tokenizer(text)["input_ids"] for text in texts]})


class _Padded:
    """Pads tokens and labels."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)
        pad = self.tokenizer.pad_token_id
        fill = {"input_ids": pad, "labels": -100, "attention_mask": 0}
        filled = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in rows]
        return {
            name: torch.tensor([row[name] + [by] * (longest - len(row[name])) for row in filled])
            for name, by in fill.items()
        }


class _AfterMarker:
    """Masks everything up to a marker, and the whole row where the marker is not found."""

    def __init__(self, tokenizer: Any, marker: int) -> None:
        self.padded, self.marker = _Padded(tokenizer), marker

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, Tensor]:
        done = []
        for row in rows:
            ids = row["input_ids"]
            start = ids.index(self.marker) + 1 if self.marker in ids else len(ids)
            done.append({"input_ids": ids, "labels": [-100] * start + ids[start:]})
        return self.padded(done)


class _TokensAlone:
    """Gives a collator the tokens of the rows and nothing else."""

    def __init__(self, collator: Any) -> None:
        self.collator = collator

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        return self.collator([{"input_ids": row["input_ids"]} for row in rows])
