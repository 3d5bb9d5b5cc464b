"""The peer on text pairs: `SentenceTransformerTrainer` as it comes, with PEFT for an adapter."""

from __future__ import annotations

import tempfile

import pandas as pd
from datasets import Dataset
from peft import LoraConfig, TaskType
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import CosineSimilarityLoss

from speed.jobs import Done, Job
from speed.quality import spearman
from speed.watch import Positions, Watch

COLUMNS = ("sentence1", "sentence2", "label")


def work(job: Job, watch: Watch) -> Done:
    """Train as the job says and return what came of it."""
    rows, test = pd.read_parquet(job.train), pd.read_parquet(job.test)
    model = SentenceTransformer(job.base, device="cpu", local_files_only=True)
    if job.method == "lora":
        model.add_adapter(
            LoraConfig(
                r=8,
                lora_alpha=16,
                lora_dropout=0.1,
                target_modules=["query", "value"],
                task_type=TaskType.FEATURE_EXTRACTION,
            )
        )
    table = model[0].auto_model.get_input_embeddings()
    positions = Positions(table, model.tokenizer.pad_token_id)
    with tempfile.TemporaryDirectory() as place, watch:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=_arguments(job, place),
            train_dataset=Dataset.from_dict({name: list(rows[name]) for name in COLUMNS}),
            loss=CosineSimilarityLoss(model),
        )
        trainer.train()
    positions.stop()
    steps = trainer.state.global_step
    return Done(spearman(model, test), steps, positions.tokens, positions.padding)


def _arguments(job: Job, place: str) -> SentenceTransformerTrainingArguments:
    """Return the trainer's own defaults, but for what the comparison fixes and what is no training.

    So AdamW (fused), float32, the linear schedule, clipping at 1.0, no weight decay, shuffling
    every epoch and padding to the longest text of a batch are its choices.
    """
    return SentenceTransformerTrainingArguments(
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
