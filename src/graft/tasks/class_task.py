"""What every task with classes, several labels or a number for each row does alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.facts import UNKNOWN, RowFacts
from graft.metrics.label_sets import label_probabilities, true_labels
from graft.metrics.labelled import measures_of
from graft.metrics.measures import Measure
from graft.metrics.pairs import best_f1
from graft.metrics.probabilities import cheapest_threshold
from graft.models.heads import ClassifierLayout
from graft.tasks.class_losses import summed_loss
from graft.tasks.class_outputs import answered
from graft.tasks.protocol import Array

Costs = tuple[float, float]
# Modules that no base has: a pooling with weights, and the head.
NEW_MODULES = ("pooling.", "head.")


@dataclass(frozen=True)
class ClassTask(ABC):
    """Classes, several labels or a number for each row, by an encoder with a head.

    Args:
        facts: Columns and classes; nothing before the rows were read.
        costs: What a false positive and a false negative cost; None to decide by the best F1.
    """

    facts: RowFacts = UNKNOWN
    costs: Costs | None = None

    @abstractmethod
    def logits(self, model: nn.Module, batch: Any) -> Tensor:  # noqa: ANN401 - each task has its own
        """Return the outputs of the head, `[rows, outputs]` in float32."""

    @abstractmethod
    def layout(self, model: nn.Module) -> ClassifierLayout:
        """Return what the outputs stand for, and what is known of the training rows."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Metrics for such labels."""
        return measures_of(self.facts)

    def new_head(self, model: nn.Module, arm: ArmSection) -> frozenset[str]:
        """Return the names of the parameters of pooling and head."""
        return frozenset(n for n, _ in model.named_parameters() if n.startswith(NEW_MODULES))

    def loss(self, model: nn.Module, batch: Any, arm: ArmSection) -> tuple[Tensor, int]:  # noqa: ANN401
        """Return the summed loss of the rows and their number."""
        logits = self.logits(model, batch)
        labels = batch.labels.to(logits.device)
        return summed_loss(logits, labels, arm, self.layout(model)), len(labels)

    def rowwise(self, arm: ArmSection) -> bool:
        """Return True: each row has its own loss."""
        return True

    def predict(self, model: nn.Module, batch: Any) -> dict[str, Array]:  # noqa: ANN401
        """Return the probabilities of each row and what follows from them, or its number."""
        return answered(self.logits(model, batch), self.layout(model))

    def decide(self, rows: pd.DataFrame) -> float | None:
        """Return the threshold of two classes: of the least cost if costs are given, or best F1.

        Of several labels one threshold serves all: that of the best F1 over all of them together.
        """
        if self.facts.multi_label:
            columns = {str(name): rows[name].to_numpy() for name in rows}
            found, true = label_probabilities(columns).ravel(), true_labels(columns).ravel()
            return float(best_f1(found, true).threshold)
        if not self.facts.binary:
            return None
        scores, labels = rows["score"].to_numpy(), rows["label"].to_numpy()
        if self.costs is not None:
            return float(cheapest_threshold(scores, labels, *self.costs))
        return float(best_f1(scores, labels).threshold)
