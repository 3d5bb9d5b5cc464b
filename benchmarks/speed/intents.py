"""A text and its class: an encoder with mean pooling and a linear head, as the engine sees it.

Graft has no such kind of task yet; this one has what training and its probes ask, and no more. The
head is a module of the encoder, so that `embed` gives the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.origins import LoadReport
from graft.core.probes import Reading
from graft.core.seeds import derive
from graft.core.supervision import Supervision, label_counts
from graft.models.embedding import embed, positions
from graft.models.encoder import load_encoder
from graft.models.feature_files import FeaturePlace
from graft.models.features import FeatureStore, store_features
from graft.models.locate import LocatedBase
from graft.models.packed import packing_problem
from graft.models.packing import TextBatch, text_batch
from graft.models.report import with_new_tensors
from graft.tasks.encoder_reading import TokenisedText, content_length, reading_settings, tokenise
from graft.tasks.pairs import assert_encoder
from graft.tasks.protocol import Array

HEAD = "2"  # its place among the modules: after backbone and pooling


@dataclass(frozen=True)
class IntentExample:
    """One tokenised text: row id, text, class from 0, padding id."""

    row: str
    text: TokenisedText
    label: int
    pad: int


@dataclass(frozen=True)
class IntentBatch:
    """Texts and their classes `[texts]`."""

    texts: TextBatch
    labels: Tensor


class IntentsTask:
    """Texts with one of `classes` classes.

    Args:
        classes: Their number.
    """

    name = "intents"
    text_roles: tuple[str, ...] = ("text",)

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def build(
        self, arm: ArmSection, base: LocatedBase, seed: int, rows: pd.DataFrame
    ) -> tuple[SentenceTransformer, LoadReport]:
        """Return backbone and pooling of the base with a new head; a normalisation is left out."""
        loaded = load_encoder(base, arm.base)
        backbone, pooling = list(loaded.model)[:2]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "head"))
            width = pooling.get_embedding_dimension()
            head = Dense(width, self.classes, activation_function=nn.Identity())
        model = SentenceTransformer(modules=[backbone, pooling, head], device="cpu").eval()
        new = (lambda name: name.startswith(f"{HEAD}."), "head: new, random")
        return model, with_new_tensors(loaded.report, model, [new])

    def new_head(self, model: nn.Module, arm: ArmSection) -> frozenset[str]:
        """Return the names of the parameters of the head."""
        return frozenset(n for n, _ in model.named_parameters() if n.startswith(f"{HEAD}."))

    def prepare(self, rows: pd.DataFrame, model: nn.Module) -> list[IntentExample]:
        """Return one example per row; every text is tokenised once."""
        encoder = assert_encoder(model)
        texts = tokenise(encoder, list(rows["text"]))
        pad = int(encoder.tokenizer.pad_token_id)
        return [
            IntentExample(row, text, int(label), pad)
            for row, text, label in zip(rows["row"], texts, rows["label"], strict=True)
        ]

    def collate(self, examples: Sequence[IntentExample]) -> IntentBatch:
        """Return the examples as one batch."""
        texts = text_batch([example.text.ids for example in examples], examples[0].pad)
        return IntentBatch(texts, torch.tensor([example.label for example in examples]))

    def loss(self, model: nn.Module, batch: IntentBatch, arm: ArmSection) -> tuple[Tensor, int]:
        """Return the summed cross-entropy of the texts and their number."""
        logits = embed(assert_encoder(model), batch.texts).float()
        summed = nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
        return summed, len(batch.labels)

    def rowwise(self, arm: ArmSection) -> bool:
        """Return True: each text has its own loss."""
        return True

    def supervision(self, examples: Sequence[IntentExample], model: nn.Module) -> Supervision:
        """Return what the loss sees of the texts."""
        encoder = assert_encoder(model)
        unknown = encoder.tokenizer.unk_token_id
        return Supervision(
            unit="rows",
            rows=len(examples),
            units=len(examples),
            rows_without_loss=0,
            tokens=sum(len(example.text.ids) for example in examples),
            truncated_rows=sum(example.text.cut for example in examples),
            limit=encoder.max_seq_length,
            unknown_tokens=sum(example.text.ids.count(unknown) for example in examples),
            empty_rows=sum(not content_length(encoder, e.text) for e in examples),
            labels=label_counts([example.label for example in examples]),
        )

    def reading(self, model: nn.Module, examples: Sequence[IntentExample]) -> Reading:
        """Return how the model in memory reads the examples."""
        inputs = {example.row: tuple(example.text.ids) for example in examples}
        return Reading(reading_settings(assert_encoder(model)), inputs)

    def packing_problem(self, model: nn.Module) -> str:
        """Return why the texts of a batch are padded, empty if they are packed."""
        return packing_problem(assert_encoder(model))

    def store_frozen(
        self, model: nn.Module, examples: Sequence[IntentExample], place: FeaturePlace
    ) -> FeatureStore | str:
        """Return the stored outputs of the encoder's frozen beginning, or why there are none."""
        texts = [example.text.ids for example in examples]
        return store_features(assert_encoder(model), texts, examples[0].pad, place)

    def positions(self, model: nn.Module, batch: IntentBatch) -> tuple[int, int]:
        """Return the tokens that the encoder computes, and the padding beside them."""
        return positions(assert_encoder(model), batch.texts)

    def tokens(self, example: IntentExample) -> int:
        """Return the tokens of the text."""
        return len(example.text.ids)

    def length(self, example: IntentExample) -> int:
        """Return the length of the text."""
        return len(example.text.ids)

    def predict(self, model: nn.Module, batch: IntentBatch) -> dict[str, Array]:
        """Return the logits `[texts, classes]`."""
        return {"logits": embed(assert_encoder(model), batch.texts).float().cpu().numpy()}
