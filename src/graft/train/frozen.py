"""Nothing frozen is computed twice: what a phase stores of the frozen beginning of its model."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from torch import nn

from graft.config.sections import TrainingSection
from graft.core.ledger import PhaseRecord
from graft.core.plan import PlannedPhase, ResolvedPlan
from graft.models.feature_files import FeaturePlace
from graft.models.features import FeatureStore
from graft.models.precision import NumberFormat, RoundedWeights
from graft.tasks.protocol import Example, TrainingTask

logger = logging.getLogger(__name__)


class FrozenFeatures:
    """Stored outputs for the training rows and the validation rows of the phase that runs.

    Training rows are stored in the precision of training, validation rows in float32: as they are
    computed without the store.

    Args:
        task: The kind of task.
        model: The model.
        training: What the recipe says.
        folder: Where files go.
        precision: Number format of the training passes.
    """

    def __init__(
        self,
        task: TrainingTask,
        model: nn.Module,
        training: TrainingSection,
        folder: Path,
        precision: NumberFormat,
    ) -> None:
        self.task, self.model, self.training = task, model, training
        self.folder, self.precision = folder, precision
        self._rounded = RoundedWeights(nn.Identity(), precision)
        self._rows: FeatureStore | str = ""
        self._held_out: FeatureStore | str = ""

    def enter(
        self,
        plan: ResolvedPlan,
        phase: PlannedPhase,
        rows: Sequence[Example],
        held_out: Sequence[Example],
    ) -> None:
        """Store what the frozen beginning gives for the rows of `phase`, where that pays.

        Frozen weights after it are rounded to the number format once.

        Args:
            plan: The plan.
            phase: The phase that begins; its tensors are switched already.
            rows: Training rows.
            held_out: Validation rows, none if nothing is validated on the way.
        """
        self._rounded = RoundedWeights(self.model, self.precision, frozen_only=True)
        limit = int(self.training.feature_cache_gb * 2**30)
        epochs = phase.steps / plan.steps_per_epoch
        self._rows = self._held_out = "the recipe allows no disk for it (feature_cache_gb: 0)"
        if limit:
            self._rows = "the phase ends before it sees a row twice"
        if limit and epochs > 1:
            self._rows = self._stored("train", rows, self.precision, limit)
        if isinstance(self._rows, FeatureStore):
            limit -= self._rows.record.bytes
        if limit > 0 and held_out and self._evaluations(plan, phase) > 1:
            self._held_out = self._stored("validation", held_out, "fp32", limit)
        if isinstance(self._rows, FeatureStore):
            done = self._rows.record
            logger.info(
                "phase %d: %s computed once for %d texts in %.1f s, %.0f MB",
                phase.index, done.prefix, done.texts, done.seconds, done.bytes / 1e6,
            )  # fmt: skip

    def _evaluations(self, plan: ResolvedPlan, phase: PlannedPhase) -> float:
        every = self.training.eval_steps or plan.steps_per_epoch
        return phase.steps / every

    def _stored(
        self,
        name: str,
        rows: Sequence[Example],
        precision: NumberFormat,
        limit: int,
    ) -> FeatureStore | str:
        place = FeaturePlace(self.folder / name, precision, limit)
        return self.task.store_frozen(self.model, rows, place)

    def on_rows(self) -> AbstractContextManager[None]:
        """Return the context in which a training step uses what is stored."""
        return _active(self._rows)

    def in_pass(self) -> AbstractContextManager[None]:
        """Return the context of a forward pass in training."""
        return self._rounded.autocast()

    def on_held_out(self) -> AbstractContextManager[None]:
        """Return the context in which validation uses what is stored."""
        return _active(self._held_out)

    def noted(self, record: PhaseRecord) -> PhaseRecord:
        """Return the record of the phase with what was stored, or why nothing was.

        Stored outputs are compared now, at the end of the phase: had a frozen tensor moved on the
        way, or the file changed, they would differ from what the model computes.
        """
        if isinstance(self._rows, str):
            return replace(record, features_problem=self._rows)
        return replace(record, features=replace(self._rows.record, gap=self._rows.gap()))

    def leave(self) -> None:
        """Forget and delete what is stored."""
        self._rows = self._held_out = ""
        shutil.rmtree(self.folder, ignore_errors=True)


def _active(store: FeatureStore | str) -> AbstractContextManager[None]:
    return store.active() if isinstance(store, FeatureStore) else contextlib.nullcontext()
