"""What the loop, the evaluation and the audits ask of a kind of task, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.origins import LoadReport
from graft.metrics.measures import Measure
from graft.models.locate import LocatedBase

Example = Any
Batch = Any
Array = np.ndarray[Any, Any]


class Task(Protocol):
    """A kind of task.

    A task is stateless: what it needs comes as an argument, so that one object serves every arm
    and a fresh process builds the same one from the recipe.
    """

    name: str
    text_roles: tuple[str, ...]
    measures: tuple[Measure, ...]

    def build(self, arm: ArmSection, base: LocatedBase, seed: int) -> tuple[nn.Module, LoadReport]:
        """Return the model of `arm` before training: base loaded, adapter or head attached."""
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

    def positions(self, batch: Batch) -> tuple[int, int]:
        """Return the tokens of the batch and the positions that are padding."""
        ...

    def length(self, example: Example) -> int:
        """Return the size of an example, so that prediction can batch like with like."""
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

    def save_adapter(self, model: nn.Module, folder: Path, base: LocatedBase) -> None:
        """Write the adapter alone as a standard folder."""
        ...

    def merge(self, arm: ArmSection, base: LocatedBase, adapter: Path) -> nn.Module:
        """Return a fresh base with the saved adapter added into its weights."""
        ...

    def predict_folder(
        self, folder: Path, rows: pd.DataFrame, adapter: Path | None
    ) -> Mapping[str, Array]:
        """Return prediction columns of a saved folder, loaded the way its users load it."""
        ...

    def decide(self, rows: pd.DataFrame) -> float:
        """Return the decision threshold that is best on these predicted rows."""
        ...
