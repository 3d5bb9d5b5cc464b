"""Series: the values of some channels over time, and one class for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from graft.config.sections import ArmSection, BaseSection
from graft.core.origins import LoadReport
from graft.core.probes import Reading
from graft.core.supervision import Supervision
from graft.data.series import COLUMN
from graft.metrics.probabilities import class_columns
from graft.models.heads import ClassifierLayout
from graft.models.locate import LocatedBase
from graft.models.series.folders import (
    code_hash,
    load_series_classifier,
    load_series_encoder,
    save_series,
)
from graft.models.series.modeling_series import Pooling
from graft.tasks.class_task import ClassTask
from graft.tasks.protocol import Array, Baseline, Encode
from graft.tasks.series_baselines import SERIES_BASELINES
from graft.tasks.series_examples import (
    ReadsSeries,
    SeriesBatch,
    SeriesExample,
    embeddings_of,
    series_batch,
    series_examples,
)
from graft.tasks.series_model import assert_series, build_series_classifier
from graft.tasks.series_reading import series_census, series_reading

_NO_ADAPTER = "an encoder of series takes no adapter; the recipe refuses method: lora"


@dataclass(frozen=True)
class SeriesTask(ReadsSeries, ClassTask):
    """One class for each series."""

    @property
    def name(self) -> str:
        """The kind of task."""
        return "series"

    @property
    def embedded(self) -> tuple[str, ...]:
        """The column of the series."""
        return (COLUMN,)

    @property
    def baselines(self) -> Mapping[str, Baseline]:
        """The yardsticks."""
        return SERIES_BASELINES

    def build(
        self, arm: ArmSection, base: LocatedBase, seed: int, rows: pd.DataFrame
    ) -> tuple[nn.Module, LoadReport]:
        """Return the encoder of the base with a new head, and where each tensor is from."""
        return build_series_classifier(self.facts, arm, base, seed, rows)

    def prepare(self, rows: pd.DataFrame, model: nn.Module) -> list[SeriesExample]:
        """Return one example per row."""
        return series_examples(rows)

    def collate(self, examples: Sequence[SeriesExample]) -> SeriesBatch:
        """Return the examples as one batch."""
        return series_batch(examples)

    def logits(self, model: nn.Module, batch: SeriesBatch) -> Tensor:
        """Return the logits of a batch, `[rows, classes]` in float32."""
        device = next(model.parameters()).device
        found = assert_series(model)(batch.values.to(device), batch.lengths.to(device))
        logits: Tensor = found.logits
        return logits.float()

    def layout(self, model: nn.Module) -> ClassifierLayout:
        """Return what the outputs stand for, and the training rows of each class."""
        rows = tuple(assert_series(model).config.class_rows)
        return ClassifierLayout(self.facts.classes, (), "series", "", class_rows=rows)

    def supervision(self, examples: Sequence[SeriesExample], model: nn.Module) -> Supervision:
        """Return what the loss sees of the rows."""
        return series_census(assert_series(model), examples)

    def reading(self, model: nn.Module, examples: Sequence[SeriesExample]) -> Reading:
        """Return how the model in memory reads the examples."""
        rows = [(example.row, example.series) for example in examples]
        return series_reading(assert_series(model), rows, code_hash())

    def served_reading(self, folder: Path, rows: pd.DataFrame) -> Reading:
        """Return how a saved folder reads the rows, and with which code."""
        model = load_series_classifier(folder)
        return series_reading(model, zip(rows["row"], rows[COLUMN], strict=True), code_hash(folder))

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write a Transformers folder with the code that loads it."""
        save_series(assert_series(model), folder)

    def save_adapter(self, model: nn.Module, folder: Path, base: LocatedBase) -> None:
        """Raise: there is no adapter."""
        raise TypeError(_NO_ADAPTER)

    def merge(self, arm: ArmSection, base: LocatedBase, adapter: Path) -> nn.Module:
        """Raise: there is no adapter."""
        raise TypeError(_NO_ADAPTER)

    def predict_folder(
        self, folder: Path, rows: pd.DataFrame, adapter: Path | None = None
    ) -> dict[str, Array]:
        """Return probabilities and embeddings by the classifier in `folder`.

        Args:
            folder: The model's folder.
            rows: Rows with their series.
            adapter: None; there are no adapters.
        """
        if adapter is not None:
            raise TypeError(_NO_ADAPTER)
        model = load_series_classifier(folder)
        embeddings = embeddings_of(list(rows[COLUMN]), model.embed)
        with torch.inference_mode():
            logits = model.head(torch.from_numpy(embeddings)).double()
        return {**class_columns(torch.softmax(logits, dim=1).numpy()), COLUMN: embeddings}

    def encode_base(
        self, base: LocatedBase, rows: pd.DataFrame, encode: Encode
    ) -> dict[str, Array]:
        """Return the embedding of each row by the untouched base.

        Its states are pooled as it says; by their mean where its pooling would have to be learned.
        """
        encoder, _ = load_series_encoder(base, BaseSection(allow=("pooling", "head")))
        config = encoder.config
        pooling = Pooling(
            type(config).from_dict({**config.to_dict(), "pooling": "mean"})
            if config.pooling == "attention"
            else config
        )
        found = embeddings_of(
            list(rows[COLUMN]), lambda values, lengths: pooling(*encoder(values, lengths))
        )
        return {COLUMN: found.astype(np.float64)}

    def token_lengths(
        self, base: LocatedBase, section: BaseSection, texts: list[str]
    ) -> tuple[Array, int]:
        """Return nothing: a series has no texts."""
        return np.zeros(0), 0
