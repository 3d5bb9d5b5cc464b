"""Text pairs: two texts, one label, the cosine of their embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.modules import Dense
from torch import Tensor, nn

from graft.config.sections import ArmSection, BaseSection
from graft.core.origins import LoadReport
from graft.core.probes import Reading
from graft.core.seeds import derive
from graft.core.supervision import Supervision, label_counts
from graft.metrics.pairs import PAIR_MEASURES, best_f1
from graft.models.adapters import (
    attach_lora,
    is_adapter,
    load_adapter,
    merge_adapter,
    save_adapter,
)
from graft.models.embedding import embed, positions
from graft.models.encoder import add_identity_head, load_encoder, quiet_transformers, reinitialise
from graft.models.feature_files import FeaturePlace
from graft.models.features import FeatureStore, store_features
from graft.models.locate import LocatedBase
from graft.models.packed import packing_problem
from graft.models.packing import TextBatch, text_batch
from graft.models.report import Added, with_new_tensors
from graft.tasks.encoder_reading import (
    TokenisedText,
    content_length,
    reading_settings,
    served_ids,
    token_lengths,
    tokenise,
)
from graft.tasks.pair_baselines import PAIR_BASELINES
from graft.tasks.pair_columns import pair_columns
from graft.tasks.protocol import Array

_LOSSES: dict[str, type[nn.Module]] = {
    "cosine_similarity": losses.CosineSimilarityLoss,
    "cosent": losses.CoSENTLoss,
    "angle": losses.AnglELoss,
    "contrastive": losses.ContrastiveLoss,
    "online_contrastive": losses.OnlineContrastiveLoss,
}
# The other losses compare the pairs of a batch with each other.
_ROWWISE = ("cosine_similarity", "contrastive")


@dataclass(frozen=True)
class PairExample:
    """One tokenised pair: row id, both texts, label 0 to 1, padding id."""

    row: str
    first: TokenisedText
    second: TokenisedText
    label: float
    pad: int

    @property
    def texts(self) -> tuple[TokenisedText, TokenisedText]:
        """Both texts."""
        return self.first, self.second


@dataclass(frozen=True)
class PairBatch:
    """Pairs ready for the encoder.

    Args:
        texts: The first texts of all pairs, then the second texts; equal texts are computed once.
        labels: `[pairs]`.
    """

    texts: TextBatch
    labels: Tensor


class PairsTask:
    """Text pairs on any Sentence-Transformers or Transformers encoder."""

    name = "pairs"
    embedded: tuple[str, ...] = ("sentence1", "sentence2")
    measures = PAIR_MEASURES
    baselines = PAIR_BASELINES

    def build(
        self, arm: ArmSection, base: LocatedBase, seed: int, rows: pd.DataFrame
    ) -> tuple[SentenceTransformer, LoadReport]:
        """Return the encoder of `arm` before training, and the origin of every tensor."""
        loaded = load_encoder(base, arm.base)
        model, sources = loaded.model, list[tuple[Added, str]]()
        if arm.method == "lora":
            attach_lora(model, arm.lora, derive(seed, "adapter"))
            sources.append((is_adapter, "adapter: new, its product is zero"))
        if arm.method == "head":
            place = f"{add_identity_head(model)}."
            sources.append((lambda name: name.startswith(place), "head: new, the identity"))
        if arm.control == "random_init":
            reinitialise(model, seed)
            sources.append((lambda name: True, "random_init: control without pretraining"))
        return model, with_new_tensors(loaded.report, model, sources)

    def new_head(self, model: nn.Module, arm: ArmSection) -> frozenset[str]:
        """Return the names of the parameters of the identity head."""
        if arm.method != "head":
            return frozenset()
        heads = [name for name, module in model.named_children() if isinstance(module, Dense)]
        return frozenset(n for n, _ in model.named_parameters() if n.split(".")[0] == heads[-1])

    def prepare(self, rows: pd.DataFrame, model: nn.Module) -> list[PairExample]:
        """Return one example per row; every text is tokenised once."""
        encoder = assert_encoder(model)
        first = tokenise(encoder, list(rows["sentence1"]))
        second = tokenise(encoder, list(rows["sentence2"]))
        ids, labels = list(rows["row"]), list(rows["label"])
        pad = int(encoder.tokenizer.pad_token_id)
        return [
            PairExample(row, a, b, float(label), pad)
            for row, a, b, label in zip(ids, first, second, labels, strict=True)
        ]

    def collate(self, examples: Sequence[PairExample]) -> PairBatch:
        """Return the examples as one batch."""
        texts = [e.first.ids for e in examples] + [e.second.ids for e in examples]
        labels = torch.tensor([example.label for example in examples])
        return PairBatch(text_batch(texts, examples[0].pad), labels)

    def loss(self, model: nn.Module, batch: PairBatch, arm: ArmSection) -> tuple[Tensor, int]:
        """Return the summed loss of the pairs and their number."""
        pairs = len(batch.labels)
        embeddings = embed(assert_encoder(model), batch.texts).float()
        criterion: Any = _LOSSES[arm.loss](model)
        mean: Tensor = criterion.compute_loss_from_embeddings(
            [embeddings[:pairs], embeddings[pairs:]], batch.labels.to(embeddings.device)
        )
        return mean * pairs, pairs

    def rowwise(self, arm: ArmSection) -> bool:
        """Return True if the loss looks at each pair by itself."""
        return arm.loss in _ROWWISE

    def supervision(self, examples: Sequence[PairExample], model: nn.Module) -> Supervision:
        """Return what the loss sees of the pairs; every pair with a label carries loss."""
        encoder = assert_encoder(model)
        texts = [text for example in examples for text in example.texts]
        unknown = encoder.tokenizer.unk_token_id
        cut = [e.row for e in examples if any(text.cut for text in e.texts)]
        empty = [e.row for e in examples if not all(content_length(encoder, t) for t in e.texts)]
        found = {"truncated_rows": cut, "empty_rows": empty}
        return Supervision(
            unit="pairs",
            rows=len(examples),
            units=len(examples),
            rows_without_loss=0,
            tokens=sum(len(text.ids) for text in texts),
            truncated_rows=len(cut),
            limit=encoder.max_seq_length,
            unknown_tokens=sum(token == unknown for text in texts for token in text.ids),
            empty_rows=len(empty),
            labels=label_counts([example.label for example in examples]),
            examples={name: tuple(rows[:5]) for name, rows in found.items() if rows},
        )

    def reading(self, model: nn.Module, examples: Sequence[PairExample]) -> Reading:
        """Return how the model in memory reads the examples."""
        inputs = {e.row: tuple(e.first.ids + e.second.ids) for e in examples}
        return Reading(reading_settings(assert_encoder(model)), inputs)

    def served_reading(self, folder: Path, rows: pd.DataFrame) -> Reading:
        """Return how a saved folder reads the rows when its users call `encode`."""
        with quiet_transformers():
            encoder = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        pairs = zip(rows["row"], rows["sentence1"], rows["sentence2"], strict=True)
        inputs = {row: served_ids(encoder, a) + served_ids(encoder, b) for row, a, b in pairs}
        return Reading(reading_settings(encoder), inputs)

    def packing_problem(self, model: nn.Module) -> str:
        """Return why the texts of a batch are padded, empty if they are packed."""
        return packing_problem(assert_encoder(model))

    def store_frozen(
        self, model: nn.Module, examples: Sequence[PairExample], place: FeaturePlace
    ) -> FeatureStore | str:
        """Return the stored outputs of the encoder's frozen beginning, or why there are none."""
        texts = [text.ids for example in examples for text in example.texts]
        return store_features(assert_encoder(model), texts, examples[0].pad, place)

    def positions(self, model: nn.Module, batch: PairBatch) -> tuple[int, int]:
        """Return the tokens that the encoder computes, and the padding beside them."""
        return positions(assert_encoder(model), batch.texts)

    def length(self, example: PairExample) -> int:
        """Return the length of the longer text."""
        return max(len(text.ids) for text in example.texts)

    def tokens(self, example: PairExample) -> int:
        """Return the tokens of both texts."""
        return sum(len(text.ids) for text in example.texts)

    def predict(self, model: nn.Module, batch: PairBatch) -> dict[str, Array]:
        """Return the cosine of each pair as `score`."""
        pairs = len(batch.labels)
        embeddings = embed(assert_encoder(model), batch.texts).float()
        score = torch.cosine_similarity(embeddings[:pairs], embeddings[pairs:])
        return {"score": score.double().cpu().numpy()}

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write a Sentence-Transformers folder."""
        with quiet_transformers():
            assert_encoder(model).save(str(folder), create_model_card=False)

    def save_adapter(self, model: nn.Module, folder: Path, base: LocatedBase) -> None:
        """Write a PEFT folder that Sentence-Transformers loads too."""
        save_adapter(assert_encoder(model), folder, str(base.folder))

    def merge(self, arm: ArmSection, base: LocatedBase, adapter: Path) -> nn.Module:
        """Return a fresh base with the saved adapter merged into it."""
        merged: nn.Module = merge_adapter(load_encoder(base, arm.base).model, adapter)
        return merged

    def predict_folder(
        self, folder: Path, rows: pd.DataFrame, adapter: Path | None = None
    ) -> dict[str, Array]:
        """Return scores by the public route: `SentenceTransformer(folder).encode(texts)`.

        Args:
            folder: The model's folder, or the base's if there is an adapter.
            rows: Rows with `sentence1` and `sentence2`.
            adapter: A PEFT folder to put on top.
        """
        with quiet_transformers():
            model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
            if adapter is not None:
                model = load_adapter(model, adapter)
        return self.encode_rows(model, rows)

    def encode_base(self, base: LocatedBase, rows: pd.DataFrame) -> dict[str, Array]:
        """Return score and both embeddings of each row by the untouched base."""
        return self.predict_folder(base.folder, rows, None)

    def encode_rows(self, model: SentenceTransformer, rows: pd.DataFrame) -> dict[str, Array]:
        """Return score and both embeddings of each row; equal texts are encoded once."""
        return pair_columns(rows, partial(model.encode, show_progress_bar=False))

    def token_lengths(
        self, base: LocatedBase, section: BaseSection, texts: list[str]
    ) -> tuple[Array, int]:
        """Return the tokens of each text before truncation, and the model's limit."""
        return token_lengths(base, section, texts)

    def decide(self, rows: pd.DataFrame) -> float:
        """Return the threshold of the best F1 on these rows."""
        return float(best_f1(rows["score"].to_numpy(), rows["label"].to_numpy()).threshold)


def assert_encoder(model: nn.Module) -> SentenceTransformer:
    """Return `model` as the encoder that `PairsTask.build` made."""
    if not isinstance(model, SentenceTransformer):
        raise TypeError(f"pairs need a SentenceTransformer, received {type(model).__name__}")
    return model
