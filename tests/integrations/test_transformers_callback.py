"""The callback in `transformers.Trainer`: healthy trainings pass, planted faults are caught."""

from __future__ import annotations

import json

import pytest
import torch
from datasets import Dataset
from peft import IA3Config, get_peft_model
from torch import nn
from transformers import (
    BertForMaskedLM,
    BertForSequenceClassification,
    BertTokenizerFast,
    DataCollatorForLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainerCallback,
)

import foreign_models as foreign
from graft.core.errors import InputError
from graft.core.findings import Status
from graft.integrations.faults import FaultError
from graft.integrations.transformers import GraftCallback

pytestmark = pytest.mark.slow
FILES = {
    "audits.json", "history.jsonl", "ledger.json", "load.json", "options.json", "plan.json",
    "probes.json", "report.html", "saves.json", "supervision.json",
}  # fmt: skip


def worst(findings):
    assert findings is not None
    return {finding.name: finding.summary for finding in findings.blocking}


def status_of(findings, name):
    (found,) = [finding for finding in findings.items if finding.name == name]
    return found.status


def train(tmp_path, base, resume=None, **options):
    """Train with a callback; return it."""
    arguments = {k: options.pop(k) for k in ("expect_trainable", "expect_frozen") if k in options}
    callback = GraftCallback(
        tmp_path / "audit",
        on_fault=options.pop("on_fault", "stop"),
        accept=options.pop("accept", None),
        **arguments,
    )
    others = options.pop("callbacks", [])
    trainer = foreign.classification_trainer(
        tmp_path / "out", base, callbacks=[callback, *others], **options
    )
    trainer.train(resume_from_checkpoint=resume)
    return callback


def frozen_body(base):
    model = foreign.classifier(base)
    model.bert.requires_grad_(False)
    return model


def test_a_healthy_training_passes_and_writes_every_file(tmp_path, bert):
    rows = foreign.classification_rows(bert, 24, seed=9)
    callback = train(
        tmp_path, bert, eval_rows=rows, eval_strategy="epoch", save_strategy="epoch",
        load_best_model_at_end=True,
    )  # fmt: skip
    assert worst(callback.findings) == {}
    assert {path.name for path in (tmp_path / "audit").iterdir()} >= FILES
    assert status_of(callback.findings, "best_checkpoint") == Status.passed
    assert status_of(callback.findings, "saved_tensors") == Status.passed
    assert status_of(callback.findings, "load_ledger") == Status.passed


def test_the_callback_changes_nothing_about_the_training(tmp_path, bert):
    def weights(callbacks):
        trainer = foreign.classification_trainer(tmp_path / "out", bert, callbacks=callbacks)
        trainer.train()
        return trainer.model.state_dict()

    plain, watched = weights([]), weights([GraftCallback(tmp_path / "audit")])
    assert all(torch.equal(plain[name], watched[name]) for name in plain)


def all_in_optimizer(base):
    """A frozen body whose tensors the caller handed to the optimizer all the same."""
    model = frozen_body(base)
    return {"model": model, "optimizers": (torch.optim.AdamW(model.parameters(), lr=1e-3), None)}


def own_scheduler(base):
    model = foreign.classifier(base)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step)
    return {"model": model, "optimizers": (optimizer, scheduler)}


def masked_words(base):
    tokenizer = BertTokenizerFast.from_pretrained(base)
    rows = foreign.classification_rows(base).remove_columns("labels")
    collator = DataCollatorForLanguageModeling(tokenizer)
    return {"model": BertForMaskedLM.from_pretrained(base), "rows": rows, "collator": collator}


def scaled_activations(base):
    """An adapter without any matrix."""
    targets = {"target_modules": ["key", "value"], "feedforward_modules": []}
    config = IA3Config(task_type="SEQ_CLS", **targets)
    return {"model": get_peft_model(foreign.classifier(base), config), "learning_rate": 1e-2}


