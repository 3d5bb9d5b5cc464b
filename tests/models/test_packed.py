"""A packed encoder computes what the padded one does, forward and backward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from architectures import (
    PACKED,
    PADDED,
    assert_gradients_agree,
    encoder_of,
    gradients,
    mixed_texts,
    texts_of,
    without_dropout,
)
from graft.models import attention
from graft.models.adapters import load_adapter, save_adapter
from graft.models.embedding import embed, plain_passes, positions
from graft.models.encoder import quiet_transformers
from graft.models.packed import packing_problem, trial_batch
from graft.models.packing import text_batch

LORA = {"r": 4, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": "all-linear"}


def both_ways(encoder: SentenceTransformer, texts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Return the embeddings of the texts packed and padded."""
    batch = text_batch(texts, pad=0)
    packed = embed(encoder, batch)
    with plain_passes():
        return packed, embed(encoder, batch)


def assert_same(encoder: SentenceTransformer, texts: list[list[int]]) -> None:
    assert packing_problem(encoder) == ""
    packed, padded = both_ways(encoder, texts)
    torch.testing.assert_close(packed, padded, rtol=1e-5, atol=1e-6)
    assert_gradients_agree(gradients(encoder, packed), gradients(encoder, padded))


@pytest.mark.parametrize("name", PACKED)
def test_embeddings_and_gradients_are_those_of_the_padded_model(name: str) -> None:
    encoder = encoder_of(name)
    assert_same(encoder, mixed_texts())
    without_dropout(encoder)
    assert_same(encoder, mixed_texts())


@pytest.mark.parametrize("name", PACKED)
def test_each_text_alone_gives_its_embedding(name: str) -> None:
    encoder, texts = encoder_of(name), mixed_texts()[:6]
    with torch.inference_mode():
        together = embed(encoder, text_batch(texts, 0))
        alone = torch.cat([embed(encoder, text_batch([text], 0)) for text in texts])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PACKED)
def test_bfloat16_differs_by_its_rounding_alone(name: str) -> None:
    encoder = encoder_of(name)
    with torch.inference_mode():
        exact, _ = both_ways(encoder, mixed_texts())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            packed, padded = both_ways(encoder, mixed_texts())
    rounding = float((padded.float() - exact).norm() / exact.norm())
    gap = float((packed.float() - exact).norm() / exact.norm())
    assert gap <= max(2e-2, 1.5 * rounding)


@pytest.mark.parametrize("name", ["bert", "mpnet", "modernbert", "llama"])
def test_an_adapter_is_packed_too(name: str, tmp_path: Path) -> None:
    encoder = encoder_of(name)
    encoder[0].auto_model.save_pretrained(tmp_path / "base")
    with quiet_transformers():
        encoder.add_adapter(LoraConfig(**LORA))
    draw_adapter(encoder)
    assert_same(encoder, mixed_texts())
    save_adapter(encoder, tmp_path / "adapter", str(tmp_path / "base"))
    again = load_adapter(encoder_of(name), tmp_path / "adapter")
    packed, padded = both_ways(again, mixed_texts())
    assert packing_problem(again) == ""
    torch.testing.assert_close(packed, padded, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(packed, embed(encoder, text_batch(mixed_texts(), 0)))


def draw_adapter(encoder: SentenceTransformer) -> None:
    """Give both halves of the adapter values: a product of zero would hide it."""
    draw = torch.Generator().manual_seed(2)
    for name, parameter in encoder.named_parameters():
        if "lora_" in name:
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.1)


@pytest.mark.parametrize("name", ["roberta", "mpnet"])
def test_the_token_of_padding_may_stand_in_a_text(name: str) -> None:
    texts = texts_of(9, 4, 14)
    texts[0][3] = texts[2][0] = texts[2][1] = 1  # the padding that these count positions from
    assert_same(encoder_of(name), texts)


@pytest.mark.parametrize("name", PADDED)
def test_what_cannot_be_packed_is_padded(name: str) -> None:
    encoder, texts = encoder_of(name), mixed_texts()
    reasons = {"deberta-v2": "differ from padded ones", "t5": "position_bias"}
    assert reasons[name] in packing_problem(encoder)
    together, padded = both_ways(encoder, texts)
    assert torch.equal(together, padded)
    real, padding = positions(encoder, text_batch(texts, 0))
    assert real == sum(map(len, {tuple(text) for text in texts}))
    assert padding > 0


def test_a_text_that_stands_twice_has_the_gradient_of_both() -> None:
    encoder, (one, other) = encoder_of("bert"), texts_of(6, 11)
    together = embed(encoder, text_batch([one, other, one], 0))
    apart = torch.cat([embed(encoder, text_batch([text], 0)) for text in (one, other, one)])
    assert_gradients_agree(gradients(encoder, together), gradients(encoder, apart))


def test_a_packed_batch_has_no_padding() -> None:
    batch = text_batch(mixed_texts(), 0)
    assert positions(encoder_of("bert"), batch) == (batch.tokens, 0)


def deaf(attend: Any) -> Any:
    """Attention that lets every token of the row see every other."""

    def all_see_all(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any
    ):
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return mixed.transpose(1, 2), None

    return all_see_all


def test_a_model_that_lets_texts_see_each_other_is_padded() -> None:
    attention.AttentionInterface.register(attention.NAME, deaf(attention.attend))
    try:
        problem = packing_problem(encoder_of("bert"))
    finally:
        attention.AttentionInterface.register(attention.NAME, attention.attend)
    assert "differ from padded ones by" in problem


def test_a_window_that_is_ignored_is_found_though_it_is_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = encoder_of("mistral", sliding_window=60)
    assert trial_batch(encoder).lengths[-1] > 60
    monkeypatch.setattr(attention, "_pattern", widened(attention._pattern))
    assert "differ from padded ones by" in packing_problem(encoder)


def widened(pattern: Any) -> Any:
    return lambda segment, causal, window, states: pattern(segment, causal, None, states)


@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_the_model_is_left_as_it_was(name: str, tmp_path: Path) -> None:
    encoder = encoder_of(name).train()
    config = encoder[0].auto_model.config
    before = config._attn_implementation
    modes = [module.training for module in encoder.modules()]
    state = torch.get_rng_state()
    assert packing_problem(encoder) == ""
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in encoder.modules()] == modes
    embed(encoder, text_batch(texts_of(3, 9), 0))
    assert config._attn_implementation == before
    assert not any("forward" in vars(module) for module in encoder.modules())
    with quiet_transformers():
        encoder.save(str(tmp_path), create_model_card=False)
    assert attention.NAME not in "".join(f.read_text() for f in tmp_path.rglob("*.json"))


def test_the_attention_is_put_back_after_an_error() -> None:
    encoder = encoder_of("bert")
    before = encoder[0].auto_model.config._attn_implementation
    assert packing_problem(encoder) == ""
    with pytest.raises(IndexError):
        embed(encoder, text_batch([[10**6]], 0))
    assert encoder[0].auto_model.config._attn_implementation == before


def test_dropout_draws_in_training_mode_alone() -> None:
    encoder, batch = encoder_of("bert"), text_batch(texts_of(5, 9, 30), 0)
    assert torch.equal(embed(encoder, batch), embed(encoder, batch))
    encoder.train()
    assert not torch.equal(embed(encoder, batch), embed(encoder, batch))
