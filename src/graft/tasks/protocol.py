"""What the loop, the evaluation and the audits ask of a kind of task, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from graft.config.sections import ArmSection, BaseSection
from graft.core.facts import UNKNOWN, RowFacts
from graft.core.origins import LoadReport
from graft.core.probes import Reading
from graft.core.supervision import Supervision
from graft.metrics.measures import Measure
from graft.models.feature_files import FeaturePlace
from graft.models.features import FeatureStore
from graft.models.locate import LocatedBase

Example = Any
Batch = Any
Array = np.ndarray[Any, Any]
# An encoder and texts to their embeddings `[texts, width]`.
Encode = Callable[[SentenceTransformer, list[str]], Array]


@dataclass(frozen=True)
class BaselineRows:
    """What a baseline may look at.

    Args:
        train: Training rows with what the task reads, and label.
        predicted: Rows to predict; their labels are not to be read.
        encode: Rows to the prediction columns of the untouched base, embeddings included.
        seed: The experiment's seed.
        facts: What is known of columns and classes.
    """

    train: pd.DataFrame
    predicted: pd.DataFrame
    encode: Callable[[pd.DataFrame], Mapping[str, Array]]
    seed: int
    facts: RowFacts = UNKNOWN


@dataclass(frozen=True)
class Baseline:
    """An honest yardstick: what it is called and how it predicts."""

    title: str
    predict: Callable[[BaselineRows], dict[str, Array]]


class TrainingTask(Protocol):
    """What the loop and the probes ask of whatever is trained.

    It is stateless: what it needs comes as an argument, or with the facts of the rows, so that one
    object serves every run and a fresh process builds the same one.
    """

    @property
    def name(self) -> str:
        """The kind of task, as the recipe names it."""
        ...

    def prepare(self, rows: pd.DataFrame, model: nn.Module) -> Sequence[Example]:
        """Return one example per row, tokenised once, in the order of the rows."""
        ...

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Return the examples as one batch."""
        ...

    def loss(self, model: nn.Module, batch: Batch, arm: ArmSection) -> tuple[Tensor, int]:
        """Return the summed loss and the number of units it is a sum over, never a mean."""
        ...

    def rowwise(self, arm: ArmSection) -> bool:
        """Return True if the loss of a batch is the sum of the losses of its rows."""
        ...

    def supervision(self, examples: Sequence[Example], model: nn.Module) -> Supervision:
        """Return what the loss sees of the examples."""
        ...

    def packing_problem(self, model: nn.Module) -> str:
        """Return why the rows of a batch are padded, empty if they are packed."""
        ...

    def store_frozen(
        self, model: nn.Module, examples: Sequence[Example], place: FeaturePlace
    ) -> FeatureStore | str:
        """Return the stored outputs of the model's frozen beginning, or why there are none."""
        ...

    def positions(self, model: nn.Module, batch: Batch) -> tuple[int, int]:
        """Return the tokens that the model computes for the batch, and the padding beside them."""
        ...

    def length(self, example: Example) -> int:
        """Return the size of an example, so that prediction can batch like with like."""
        ...

    def tokens(self, example: Example) -> int:
        """Return the tokens of an example, so that training can divide a step by them."""
        ...

    def predict(self, model: nn.Module, batch: Batch) -> Mapping[str, Array]:
        """Return prediction columns with one entry per row of the batch."""
        ...

    def new_head(self, model: nn.Module, arm: ArmSection) -> frozenset[str]:
        """Return the names of the parameters that `build` added as a head."""
        ...

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the model as a standard folder that loads without Graft."""
        ...


class Task(TrainingTask, Protocol):
    """A kind of task: what arms are trained for, compared by and served as."""

    @property
    def embedded(self) -> tuple[str, ...]:
        """Columns of the rows of which every run has embeddings: texts, or series."""
        ...

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What predictions are measured by."""
        ...

    @property
    def baselines(self) -> Mapping[str, Baseline]:
        """The yardsticks, by name."""
        ...

    def build(
        self, arm: ArmSection, base: LocatedBase, seed: int, rows: pd.DataFrame
    ) -> tuple[nn.Module, LoadReport]:
        """Return the model of `arm` before training: base loaded, adapter or head attached.

        New parts may be fitted to `rows`, the training rows.
        """
        ...

    def reading(self, model: nn.Module, examples: Sequence[Example]) -> Reading:
        """Return how the model in memory reads the examples."""
        ...

    def served_reading(self, folder: Path, rows: pd.DataFrame) -> Reading:
        """Return how a saved folder reads the rows, by the route that its users take."""
        ...

    def save_adapter(self, model: nn.Module, folder: Path, base: LocatedBase) -> None:
        """Write the adapter alone as a standard folder."""
        ...

    def merge(self, arm: ArmSection, base: LocatedBase, adapter: Path) -> nn.Module:
        """Return a fresh base with the saved adapter added into its weights."""
        ...

    def predict_folder(
        self, folder: Path, rows: pd.DataFrame, adapter: Path | None
    ) -> Mapping[str, Array]:
        """Return prediction columns of a saved folder, loaded the way its users load it.

        Columns of one dimension are predictions; a column of two dimensions holds the embeddings
        of the column that it is named after.
        """
        ...

    def encode_base(
        self, base: LocatedBase, rows: pd.DataFrame, encode: Encode
    ) -> Mapping[str, Array]:
        """Return what the untouched base makes of the rows, encoded by `encode`.

        Embeddings as in `predict_folder`, and prediction columns if it has any without a head.
        """
        ...

    def token_lengths(
        self, base: LocatedBase, section: BaseSection, texts: list[str]
    ) -> tuple[Array, int]:
        """Return the tokens of each text before truncation, and the model's limit."""
        ...

    def decide(self, rows: pd.DataFrame) -> float | None:
        """Return the decision threshold that is best on these predicted rows.

        None if decisions need none, as among more than two classes.
        """
        ...