ODD = {
    "head only": lambda base: {"model": frozen_body(base)},
    "everything in the optimizer": all_in_optimizer,
    "own scheduler": own_scheduler,
    "lora": lambda base: {"model": foreign.with_lora(foreign.classifier(base))},
    "lora everywhere": lambda base: {
        "model": foreign.with_lora(
            foreign.classifier(base), target_modules="all-linear", use_rslora=True
        )
    },
    "bf16": lambda base: {"bf16": True},
    "accumulation with a rest": lambda base: {"gradient_accumulation_steps": 4},
    "constant": lambda base: {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 3},
    "restarts": lambda base: {
        "lr_scheduler_type": "cosine_with_restarts",
        "lr_scheduler_kwargs": {"num_cycles": 2},
        "weight_decay": 0.01,
    },
    "three steps": lambda base: {"max_steps": 3},
    "eight rows": lambda base: {
        "rows": foreign.classification_rows(base, 8),
        "num_train_epochs": 1,
    },
    "nothing logged": lambda base: {"logging_strategy": "no"},
    "a stream of rows": lambda base: {
        "rows": foreign.classification_rows(base).to_iterable_dataset(),
        "max_steps": 8,
    },
    "checkpointed activations": lambda base: {"activation_checkpointing": True},
    "masked words": masked_words,
    "DoRA": lambda base: {"model": foreign.with_lora(foreign.classifier(base), use_dora=True)},
    "IA3": scaled_activations,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_but_right_settings_give_no_alarm(name, tmp_path, bert):
    assert worst(train(tmp_path, bert, **ODD[name](bert)).findings) == {}


def test_early_stopping_is_no_alarm(tmp_path, bert):
    rows = foreign.classification_rows(bert, 24, seed=9)
    callback = train(
        tmp_path, bert, num_train_epochs=9, eval_rows=rows,
        eval_strategy="epoch", save_strategy="epoch", load_best_model_at_end=True,
        callbacks=[EarlyStoppingCallback(1, 1.0)],
    )  # fmt: skip
    assert worst(callback.findings) == {}
    ledger = json.loads((tmp_path / "audit" / "ledger.json").read_text())
    assert "stopped" in ledger["stopped_early"]


@pytest.mark.parametrize("adapted", [False, True])
def test_a_training_that_is_taken_up_again_is_compared_with_its_checkpoint(adapted, tmp_path, bert):
    def model(seed):
        built = foreign.classifier(bert, seed)
        return foreign.with_lora(built) if adapted else built

    saving = {"save_strategy": "steps", "save_steps": 4}
    foreign.classification_trainer(tmp_path / "out", bert, model=model(1), **saving).train()
    checkpoint = str(tmp_path / "out" / "checkpoint-8")
    callback = train(tmp_path, bert, resume=checkpoint, model=model(2), **saving)
    assert worst(callback.findings) == {}
    plan = json.loads((tmp_path / "audit" / "plan.json").read_text())
    assert plan["phases"][0]["first_step"] == 8


def test_a_second_training_of_the_same_model_knows_the_first(tmp_path, bert):
    """First the head alone, then everything."""
    model = frozen_body(bert)
    train(tmp_path, bert, model=model)
    model.requires_grad_(True)
    callback = train(tmp_path, bert, model=model)
    assert worst(callback.findings) == {}
    assert status_of(callback.findings, "load_ledger") == Status.passed


class Thaw(TrainerCallback):
    def on_epoch_begin(self, args, state, control, model=None, **rest):
        if state.epoch >= 1:
            model.requires_grad_(True)


def test_a_thaw_on_the_way_gets_a_phase_of_its_own(tmp_path, bert):
    callback = train(tmp_path, bert, callbacks=[Thaw()], **all_in_optimizer(bert))
    assert worst(callback.findings) == {}
    plan = json.loads((tmp_path / "audit" / "plan.json").read_text())
    assert [phase["first_step"] for phase in plan["phases"]] == [0, 6]


def test_a_thaw_that_the_optimizer_does_not_know_stops(tmp_path, bert):
    with pytest.raises(FaultError, match="not in the optimizer"):
        train(tmp_path, bert, callbacks=[Thaw()], model=frozen_body(bert))


def dead_tensors(base):
    """OPT-02: the optimizer was built for layers that were replaced."""
    model = foreign.classifier(base)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.classifier = nn.Linear(32, 3)
    return {"model": model, "optimizers": (optimizer, None)}


def random_body(base):
    """LOD-03: the weights are made anew after loading."""
    model = foreign.classifier(base)
    for layer in model.bert.encoder.layer:
        layer.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
    return {"model": model}


class Detached(BertForSequenceClassification):
    """FRZ-07: the graph is cut between the body and the head."""

    def forward(self, labels=None, **inputs):
        pooled = self.bert(**inputs).pooler_output.detach()
        logits = self.classifier(pooled)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class NotANumber(BertForSequenceClassification):
    """OPT-07: the loss becomes NaN, and Transformers logs something else."""

    calls = 0

    def forward(self, **inputs):
        outputs = super().forward(**inputs)
        NotANumber.calls += 1
        if NotANumber.calls > 2:
            outputs.loss = outputs.loss * float("nan")
        return outputs


def detached(base):
    return {"model": Detached.from_pretrained(base, num_labels=3), "remove_unused_columns": False}


def not_a_number(base):
    NotANumber.calls = 0
    model = NotANumber.from_pretrained(base, num_labels=3)
    return {"model": model, "remove_unused_columns": False}


STOPPED = {
    "dead tensors": (dead_tensors, "trainable_set"),
    "expected frozen, trained": (
        lambda base: {"expect_frozen": ["bert.embeddings"]},
        "trainable_set",
    ),
    "expected trained, frozen": (
        lambda base: {"model": frozen_body(base), "expect_trainable": ["bert.encoder"]},
        "trainable_set",
    ),
    "random body": (random_body, "load_ledger"),
    "cut graph": (detached, "first_gradient"),
    "not a number": (not_a_number, "finite_loss"),
}


@pytest.mark.parametrize("name", STOPPED)
def test_what_makes_the_rest_worthless_stops(name, tmp_path, bert):
    build, finding = STOPPED[name]
    with pytest.raises(FaultError) as stopped:
        train(tmp_path, bert, **build(bert))
    assert [found.name for found in stopped.value.findings] == [finding]
    audits = json.loads((tmp_path / "audit" / "audits.json").read_text())
    assert [item["name"] for item in audits["items"]] == [finding]
    assert (tmp_path / "audit" / "report.html").is_file()


@pytest.mark.parametrize("name", STOPPED)
def test_with_warn_training_goes_on_and_the_finding_blocks(name, tmp_path, bert, caplog):
    build, finding = STOPPED[name]
    callback = train(tmp_path, bert, on_fault="warn", **build(bert))
    assert finding in worst(callback.findings)
    assert any(finding in record.getMessage() for record in caplog.records)


def test_a_step_that_is_not_finite_leaves_the_weights_of_the_step_before(tmp_path, bert):
    options = not_a_number(bert)
    with pytest.raises(FaultError):
        train(tmp_path, bert, **options)
    assert all(bool(torch.isfinite(p).all()) for p in options["model"].parameters())


def test_what_is_accepted_neither_stops_nor_blocks(tmp_path, bert):
    reason = {"load_ledger": "stage two: trained by stage one in this process"}
    callback = train(tmp_path, bert, accept=reason, **random_body(bert))
    assert worst(callback.findings) == {}
    assert status_of(callback.findings, "load_ledger") == Status.failed


def test_an_accepted_name_that_does_not_exist_is_said(tmp_path, bert):
    callback = train(tmp_path, bert, accept={"load_leger": "known"})
    assert status_of(callback.findings, "accept_unused") == Status.warned


class SlowTrainer(Trainer):
    """OPT-09: the scheduler steps twice."""

    def create_scheduler(self, num_training_steps, optimizer=None):
        return super().create_scheduler(num_training_steps // 2, optimizer)


class LossyTrainer(Trainer):
    """SAV-02: the head is left out of what is saved."""

    def _save(self, output_dir=None, state_dict=None):
        state = self.model.state_dict()
        super()._save(output_dir, {n: t for n, t in state.items() if "classifier" not in n})


class ForgetfulTrainer(Trainer):
    """SAV-05: the best checkpoint is named and never restored."""

    def _load_best_model(self):
        pass


def drifting(base):
    """FRZ-12: a frozen batch norm that goes on averaging."""
    model = frozen_body(base)
    model.bert.embeddings.add_module("norm", nn.BatchNorm1d(32).requires_grad_(False))
    plain = model.bert.embeddings.forward

    def forward(**inputs):
        features = plain(**inputs)
        return model.bert.embeddings.norm(features.transpose(1, 2)).transpose(1, 2)

    model.bert.embeddings.forward = forward
    return {"model": model, "accept": {"load_ledger": "the norm is new"}}


def padded_as_tokens(base):
    """DAT-02: a collator that ignores every label."""
    collate = DataCollatorWithPadding(BertTokenizerFast.from_pretrained(base))

    def collator(rows):
        batch = collate(rows)
        half = len(batch["labels"]) // 2
        batch["labels"][:half] = -100
        return batch

    return {"collator": collator}


def missed_target(base):
    """LOD-12: one of the target modules does not exist."""
    targets = ["query", "value", "o_proj"]
    return {"model": foreign.with_lora(foreign.classifier(base), target_modules=targets)}


BLOCKED = {
    "fast scheduler": (lambda base: {"trainer": SlowTrainer}, "rates"),
    "head not saved": (
        lambda base: {"trainer": LossyTrainer, "save_strategy": "epoch"},
        "saved_tensors",
    ),
    "drifting statistics": (drifting, "movement"),
    "half the labels ignored": (padded_as_tokens, "supervision"),
    "missed target": (missed_target, "options_in_force"),
    "another rate": (
        lambda base: {**own_rate(base), "learning_rate": 1e-2},
        "options_in_force",
    ),
}


def own_rate(base):
    """OPT-12: the rate that is asked for is not the one of the optimizer."""
    model = foreign.classifier(base)
    return {"model": model, "optimizers": (torch.optim.AdamW(model.parameters(), lr=1e-3), None)}


@pytest.mark.parametrize("name", BLOCKED)
def test_faults_that_show_only_later_are_found(name, tmp_path, bert):
    build, finding = BLOCKED[name]
    assert finding in worst(train(tmp_path, bert, **build(bert)).findings)


def test_a_best_checkpoint_that_is_not_restored_is_found(tmp_path, bert):
    rows = foreign.classification_rows(bert, 24, seed=9)
    callback = train(
        tmp_path, bert, trainer=ForgetfulTrainer, eval_rows=rows, eval_strategy="epoch",
        save_strategy="epoch", load_best_model_at_end=True, metric_for_best_model="eval_loss",
        greater_is_better=True, num_train_epochs=3,
    )  # fmt: skip
    found = worst(callback.findings)["best_checkpoint"]
    assert "is an error" in found


def test_the_same_order_in_every_epoch_is_a_note(tmp_path, bert):
    callback = train(tmp_path, bert, train_sampling_strategy="sequential")
    assert worst(callback.findings) == {}
    assert status_of(callback.findings, "row_order") == Status.warned


def causal_rows():
    tokenizer = foreign.chat_tokenizer()
    texts = [foreign.colour_texts(1, seed, 1 + seed % 12)[0][0] for seed in range(48)]
    return Dataset.from_list(
        [{k: v for k, v in tokenizer(text).items() if k != "token_type_ids"} for text in texts]
    )


class MeanOfMeans(LlamaForCausalLM):
    """OPT-04: every micro-batch is averaged over its own tokens, and nothing divides the sum."""

    def forward(self, num_items_in_batch=None, **inputs):
        return super().forward(**inputs)


@pytest.mark.parametrize(
    ("kind", "expected"), [(LlamaForCausalLM, Status.passed), (MeanOfMeans, Status.failed)]
)
def test_accumulation_is_compared_with_all_tokens_at_once(
    kind, expected, tmp_path, bert, tied_llama
):
    tokenizer = foreign.chat_tokenizer()
    callback = train(
        tmp_path,
        bert,
        model=kind.from_pretrained(tied_llama),
        rows=causal_rows(),
        collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        tokenizer=tokenizer,
        gradient_accumulation_steps=4,
        remove_unused_columns=False,
    )
    assert status_of(callback.findings, "accumulation") == expected


def test_a_loss_that_accumulation_doubles_is_found(tmp_path, bert):
    """OPT-04, as T5 of Transformers 5.23 does it: its loss takes no notice of the item count."""
    tokenizer = foreign.chat_tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_ff=64, num_layers=2, num_heads=2, d_kv=16,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    rows = [
        {
            "input_ids": tokenizer(text)["input_ids"],
            "labels": tokenizer(f"{foreign.COLOURS[colour]} </s>")["input_ids"],
        }
        for text, colour in foreign.colour_texts(32, 1)
    ]
    callback = train(
        tmp_path, bert, model=model, rows=Dataset.from_list(rows), tokenizer=tokenizer,
        collator=DataCollatorForSeq2Seq(tokenizer, model), gradient_accumulation_steps=2,
    )  # fmt: skip
    assert status_of(callback.findings, "supervision") == Status.passed
    assert status_of(callback.findings, "load_ledger") == Status.not_applicable
    assert set(worst(callback.findings)) == {"accumulation"}


BAD = {
    "unknown word": ({"on_fault": "halt"}, "'halt'"),
    "no reason": ({"accept": {"K1": ""}}, "has no reason"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_at_once(name, tmp_path):
    arguments, message = BAD[name]
    with pytest.raises(InputError, match=message):
        GraftCallback(tmp_path, **arguments)


def test_a_base_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        GraftCallback(tmp_path, base=tmp_path / "nowhere")


def test_every_pattern_that_matches_nothing_is_named(tmp_path, bert):
    with pytest.raises(InputError) as refused:
        train(tmp_path, bert, expect_trainable=["bert.encodr"], expect_frozen=["embedings"])
    assert len(refused.value.problems) == 2


def test_a_pattern_in_both_lists_is_refused(tmp_path, bert):
    with pytest.raises(InputError, match="expected to be trainable and to be frozen"):
        train(tmp_path, bert, expect_trainable=["bert"], expect_frozen=["embeddings"])
