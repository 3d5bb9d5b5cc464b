"""One pass of an encoder over texts: packed where its attention allows it, else padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer as TransformerModule
from torch import Tensor, nn
from transformers import MPNetModel, PreTrainedModel

from graft.models.attention import CannotPackError, packed_attention
from graft.models.mpnet import packed_mpnet
from graft.models.packing import TextBatch, text_batch

# Lengths of the texts of the trial: alike, unlike, of one token, in one group and in several.
_TRIAL = (3, 5, 12, 1, 5, 30)
_LONGEST_TRIAL = 1024
_EQUAL = 1e-4
_problems: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()


def packing_problem(encoder: SentenceTransformer) -> str:
    """Return why the encoder cannot be packed, empty if it can.

    Decided once for a backbone by trial: a few texts of unlike lengths must come out as they do
    when padded.
    """
    first = encoder[0]
    if not isinstance(first, TransformerModule):
        return f"its first module, {type(first).__name__}, is not a text backbone of Transformers"
    backbone = first.auto_model
    if backbone not in _problems:
        _problems[backbone] = _tried(encoder)
    return _problems[backbone]


def trial_batch(encoder: SentenceTransformer) -> TextBatch:
    """Return a few texts of unlike lengths, made of any tokens that the encoder knows.

    One is longer than a sliding window that the encoder's texts can reach.
    """
    backbone = encoder[0].auto_model
    vocabulary = int(backbone.get_input_embeddings().weight.shape[0])
    longest = encoder.max_seq_length or max(_TRIAL)
    names = ("sliding_window", "local_attention")
    windows = [getattr(backbone.config, name, None) or longest for name in names]
    beyond = [window + 2 for window in windows if window < min(longest, _LONGEST_TRIAL)]
    texts = [
        [(31 * place + 7 * row + 5) % vocabulary for place in range(min(length, longest))]
        for row, length in enumerate((*_TRIAL, *beyond))
    ]
    return text_batch(texts, encoder.tokenizer.pad_token_id or 0)


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Switch every module to evaluation mode while the block runs."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _tried(encoder: SentenceTransformer) -> str:
    batch = trial_batch(encoder)
    plainly = torch.autocast(encoder.device.type, enabled=False)
    try:
        with in_eval_mode(encoder), torch.inference_mode(), plainly:
            packed = packed_embeddings(encoder, batch)
            padded = padded_embeddings(encoder, batch)
    except (CannotPackError, IndexError, TypeError, ValueError, RuntimeError) as error:
        return f"{type(encoder[0].auto_model).__name__} does not take packed texts: {error}"
    gap = float((packed - padded).abs().max() / padded.abs().max())
    if not gap < _EQUAL:
        return f"packed embeddings differ from padded ones by {gap:.1e} of the largest value"
    return ""


def packed_embeddings(
    encoder: SentenceTransformer, batch: TextBatch, modules: int | None = None
) -> Tensor:
    """Return the embedding of every distinct text, all texts in one row: `[distinct, dimension]`.

    Args:
        encoder: The encoder.
        batch: The texts.
        modules: How many of the encoder's modules to run; all if left out.
    """
    return pooled(encoder, packed_tokens(encoder, batch), batch, modules)


def padded_embeddings(
    encoder: SentenceTransformer, batch: TextBatch, modules: int | None = None
) -> Tensor:
    """Return what `packed_embeddings` does, groups of like length padded."""
    device = encoder.device
    parts = []
    for segment in batch.segments:
        features: dict[str, Any] = {
            "input_ids": batch.rectangle(segment).to(device),
            "attention_mask": segment.mask.long().to(device),
        }
        parts.append(run_modules(list(encoder)[:modules], features))
    return torch.cat(parts)


def packed_tokens(encoder: SentenceTransformer, batch: TextBatch) -> Tensor:
    """Return the backbone's output for all tokens of the pack: `[1, tokens, width]`."""
    backbone = encoder[0].auto_model
    device = encoder.device
    with _keeping_apart(backbone, batch):
        output = backbone(
            input_ids=batch.flat[None].to(device),
            position_ids=_positions(backbone, batch)[None].to(device),
            **_without_cache(backbone),
        )
    hidden: Tensor = output.last_hidden_state
    return hidden


def pooled(
    encoder: SentenceTransformer, tokens: Tensor, batch: TextBatch, modules: int | None = None
) -> Tensor:
    """Return what the other modules make of the backbone's output: `[distinct, dimension]`."""
    features: dict[str, Any] = {
        "token_embeddings": tokens,
        "cu_seq_lens_q": batch.bounds.to(tokens.device),
        "seq_idx": batch.owners[None].to(tokens.device),
    }
    return run_modules(list(encoder)[1:modules], features)


def run_modules(modules: Sequence[nn.Module], features: dict[str, Any]) -> Tensor:
    """Return the sentence embedding that the modules make of `features`, one after another."""
    for module in modules:
        features = module(features)
    embedding: Tensor = features["sentence_embedding"]
    return embedding


def _keeping_apart(backbone: nn.Module, batch: TextBatch) -> AbstractContextManager[None]:
    # PEFT wraps a model that it loads; its attention reads the config of the model inside.
    unwrap = getattr(backbone, "get_base_model", None)
    inner: PreTrainedModel = unwrap() if callable(unwrap) else backbone
    if isinstance(inner, MPNetModel):
        return packed_mpnet(inner, batch)
    return packed_attention(inner, batch)


def _without_cache(backbone: PreTrainedModel) -> dict[str, Any]:
    # A decoder would keep keys and values of every layer for a generation that never comes.
    return {"use_cache": False} if getattr(backbone.config, "use_cache", False) else {}


def _positions(backbone: nn.Module, batch: TextBatch) -> Tensor:
    """Return the position of each token: RoBERTa's kin count from behind padding, which stays."""
    for module in backbone.modules():
        learned = getattr(module, "position_embeddings", None)
        padding = getattr(module, "padding_idx", None)
        if isinstance(learned, nn.Embedding) and isinstance(padding, int):
            real = (batch.flat != padding).long()
            before = real.cumsum(0) - real
            inside = before - before[batch.bounds.long()[batch.owners]] + 1
            return inside * real + padding
    return batch.positions
