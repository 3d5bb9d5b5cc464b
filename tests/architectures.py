"""Tiny encoders of every kind of backbone that Graft packs, and of kinds that it pads."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from sentence_transformers.sentence_transformer.modules import Transformer as TransformerModule
from torch import Tensor, nn

from graft.models.encoder import quiet_transformers

VOCABULARY, POSITIONS, WIDTH = 200, 160, 32
_SIZE = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
}
_SHARED_KEYS = {"num_key_value_heads": 2, "head_dim": 8}
# Class of the backbone without "Model", what is special, and how its texts are pooled.
_PACKED: dict[str, tuple[str, dict[str, Any], str]] = {
    "bert": ("Bert", {}, "mean"),
    "roberta": ("Roberta", {}, "cls"),
    "xlm-roberta": ("XLMRoberta", {}, "max"),
    "mpnet": ("MPNet", {}, "mean"),
    "distilbert": (
        "DistilBert",
        {"dim": WIDTH, "n_layers": 3, "n_heads": 4, "hidden_dim": 48},
        "mean_sqrt_len_tokens",
    ),
    # A window of 4 to either side: most texts are longer.
    "modernbert": (
        "ModernBert",
        {"local_attention": 8, "global_attn_every_n_layers": 2, "pad_token_id": 0},
        "mean",
    ),
    "electra": ("Electra", {"embedding_size": 16}, "mean"),
    "camembert": ("Camembert", {}, "mean"),
    "albert": ("Albert", {"embedding_size": 16}, "mean"),
    "qwen3": ("Qwen3", _SHARED_KEYS, "lasttoken"),
    "llama": ("Llama", {"num_key_value_heads": 2}, "weightedmean"),
    "mistral": ("Mistral", {**_SHARED_KEYS, "sliding_window": 4}, "mean"),
    "gemma2": (
        "Gemma2",
        {**_SHARED_KEYS, "sliding_window": 4, "attn_logit_softcapping": 2.0},
        "mean",
    ),
    "gemma3": ("Gemma3Text", {**_SHARED_KEYS, "sliding_window": 4}, "mean"),
    "gemma3-both-ways": (
        "Gemma3Text",
        {**_SHARED_KEYS, "sliding_window": 9, "use_bidirectional_attention": True},
        "mean",
    ),
    "eurobert": ("EuroBert", {"num_key_value_heads": 2, "pad_token_id": 0}, "mean"),
    "gpt2": (
        "GPT2",
        {"n_embd": WIDTH, "n_layer": 3, "n_head": 4, "n_positions": POSITIONS},
        "mean",
    ),
}
_PADDED: dict[str, tuple[str, dict[str, Any], str]] = {
    "deberta-v2": (
        "DebertaV2",
        {"relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"]},
        "mean",
    ),
    "t5": (
        "T5",
        {"d_model": WIDTH, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4},
        "mean",
    ),
}
PACKED, PADDED = tuple(_PACKED), tuple(_PADDED)


def encoder_of(name: str, seed: int = 0, **options: Any) -> SentenceTransformer:
    """Return a tiny encoder of the architecture `name`, in evaluation mode.

    Args:
        name: One of `PACKED` or `PADDED`.
        seed: Seed of the weights.
        options: Of the config, over those of the architecture.
    """
    kind, special, pooling = {**_PACKED, **_PADDED}[name]
    own = {} if {"n_embd", "d_model", "dim"} & set(special) else _SIZE
    sizes = {"vocab_size": VOCABULARY, "max_position_embeddings": POSITIONS}
    if kind in ("GPT2", "T5"):
        del sizes["max_position_embeddings"]
    config = getattr(transformers, f"{kind.removesuffix('Text')}Config", None)
    if kind.endswith("Text"):
        config = getattr(transformers, f"{kind}Config")
    model = getattr(transformers, f"{kind}EncoderModel" if kind == "T5" else f"{kind}Model")
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = model(config(**{**sizes, **own, **special, **options}))
        # Freshly drawn weights are so small that attention is nearly uniform: a mistake in what
        # sees what would hide in rounding.
        with torch.no_grad():
            for parameter in backbone.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(6)
    return wrapped(backbone, pooling)


def wrapped(backbone: Any, pooling: str = "mean") -> SentenceTransformer:
    """Return the encoder of a backbone, with any tokenizer, pooling and normalisation."""
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        backbone.save_pretrained(folder)
        words = Path(folder) / "words.txt"
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        words.write_text("\n".join([*special, *(f"w{i}" for i in range(VOCABULARY - 5))]) + "\n")
        tokenizer = transformers.BertTokenizerFast(vocab=str(words), model_max_length=POSITIONS - 4)
        tokenizer.save_pretrained(folder)
        module = TransformerModule(folder)
    modules = [module, Pooling(WIDTH, pooling), Normalize()]
    return SentenceTransformer(modules=modules, device="cpu").eval()


def texts_of(*lengths: int, seed: int = 0) -> list[list[int]]:
    """Return token ids of texts of these lengths; padding stands in none."""
    draw = random.Random(seed)
    return [[draw.randrange(5, VOCABULARY) for _ in range(length)] for length in lengths]


# Of one token, equal, alike, far apart, and longer than plain products are used for; together more
# tokens than there are positions.
def mixed_texts() -> list[list[int]]:
    """Return texts of all kinds of lengths, two of them equal."""
    texts = texts_of(7, 1, 12, 150, 5, 12, 33, 1, 2, 140)
    return [*texts, texts[2], texts[0]]


def without_dropout(model: nn.Module) -> nn.Module:
    """Set every dropout of the model to zero and return it in training mode."""
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model.train()


def gradients(model: nn.Module, embeddings: Tensor) -> dict[str, Tensor]:
    """Return the gradient of a fixed function of the embeddings, by parameter."""
    model.zero_grad(set_to_none=True)
    draw = torch.Generator().manual_seed(1)
    weights = torch.randn(embeddings.shape, generator=draw).to(embeddings)
    torch.autograd.backward((embeddings * weights).sum())
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def assert_gradients_agree(
    found: dict[str, Tensor], expected: dict[str, Tensor], share: float = 1e-5
) -> None:
    """Fail unless every gradient agrees to a share of the model's largest entry.

    A bias of keys has a gradient of zero mathematically, and rounding in its place.
    """
    assert set(found) == set(expected)
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    assert largest > 0
    for name, gradient in expected.items():
        gap = float((found[name] - gradient).abs().max())
        assert gap <= share * largest, (name, gap / largest)
