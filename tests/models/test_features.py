"""What is stored of a frozen beginning gives the embeddings and gradients of the whole model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from peft import LoraConfig
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from torch import Tensor, nn

from architectures import (
    PACKED,
    PADDED,
    WIDTH,
    assert_gradients_agree,
    encoder_of,
    gradients,
    mixed_texts,
    texts_of,
    without_dropout,
)
from graft.models.embedding import embed, plain_passes
from graft.models.encoder import quiet_transformers
from graft.models.feature_files import FeaturePlace
from graft.models.features import TOLERANCE, FeatureStore, store_features
from graft.models.packing import text_batch
from graft.models.prefix import frozen_prefix, layers_of

IN_LAYERS = tuple(name for name in PACKED if name != "albert")  # its layers are one, used again


def with_frozen(name: str, layers: int) -> SentenceTransformer:
    """Return an encoder whose first layers are frozen, without dropout in the others."""
    encoder = encoder_of(name)
    without_dropout(encoder)
    encoder[0].requires_grad_(False).eval()
    for layer in layers_of(encoder)[layers:]:
        layer.requires_grad_(True).train()
    return encoder


def with_head(name: str) -> SentenceTransformer:
    """Return an encoder with a frozen backbone and a new dense head."""
    encoder = encoder_of(name)
    encoder[0].requires_grad_(False).eval()
    head = Dense(WIDTH, WIDTH, activation_function=nn.Tanh())
    modules = [encoder[0], Pooling(WIDTH, "mean"), head, Normalize()]
    return SentenceTransformer(modules=modules, device="cpu")


def stored(
    encoder: SentenceTransformer,
    folder: Path,
    precision: Literal["fp32", "bf16"] = "fp32",
    limit: int = 10**9,
) -> FeatureStore | str:
    place = FeaturePlace(folder / "stored" / "train", precision, limit)
    return store_features(encoder, mixed_texts(), 0, place)


def store_of(encoder: SentenceTransformer, folder: Path, **options: Any) -> FeatureStore:
    store = stored(encoder, folder, **options)
    assert isinstance(store, FeatureStore), store
    return store


def assert_same(encoder: SentenceTransformer, store: FeatureStore) -> None:
    batch = text_batch(mixed_texts()[3:9], 0)
    whole = embed(encoder, batch)
    with store.active():
        assert calls_of_first_layer(encoder, batch) == 0
        short = embed(encoder, batch)
    torch.testing.assert_close(short, whole, rtol=1e-5, atol=1e-6)
    assert_gradients_agree(gradients(encoder, short), gradients(encoder, whole))
    assert calls_of_first_layer(encoder, batch) > 0


def calls_of_first_layer(encoder: SentenceTransformer, batch: Any) -> int:
    """Return how often a matrix of the first layer is multiplied for the batch."""
    backbone = encoder[0].auto_model
    first = layers_of(encoder)[0] if layers_of(encoder) else backbone
    matrix = next(m for m in first.modules() if type(m).__name__ in ("Linear", "Conv1D"))
    seen: list[int] = []
    handle = matrix.register_forward_hook(lambda *_: seen.append(1))
    embed(encoder, batch)
    handle.remove()
    return len(seen)


@pytest.mark.parametrize("name", IN_LAYERS)
@pytest.mark.parametrize("layers", [1, 2])
def test_frozen_layers_are_skipped(name: str, layers: int, tmp_path: Path) -> None:
    encoder = with_frozen(name, layers)
    store = store_of(encoder, tmp_path)
    assert store.record.prefix == f"the embedding and {layers} of 3 layers"
    assert_same(encoder, store)
    assert not any("forward" in vars(module) for module in encoder.modules())


@pytest.mark.parametrize("name", [*PACKED, *PADDED])
def test_a_frozen_backbone_is_skipped(name: str, tmp_path: Path) -> None:
    encoder = with_head(name)
    store = store_of(encoder, tmp_path)
    assert store.record.prefix == "the whole backbone"
    distinct = len({tuple(text) for text in mixed_texts()})
    assert (store.record.texts, store.record.bytes) == (distinct, distinct * WIDTH * 4)
    assert_same(encoder, store)


@pytest.mark.parametrize("name", ["bert", "mpnet", "qwen3"])
def test_bfloat16_is_stored_within_its_rounding(name: str, tmp_path: Path) -> None:
    encoder = with_frozen(name, 2)
    store = store_of(encoder, tmp_path, precision="bf16")
    assert store.record.bytes == store_of(encoder, tmp_path / "b").record.bytes / 2
    assert 0 < store.record.gap < TOLERANCE["bf16"] / 4
    batch = text_batch(mixed_texts(), 0)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        whole = embed(encoder, batch)
        with store.active():
            short = embed(encoder, batch)
    assert float((short - whole).norm() / whole.norm()) < TOLERANCE["bf16"] / 2


def test_what_is_not_stored_is_computed(tmp_path: Path) -> None:
    encoder = with_frozen("bert", 2)
    store = store_of(encoder, tmp_path)
    batch = text_batch([*mixed_texts()[:3], *texts_of(9, seed=9)], 0)
    whole = embed(encoder, batch)
    with store.active():
        assert not store.holds(batch)
        assert torch.equal(embed(encoder, batch), whole)


def test_a_plain_pass_takes_nothing_that_is_stored(tmp_path: Path) -> None:
    encoder = with_frozen("bert", 2)
    batch = text_batch(mixed_texts(), 0)
    with store_of(encoder, tmp_path).active(), plain_passes():
        assert calls_of_first_layer(encoder, batch) > 0


def test_another_encoder_takes_nothing_that_is_stored(tmp_path: Path) -> None:
    encoder, other = with_frozen("bert", 2), encoder_of("bert", seed=5)
    batch = text_batch(mixed_texts(), 0)
    whole = embed(other, batch)
    with store_of(encoder, tmp_path).active():
        assert torch.equal(embed(other, batch), whole)


def test_the_gap_tells_of_a_frozen_tensor_that_moved(tmp_path: Path) -> None:
    encoder = with_frozen("bert", 2)
    store = store_of(encoder, tmp_path)
    assert store.gap() <= 1e-6
    with torch.no_grad():
        layers_of(encoder)[0].output.dense.weight.mul_(1.05)
    assert store.gap() > TOLERANCE["fp32"]


def test_the_gap_tells_of_layers_that_cannot_be_skipped(tmp_path: Path) -> None:
    """Layer 2 looks at what layer 0 gave: skipping both is not the same as running them."""
    encoder = with_frozen("llama", 2)
    first, _, last = layers_of(encoder)
    kept: list[Tensor] = []
    first.register_forward_hook(lambda _, __, output: kept.append(output))
    last.register_forward_hook(lambda _, __, output: output + 0.5 * kept[-1])
    problem = stored(encoder, tmp_path)
    assert isinstance(problem, str)
    assert "differ by" in problem


# What is not stored, and why


@pytest.mark.parametrize("name", PADDED)
def test_layers_of_a_padded_model_are_not_stored(name: str, tmp_path: Path) -> None:
    encoder = with_frozen(name, 2)
    problem = stored(encoder, tmp_path)
    assert isinstance(problem, str)
    assert "packed texts only" in problem


def test_a_model_that_trains_its_first_layer_stores_nothing(tmp_path: Path) -> None:
    nothing = "no layer of its backbone is frozen from the beginning on"
    assert stored(with_frozen("bert", 0), tmp_path) == nothing
    adapted = encoder_of("bert")
    with quiet_transformers():
        adapted.add_adapter(LoraConfig(r=2, target_modules=["query"]))
    assert stored(adapted, tmp_path) == nothing
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_of_the_upper_layers_leaves_the_lower_ones_to_store(tmp_path: Path) -> None:
    encoder = encoder_of("bert")
    target = LoraConfig(r=2, target_modules=["query"], layers_to_transform=[2], lora_dropout=0.0)
    with quiet_transformers():
        encoder.add_adapter(target)
    store = store_of(encoder, tmp_path)
    assert store.record.prefix == "the embedding and 2 of 3 layers"


def test_dropout_before_the_layers_keeps_them_from_being_stored(tmp_path: Path) -> None:
    encoder = with_frozen("gpt2", 2)
    drop = encoder[0].auto_model.drop
    drop.p = 0.1
    assert isinstance(stored(encoder, tmp_path), FeatureStore)
    drop.train()
    problem = stored(encoder, tmp_path / "b")
    assert isinstance(problem, str)


class Noise(nn.Module):
    """Noise in training mode, which is no dropout by its class and has no parameters."""

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + 0.1 * torch.randn_like(hidden) * self.training


def test_a_beginning_that_draws_at_random_is_not_stored(tmp_path: Path) -> None:
    encoder = with_frozen("bert", 2)
    first = layers_of(encoder)[0]
    first.add_module("noise", Noise())
    first.register_forward_hook(lambda layer, _, output: layer.noise(output))
    first.noise.train()
    problem = stored(encoder, tmp_path)
    assert isinstance(problem, str)
    assert "drawn at random" in problem


def test_the_limit_refuses_with_figures(tmp_path: Path) -> None:
    problem = stored(with_frozen("bert", 2), tmp_path, limit=20_000)
    assert isinstance(problem, str)
    assert "need 0.04646 MB, 0.02 MB are allowed" in problem
    assert not (tmp_path / "stored" / "train").exists()


# The folder


def hashes(folder: Path) -> tuple[int, bytes]:
    file = folder / "stored" / "train" / "features.bin"
    return file.stat().st_mtime_ns, file.read_bytes()


def test_a_folder_is_taken_up_if_it_verifies(tmp_path: Path) -> None:
    encoder = with_frozen("bert", 2)
    first = store_of(encoder, tmp_path).record
    before = hashes(tmp_path)
    again = store_of(with_frozen("bert", 2), tmp_path).record
    assert hashes(tmp_path) == before
    assert (again.sha256, again.seconds) == (first.sha256, first.seconds)


def test_a_byte_that_flipped_is_found_and_everything_made_anew(tmp_path: Path) -> None:
    encoder = with_frozen("bert", 2)
    store_of(encoder, tmp_path)
    written, values = hashes(tmp_path)
    file = tmp_path / "stored" / "train" / "features.bin"
    file.write_bytes(values[:100] + bytes([values[100] ^ 255]) + values[101:])
    assert_same(encoder, store_of(encoder, tmp_path))
    assert hashes(tmp_path)[1] == values
    assert hashes(tmp_path)[0] != written


def test_other_weights_layers_or_formats_are_made_anew(tmp_path: Path) -> None:
    encoder = with_frozen("bert", 2)
    records = [store_of(encoder, tmp_path).record]
    with torch.no_grad():
        layers_of(encoder)[1].output.dense.weight.mul_(1.01)
    records.append(store_of(encoder, tmp_path).record)
    records.append(store_of(with_frozen("bert", 1), tmp_path).record)
    records.append(store_of(with_frozen("bert", 1), tmp_path, precision="bf16").record)
    assert len({record.sha256 for record in records}) == 4


# Which modules count


def test_the_prefix_ends_where_something_is_trained() -> None:
    encoder = with_frozen("bert", 3)
    prefix = frozen_prefix(encoder)
    assert not isinstance(prefix, str)
    assert prefix.words == "the whole backbone"
    encoder[0].auto_model.pooler.requires_grad_(True)  # is not read, but is part of the module
    prefix = frozen_prefix(encoder)
    assert not isinstance(prefix, str)
    assert prefix.words == "the embedding and 2 of 3 layers"


@pytest.mark.parametrize("part", ["word_embeddings", "LayerNorm"])
def test_a_trained_embedding_leaves_nothing_to_store(part: str) -> None:
    encoder = with_frozen("bert", 2)
    getattr(encoder[0].auto_model.embeddings, part).requires_grad_(True)
    assert frozen_prefix(encoder) == "no layer of its backbone is frozen from the beginning on"
