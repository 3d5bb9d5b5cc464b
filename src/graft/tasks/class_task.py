"""What every task with one class for each row does alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.facts import UNKNOWN, RowFacts
from graft.metrics.classification import measures_of
from graft.metrics.measures import Measure
from graft.metrics.pairs import best_f1
from graft.metrics.probabilities import cheapest_threshold, class_columns
from graft.tasks.class_losses import summed_loss
from graft.tasks.protocol import Array

Costs = tuple[float, float]
# Modules that no base has: a pooling with weights, and the head.
NEW_MODULES = ("pooling.", "head.")


@dataclass(frozen=True)
class ClassTask(ABC):
    """One class for each row, by an encoder with a head.

    Args:
        facts: Columns and classes; nothing before the rows were read.
        costs: What a false positive and a false negative cost; None to decide by the best F1.
    """

    facts: RowFacts = UNKNOWN
    costs: Costs | None = None

    @abstractmethod
    def logits(self, model: nn.Module, batch: Any) -> Tensor:  # noqa: ANN401 - each task has its own
        """Return the logits of a batch, `[rows, classes]` in float32."""

    @abstractmethod
    def class_rows(self, model: nn.Module) -> Sequence[int]:
        """Return the training rows of each class that the model was built for."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Metrics for so many classes."""
        return measures_of(self.facts)

    def new_head(self, model: nn.Module, arm: ArmSection) -> frozenset[str]:
        """Return the names of the parameters of pooling and head."""
        return frozenset(n for n, _ in model.named_parameters() if n.startswith(NEW_MODULES))

    def loss(self, model: nn.Module, batch: Any, arm: ArmSection) -> tuple[Tensor, int]:  # noqa: ANN401
        """Return the summed loss of the rows and their number."""
        logits = self.logits(model, batch)
        labels = batch.labels.to(logits.device)
        return summed_loss(logits, labels, arm, self.class_rows(model)), len(labels)

    def rowwise(self, arm: ArmSection) -> bool:
        """Return True: each row has its own loss."""
        return True

    def predict(self, model: nn.Module, batch: Any) -> dict[str, Array]:  # noqa: ANN401
        """Return the probabilities of each row and what follows from them."""
        probabilities = torch.softmax(self.logits(model, batch).double(), dim=1)
        return class_columns(probabilities.cpu().numpy())

    def decide(self, rows: pd.DataFrame) -> float | None:
        """Return the threshold of two classes: of the least cost if costs are given, or best F1."""
        if not self.facts.binary:
            return None
        scores, labels = rows["score"].to_numpy(), rows["label"].to_numpy()
        if self.costs is not None:
            return float(cheapest_threshold(scores, labels, *self.costs))
        return float(best_f1(scores, labels).threshold)
