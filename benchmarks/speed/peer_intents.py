"""The peer on texts with classes: Transformers' `Trainer`, mean pooling, the same layers frozen."""

from __future__ import annotations

import tempfile

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from speed.jobs import Done, Job
from speed.quality import accuracy
from speed.watch import Positions, Watch

TOP = 2  # layers that `top2` trains


class Classifier(nn.Module):
    """An encoder with mean pooling and a linear head, written as Transformers writes its own."""

    def __init__(self, folder: str, classes: int) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(folder, local_files_only=True)
        self.head = nn.Linear(self.encoder.config.hidden_size, classes)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the logits, and the mean loss if there are labels."""
        hidden = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        mask = attention_mask[..., None].to(hidden.dtype)
        logits = self.head((hidden * mask).sum(dim=1) / mask.sum(dim=1))
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def work(job: Job, watch: Watch) -> Done:
    """Train as the job says and return what came of it."""
    rows, test = pd.read_parquet(job.train), pd.read_parquet(job.test)
    tokenizer = AutoTokenizer.from_pretrained(job.base, local_files_only=True)
    model = Classifier(job.base, int(rows["label"].max()) + 1)
    _freeze(model, job)
    collate = DataCollatorWithPadding(tokenizer)
    positions = Positions(model.encoder.get_input_embeddings(), tokenizer.pad_token_id)
    with tempfile.TemporaryDirectory() as place, watch:
        columns = tokenizer(list(rows["text"]), truncation=True)
        trainer = Trainer(
            model=model,
            args=_arguments(job, place),
            train_dataset=Dataset.from_dict({**columns, "labels": list(rows["label"])}),
            data_collator=collate,
            optimizers=(_optimizer(model, job), None),
        )
        trainer.train()
    positions.stop()
    encoded = tokenizer(list(test["text"]), truncation=True)
    model.eval()
    with torch.inference_mode():
        parts = [
            model(**collate({key: ids[at : at + 64] for key, ids in encoded.items()}))["logits"]
            for at in range(0, len(test), 64)
        ]
    quality = accuracy(torch.cat(parts).numpy(), np.asarray(test["label"]))
    return Done(quality, trainer.state.global_step, positions.tokens, positions.padding)


def _freeze(model: Classifier, job: Job) -> None:
    model.encoder.requires_grad_(False)
    if job.method == "top2":
        model.encoder.encoder.layer[-TOP:].requires_grad_(True)


def _optimizer(model: Classifier, job: Job) -> torch.optim.AdamW:
    """Return the trainer's default optimizer; given, because it takes one rate only."""
    layers = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
    groups = [{"params": list(model.head.parameters()), "lr": job.head_rate}]
    if layers:
        groups.append({"params": layers, "lr": job.rate})
    return torch.optim.AdamW(groups, lr=job.rate, weight_decay=0.0, fused=True)


def _arguments(job: Job, place: str) -> TrainingArguments:
    """Return the trainer's own defaults, but for what the comparison fixes and what is no training.

    So float32, the linear schedule, clipping at 1.0 and shuffling every epoch are its choices.
    """
    return TrainingArguments(
        output_dir=place,
        num_train_epochs=job.epochs,
        per_device_train_batch_size=job.batch,
        learning_rate=job.rate,
        warmup_steps=job.warmup,
        seed=job.seed,
        save_strategy="no",  # default: steps; neither side writes checkpoints
        disable_tqdm=True,  # a bar would be written into the child's messages
        use_cpu=True,  # Graft trains on the processor, also where there is a GPU
    )
