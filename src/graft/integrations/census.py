"""The census of what a Transformers trainer's loss sees: which rules its batches follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, Trainer

from graft.core.supervision import Supervision
from graft.integrations.batches import Batch
from graft.tasks.supervised_tokens import (
    IGNORED,
    Kind,
    Rules,
    count_rows,
    count_tokens,
    special_tokens,
)

# Tokenizers that know no limit say so with a huge number.
_NO_LIMIT = 10**6


def census(trainer: Trainer, batches: Sequence[Batch]) -> Supervision:
    """Return what the loss of the trainer sees of collated batches."""
    tokenizer = getattr(trainer.processing_class, "tokenizer", trainer.processing_class)
    known = isinstance(tokenizer, PreTrainedTokenizerBase)
    tokens = special_tokens(tokenizer, _ends(trainer.model)) if known else None
    limit = _limit(trainer, tokenizer)
    kind = _kind(trainer.model, batches[0])
    if kind is None or tokens is None:
        pairs = any(key.endswith("_input_ids") for key in batches[0])
        return count_rows(batches, tokens, "pairs" if pairs else "rows", limit)
    # TRL cuts whole texts, unless it packs them; of other rows nothing is known.
    whole = not trainer.args.packing if hasattr(trainer.args, "packing") else None
    return count_tokens(batches, tokens, Rules(kind, answers_only(trainer), limit, whole))


def _kind(model: nn.Module, batch: Batch) -> Kind | None:
    """Return what the labels are; None if they belong to whole rows."""
    ids, labels = batch.get("input_ids"), batch.get("labels")
    if not isinstance(ids, Tensor) or not isinstance(labels, Tensor):
        return None
    if labels.ndim != 2 or labels.is_floating_point():
        return None
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return "sequence"
    return _token_kind(model, ids, labels) if labels.shape == ids.shape else None


def _token_kind(model: nn.Module, ids: Tensor, labels: Tensor) -> Kind:
    base = getattr(model, "get_base_model", None)
    name = type(base() if callable(base) else model).__name__
    if name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        return "causal"
    if "MaskedLM" in name or "PreTraining" in name:
        return "masked"
    seen = labels != IGNORED
    return "causal" if torch.equal(labels[seen], ids[seen]) else "classes"


def _ends(model: nn.Module) -> list[int]:
    end = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return end if isinstance(end, list) else [] if end is None else [end]


def _limit(trainer: Trainer, tokenizer: Any) -> int | None:  # noqa: ANN401
    for owner, name in (
        (trainer.args, "max_length"),
        (trainer.model, "max_seq_length"),
        (tokenizer, "model_max_length"),
    ):
        value = getattr(owner, name, None)
        if isinstance(value, int) and 0 < value < _NO_LIMIT:
            return value
    return None


def answers_only(trainer: Trainer) -> bool:
    """Return True if only answers are to carry loss: by an argument, or by masks in the rows."""
    if getattr(trainer, "completion_only_loss", None) or getattr(
        trainer.args, "assistant_only_loss", False
    ):
        return True
    columns = set(getattr(trainer.train_dataset, "column_names", None) or ())
    if columns & {"completion_mask", "assistant_masks"}:
        return True
    if not {"labels", "input_ids"} <= columns or not hasattr(trainer.train_dataset, "__getitem__"):
        return False
    labels = trainer.train_dataset[0]["labels"]
    return isinstance(labels, list) and len(labels) > 1 and labels[1] == IGNORED
