"""The callback in TRL's `SFTTrainer`."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import LlamaForCausalLM
from trl import SFTTrainer

import foreign_models as foreign
from graft.core.findings import Status
from graft.integrations.faults import FaultError
from graft.integrations.transformers import GraftCallback

pytestmark = pytest.mark.slow


def train(tmp_path, base, **options):
    callback = GraftCallback(tmp_path / "audit", on_fault=options.pop("on_fault", "stop"))
    foreign.sft_trainer(tmp_path / "out", base, callbacks=[callback], **options).train()
    return callback.findings


def worst(findings):
    return {finding.name: finding.summary for finding in findings.blocking}


def named(findings, name):
    (found,) = [finding for finding in findings.items if finding.name == name]
    return found


SAVED = {"modules_to_save": ["embed_tokens", "lm_head"], "target_modules": ["q_proj"]}
HEALTHY = {
    "chats": {},
    "answers only": {"assistant_only_loss": True},
    "prompts and completions": {"rows": foreign.prompts},
    "full": {"peft_config": None},
    "embeddings saved with the adapter": {
        "peft_config": LoraConfig(r=4, task_type="CAUSAL_LM", **SAVED)
    },
    "accumulation": {"gradient_accumulation_steps": 2, "assistant_only_loss": True},
    "packing": {"packing": True, "max_length": 32},
    "wrapped": {"packing": True, "packing_strategy": "wrapped", "max_length": 16},
    "no padding": {"padding_free": True, "max_length": None},
    "bf16": {"bf16": True},
    "checkpointed activations": {"activation_checkpointing": True},
}


def built(options):
    return {key: value() if key == "rows" else value for key, value in options.items()}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_trainings_give_no_alarm(name, tmp_path, llama):
    findings = train(tmp_path, llama, save_strategy="epoch", **built(HEALTHY[name]))
    assert worst(findings) == {}
    assert named(findings, "saved_tensors").status == Status.passed


def test_tied_weights_are_one_tensor(tmp_path, tied_llama):
    findings = train(tmp_path, tied_llama, peft_config=None, save_strategy="epoch")
    assert worst(findings) == {}


@pytest.mark.parametrize("name", ["packing", "no padding"])
def test_packed_texts_are_computed_alone_as_well(name, tmp_path, llama):
    found = named(train(tmp_path, llama, **HEALTHY[name]), "row_alone")
    assert found.status == Status.passed


class Mixed(LlamaForCausalLM):
    """DAT-10: what a model does that takes no notice of the positions."""

    def forward(self, position_ids=None, cu_seq_lens_q=None, **inputs):
        return super().forward(**inputs)


def test_packed_texts_that_see_each_other_are_found(tmp_path, llama):
    findings = train(tmp_path, llama, model=Mixed.from_pretrained(llama), packing=True,
                     max_length=32)  # fmt: skip
    assert "row_alone" in worst(findings)


def test_padding_that_is_the_end_token_takes_the_end_away(tmp_path, llama):
    """DAT-01: the collator ignores every padding token, and the end is one."""
    from transformers import DataCollatorForLanguageModeling

    tokenizer = foreign.chat_tokenizer(pad="</s>")
    collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)

    def collate(rows):
        return collator([{"input_ids": row["input_ids"]} for row in rows])

    findings = train(tmp_path, llama, tokenizer=tokenizer, collator=collate)
    assert "never teach the end" in worst(findings)["supervision"]


def test_a_collator_that_overwrites_the_mask_of_the_prompt_is_found(tmp_path, llama):
    """DAT-06."""
    from transformers import DataCollatorForLanguageModeling

    tokenizer = foreign.chat_tokenizer()
    collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)

    def collate(rows):
        return collator([{"input_ids": row["input_ids"]} for row in rows])

    findings = train(tmp_path, llama, tokenizer=tokenizer, collator=collate,
                     assistant_only_loss=True)  # fmt: skip
    assert "train on the prompt" in worst(findings)["supervision"]


def test_answers_that_truncation_cuts_are_found(tmp_path, llama):
    """DAT-04."""
    rows = foreign.conversations(words=8)
    found = worst(train(tmp_path, llama, rows=rows, max_length=12))
    assert "lose the end of their answer" in found["supervision"]


def test_a_start_token_that_is_there_twice_is_found(tmp_path, llama):
    """SRV-03: the template writes it, and so does the tokenizer."""
    tokenizer = foreign.chat_tokenizer(adds_start=True)
    texts = [f"<s> {text} </s>" for text, _ in foreign.colour_texts(24, 1)]
    rows = Dataset.from_dict({"text": texts})
    found = worst(train(tmp_path, llama, rows=rows, tokenizer=tokenizer))
    assert "start token twice" in found["supervision"]


class Refrozen(SFTTrainer):
    """FRZ-09: the trainer freezes the adapter again before it trains."""

    def create_optimizer(self, model=None):
        optimizer = super().create_optimizer(model)
        self.model.requires_grad_(False)
        return optimizer


def test_an_adapter_that_is_frozen_again_stops(tmp_path, llama):
    with pytest.raises(FaultError) as stopped:
        train(tmp_path, llama, trainer=Refrozen)
    assert stopped.value.findings[0].name == "trainable_set"


class EmptySaves(SFTTrainer):
    """SAV-01: the adapter is saved without a tensor."""

    def _save(self, output_dir=None, state_dict=None):
        super()._save(output_dir, {})


def test_an_empty_adapter_is_found(tmp_path, llama):
    findings = train(tmp_path, llama, trainer=EmptySaves, save_strategy="epoch")
    assert "saved_tensors" in worst(findings)


def test_the_counts_of_the_trainer_are_left_alone(tmp_path, llama):
    """The accumulation probe runs the trainer's own step, which counts tokens."""

    def tokens(callbacks):
        trainer = foreign.sft_trainer(
            tmp_path / "out", llama, callbacks=callbacks, gradient_accumulation_steps=2
        )
        torch.manual_seed(0)
        trainer.train()
        logged = [record["num_tokens"] for record in trainer.state.log_history
                  if "num_tokens" in record]  # fmt: skip
        return logged, trainer.model.state_dict()

    plain, watched = tokens([]), tokens([GraftCallback(tmp_path / "audit")])
    assert plain[0] == watched[0]
    assert all(torch.equal(plain[1][name], watched[1][name]) for name in plain[1]
               if "lora_B" in name)  # fmt: skip
