"""Classification: the texts of a row, and its table columns if wanted, and one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from graft.config.sections import ArmSection, BaseSection
from graft.core.origins import LoadReport
from graft.core.probes import Reading
from graft.core.supervision import Supervision
from graft.models.adapters import load_adapter, merge_adapter, name_base
from graft.models.embedding import positions
from graft.models.encoder import load_encoder, quiet_transformers
from graft.models.feature_files import FeaturePlace
from graft.models.features import FeatureStore, store_features
from graft.models.heads import (
    add_saved_head,
    assert_classifier,
    load_classifier,
    save_classifier,
)
from graft.models.locate import LocatedBase
from graft.models.packed import packing_problem
from graft.tasks.class_baselines import CLASS_BASELINES
from graft.tasks.class_columns import classified, joint_embeddings
from graft.tasks.class_examples import (
    ClassBatch,
    ClassExample,
    class_batch,
    class_examples,
    logits_of,
)
from graft.tasks.class_model import build_classifier
from graft.tasks.class_reading import census, classifier_settings, served_texts
from graft.tasks.class_task import ClassTask
from graft.tasks.encoder_reading import token_lengths
from graft.tasks.protocol import Array, Baseline


@dataclass(frozen=True)
class ClassificationTask(ClassTask):
    """One class for each row of texts and table columns."""

    @property
    def name(self) -> str:
        """The kind of task."""
        return "classification"

    @property
    def embedded(self) -> tuple[str, ...]:
        """The first text column: every run has embeddings of that name, joint or not."""
        return self.facts.texts[:1]

    @property
    def baselines(self) -> Mapping[str, Baseline]:
        """The yardsticks."""
        return CLASS_BASELINES

    def build(
        self, arm: ArmSection, base: LocatedBase, seed: int, rows: pd.DataFrame
    ) -> tuple[nn.Module, LoadReport]:
        """Return backbone and pooling of the base with a new head, and where each tensor is from.

        Table columns are fitted to `rows`, the training rows.
        """
        return build_classifier(self.facts, arm, base, seed, rows)

    def prepare(self, rows: pd.DataFrame, model: nn.Module) -> list[ClassExample]:
        """Return one example per row; every text is tokenised once."""
        return class_examples(assert_classifier(model), rows)

    def collate(self, examples: Sequence[ClassExample]) -> ClassBatch:
        """Return the examples as one batch."""
        return class_batch(examples)

    def logits(self, model: nn.Module, batch: ClassBatch) -> Tensor:
        """Return the logits of a batch, `[rows, classes]` in float32."""
        return logits_of(assert_classifier(model), batch)

    def class_rows(self, model: nn.Module) -> tuple[int, ...]:
        """Return the training rows of each class that the model was built for."""
        return assert_classifier(model).layout.class_rows

    def supervision(self, examples: Sequence[ClassExample], model: nn.Module) -> Supervision:
        """Return what the loss sees of the rows."""
        return census(assert_classifier(model), examples)

    def reading(self, model: nn.Module, examples: Sequence[ClassExample]) -> Reading:
        """Return how the model in memory reads the examples."""
        inputs = {e.row: tuple(i for text in e.given for i in text.ids) for e in examples}
        return Reading(classifier_settings(assert_classifier(model)), inputs)

    def served_reading(self, folder: Path, rows: pd.DataFrame) -> Reading:
        """Return how a saved folder reads the rows when its users call `encode`."""
        model = load_classifier(folder)
        return Reading(classifier_settings(model), served_texts(model, rows))

    def packing_problem(self, model: nn.Module) -> str:
        """Return why the texts of a batch are padded, empty if they are packed."""
        return packing_problem(assert_classifier(model).encoder)

    def store_frozen(
        self, model: nn.Module, examples: Sequence[ClassExample], place: FeaturePlace
    ) -> FeatureStore | str:
        """Return the stored outputs of the encoder's frozen beginning, or why there are none."""
        texts = [text.ids for example in examples for text in example.given]
        if not texts:
            return "no row has a text"
        return store_features(assert_classifier(model).encoder, texts, examples[0].pad, place)

    def positions(self, model: nn.Module, batch: ClassBatch) -> tuple[int, int]:
        """Return the tokens that the encoder computes, and the padding beside them."""
        if batch.texts is None:
            return 0, 0
        return positions(assert_classifier(model).encoder, batch.texts)

    def length(self, example: ClassExample) -> int:
        """Return the length of the longest text."""
        return max((len(text.ids) for text in example.given), default=0)

    def tokens(self, example: ClassExample) -> int:
        """Return the tokens of all texts."""
        return example.tokens

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write a Sentence-Transformers folder, with classes and table as JSON beside it."""
        save_classifier(assert_classifier(model), folder)

    def save_adapter(self, model: nn.Module, folder: Path, base: LocatedBase) -> None:
        """Write a PEFT folder with the head beside the adapter."""
        classifier = assert_classifier(model)
        name_base(classifier, str(base.folder))
        save_classifier(classifier, folder)

    def merge(self, arm: ArmSection, base: LocatedBase, adapter: Path) -> nn.Module:
        """Return a fresh base with the saved adapter merged into it, and the saved head."""
        merged = merge_adapter(load_encoder(base, arm.base).model, adapter)
        return add_saved_head(merged, adapter)

    def predict_folder(
        self, folder: Path, rows: pd.DataFrame, adapter: Path | None = None
    ) -> dict[str, Array]:
        """Return probabilities by `SentenceTransformer(folder)` without its head, then the head.

        Args:
            folder: The model's folder, or the base's if there is an adapter.
            rows: Rows with text columns and table columns.
            adapter: A PEFT folder to put on top.
        """
        if adapter is None:
            model = load_classifier(folder)
        else:
            with quiet_transformers():
                plain = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
            model = add_saved_head(load_adapter(plain, adapter), adapter)
        return classified(model, rows, partial(model.encoder.encode, show_progress_bar=False))

    def encode_base(self, base: LocatedBase, rows: pd.DataFrame) -> dict[str, Array]:
        """Return the embedding of each row's joint text by the untouched base."""
        with quiet_transformers():
            encoder = SentenceTransformer(str(base.folder), device="cpu", local_files_only=True)
        encode = partial(encoder.encode, show_progress_bar=False)
        first = self.facts.texts[0]
        return {first: joint_embeddings(encoder, rows, self.facts.texts, encode)}

    def token_lengths(
        self, base: LocatedBase, section: BaseSection, texts: list[str]
    ) -> tuple[Array, int]:
        """Return the tokens of each text before truncation, and the model's limit."""
        return token_lengths(base, section, texts)
