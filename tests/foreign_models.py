"""Tiny models, rows and trainers of other libraries, built in code: what the callbacks watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer import losses
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import (
    BertForSequenceClassification,
    BertTokenizerFast,
    DataCollatorWithPadding,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)
from trl import SFTConfig, SFTTrainer

from tiny_models import WORDS, build_tiny_encoder, colour_pairs

COLOURS = ("red", "blue", "green")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'user' %} <user> {{ message.content }}"
    "{% else %} <assistant> {% generation %}{{ message.content }} {{ eos_token }}"
    "{% endgeneration %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} <assistant>{% endif %}"
)
QUIET: dict[str, Any] = {
    "report_to": [],
    "disable_tqdm": True,
    "use_cpu": True,
    "logging_steps": 1,
    "save_strategy": "no",
    "dataloader_pin_memory": False,
}


def write_bert(folder: Path, seed: int = 0) -> Path:
    """Return the folder of a plain `BertModel` of two layers of width 32 with its tokenizer."""
    build_tiny_encoder(folder, seed=seed)
    return folder / "backbone"


def write_sentence_encoder(folder: Path, seed: int = 0) -> Path:
    """Return the folder of a Sentence-Transformers model over the same words."""
    return build_tiny_encoder(folder, seed=seed)


def write_llama(folder: Path, seed: int = 0, layers: int = 2, tied: bool = False) -> Path:
    """Return the folder of a Llama of width 32 with a tokenizer that has a chat template."""
    tokenizer = chat_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def chat_tokenizer(
    pad: str = "<pad>", adds_start: bool = False, template: str | None = TEMPLATE
) -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer over the colours.

    Args:
        pad: The padding token; `</s>` is the well-known trap.
        adds_start: True if the tokenizer puts the start token before every text by itself.
        template: The chat template, None for none.
    """
    special = ["<pad>", "<unk>", "<s>", "</s>", "<user>", "<assistant>"]
    vocabulary = {word: index for index, word in enumerate([*special, *COLOURS, *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if adds_start:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token=pad,
        additional_special_tokens=["<user>", "<assistant>"],
        chat_template=template,
        model_max_length=128,
    )


def colour_texts(count: int, seed: int, words: int = 3) -> list[tuple[str, int]]:
    """Return texts of words of one colour each, with the index of the colour."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        colour = index % len(COLOURS)
        pool = WORDS[24 * colour : 24 * colour + 24]
        rows.append((" ".join(str(word) for word in rng.choice(pool, words)), colour))
    return rows


def classification_rows(base: Path, count: int = 48, seed: int = 1) -> Dataset:
    """Return tokenised rows with `labels` 0, 1 or 2."""
    tokenizer = BertTokenizerFast.from_pretrained(base)
    texts, labels = zip(*colour_texts(count, seed), strict=True)
    return Dataset.from_dict({**tokenizer(list(texts)), "labels": list(labels)})


def classifier(base: Path, seed: int = 0) -> BertForSequenceClassification:
    """Return the body of `base` with a new head for three labels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForSequenceClassification.from_pretrained(base, num_labels=len(COLOURS))


def with_lora(model: nn.Module, **options: Any) -> nn.Module:
    """Return the model with PEFT's LoRA adapter of rank 4."""
    settings: dict[str, Any] = {
        "r": 4,
        "target_modules": ["query", "value"],
        "task_type": "SEQ_CLS",
    }
    return get_peft_model(model, LoraConfig(**{**settings, **options}))


def classification_trainer(folder: Path, base: Path, **options: Any) -> Trainer:
    """Return a `transformers.Trainer` that teaches three colours to `base`.

    Args:
        folder: Where it saves.
        base: Folder of `write_bert`.
        options: `model`, `rows`, `eval_rows`, `tokenizer`, `callbacks`, `optimizers`, `collator`,
            `compute_metrics`, `trainer` (the class) and any argument of `TrainingArguments`.
    """
    model = options.pop("model", None) or classifier(base)
    rows = options.pop("rows", None) or classification_rows(base)
    kind = options.pop("trainer", Trainer)
    tokenizer = options.pop("tokenizer", None) or BertTokenizerFast.from_pretrained(base)
    chosen = {
        "data_collator": options.pop("collator", None) or DataCollatorWithPadding(tokenizer),
        "eval_dataset": options.pop("eval_rows", None),
        "callbacks": options.pop("callbacks", None),
        "optimizers": options.pop("optimizers", (None, None)),
        "compute_metrics": options.pop("compute_metrics", None),
    }
    settings = {"per_device_train_batch_size": 8, "num_train_epochs": 2, "learning_rate": 1e-3}
    arguments = TrainingArguments(str(folder), **{**QUIET, **settings, **options})
    return kind(model, arguments, train_dataset=rows, processing_class=tokenizer, **chosen)


def sentence_pairs(count: int = 48, seed: int = 1) -> Dataset:
    """Return pairs with `score` 1.0 for the same colour and 0.0 for two."""
    frame = colour_pairs(count, seed)
    columns = {name: list(frame[name]) for name in ("sentence1", "sentence2")}
    return Dataset.from_dict({**columns, "score": [float(label) for label in frame["label"]]})


def sentence_trainer(folder: Path, base: Path, **options: Any) -> SentenceTransformerTrainer:
    """Return a Sentence-Transformers trainer with a CoSENT loss on colour pairs.

    Args:
        folder: Where it saves.
        base: Folder of `write_sentence_encoder`.
        options: `model`, `rows`, `eval_rows`, `loss`, `callbacks`, `optimizers`, `evaluator`,
            `trainer` (the class) and any argument of the training arguments.
    """
    model = options.pop("model", None) or SentenceTransformer(str(base), device="cpu")
    loss = options.pop("loss", None)
    kind = options.pop("trainer", SentenceTransformerTrainer)
    chosen = {
        "train_dataset": options.pop("rows", None) or sentence_pairs(),
        "eval_dataset": options.pop("eval_rows", None),
        "callbacks": options.pop("callbacks", None),
        "optimizers": options.pop("optimizers", (None, None)),
        "evaluator": options.pop("evaluator", None),
    }
    settings = {"per_device_train_batch_size": 8, "num_train_epochs": 2, "learning_rate": 1e-3}
    arguments = SentenceTransformerTrainingArguments(
        str(folder), **{**QUIET, **settings, **options}
    )
    return kind(model=model, args=arguments, loss=loss or losses.CoSENTLoss(model), **chosen)


def conversations(count: int = 24, seed: int = 1, words: int = 3) -> Dataset:
    """Return chats in which the assistant names the colour of the user's words."""
    rows = [
        [
            {"role": "user", "content": text},
            {"role": "assistant", "content": f"{COLOURS[colour]} {COLOURS[colour]}"},
        ]
        for text, colour in colour_texts(count, seed, words)
    ]
    return Dataset.from_dict({"messages": rows})


def prompts(count: int = 24, seed: int = 1, words: int = 3) -> Dataset:
    """Return the same as prompts with completions."""
    rows = colour_texts(count, seed, words)
    answers = [f" {COLOURS[colour]} {COLOURS[colour]}" for _, colour in rows]
    return Dataset.from_dict({"prompt": [text for text, _ in rows], "completion": answers})


def sft_trainer(folder: Path, base: Path, **options: Any) -> SFTTrainer:
    """Return TRL's SFT trainer with LoRA on a tiny Llama.

    Args:
        folder: Where it saves.
        base: Folder of `write_llama`.
        options: `model`, `rows`, `eval_rows`, `tokenizer`, `peft_config` (None for full
            training), `callbacks`, `optimizers`, `collator`, `trainer` (the class) and any
            argument of `SFTConfig`.
    """
    model = options.pop("model", None) or LlamaForCausalLM.from_pretrained(base)
    adapter = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    kind = options.pop("trainer", SFTTrainer)
    chosen = {
        "train_dataset": options.pop("rows", None) or conversations(),
        "eval_dataset": options.pop("eval_rows", None),
        "processing_class": options.pop("tokenizer", None) or chat_tokenizer(),
        "peft_config": options.pop("peft_config", adapter),
        "callbacks": options.pop("callbacks", None),
        "optimizers": options.pop("optimizers", (None, None)),
        "data_collator": options.pop("collator", None),
    }
    settings = {
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "learning_rate": 1e-2,
        "activation_checkpointing": False,
        "bf16": False,
        "max_length": 64,
    }
    arguments = SFTConfig(str(folder), **{**QUIET, **settings, **options})
    return kind(model, arguments, **chosen)


class ColourModule(lightning.LightningModule):
    """A Lightning module: the body of a tiny BERT and a linear head for three colours.

    Args:
        base: Folder of `write_bert`.
        rate: Learning rate.
        schedule: Name of a Transformers schedule, None for a constant rate without a scheduler.
    """

    def __init__(self, base: Path, rate: float = 1e-3, schedule: str | None = None) -> None:
        super().__init__()
        self.model = classifier(base)
        self.rate, self.schedule = rate, schedule

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        loss: Tensor = self.model(**batch).loss
        return loss

    def configure_optimizers(self) -> Any:
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self.rate)
        if self.schedule is None:
            return optimizer
        from transformers import get_scheduler

        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = get_scheduler(
            self.schedule, optimizer, num_warmup_steps=0, num_training_steps=steps
        )
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


class BackboneModule(ColourModule):
    """The same with the body as `backbone`, which Lightning's `BackboneFinetuning` thaws."""

    def __init__(self, base: Path, rate: float = 1e-3) -> None:
        super().__init__(base, rate)
        body, head = self.model.bert, self.model.classifier
        del self.model
        self.backbone, self.head = body, head

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        labels = batch.pop("labels")
        pooled = self.backbone(**batch).pooler_output
        return nn.functional.cross_entropy(self.head(pooled), labels)


def colour_loader(base: Path, count: int = 48, batch: int = 8) -> DataLoader:
    """Return a shuffled loader of collated classification rows."""
    rows = classification_rows(base, count).to_list()
    collate = DataCollatorWithPadding(BertTokenizerFast.from_pretrained(base))
    return DataLoader(rows, batch_size=batch, shuffle=True, collate_fn=collate)


def lightning_trainer(folder: Path, **options: Any) -> lightning.Trainer:
    """Return a Lightning trainer for two epochs on the processor that prints nothing."""
    settings: dict[str, Any] = {
        "max_epochs": 2,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": folder,
    }
    return lightning.Trainer(**{**settings, **options})
