"""One training that another library runs: what a callback sees goes to files and to the checks."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from graft.audits import trainers
from graft.core.files import write_json
from graft.core.findings import Findings
from graft.core.layout import ExperimentPaths, RunPaths
from graft.core.ledger import Ledger, PhaseRecord, StateChange
from graft.core.options import OptionUse
from graft.core.plan import ResolvedPlan
from graft.core.probes import Probes
from graft.core.saves import Save, Saves
from graft.integrations.faults import FaultError
from graft.integrations.history import History
from graft.integrations.judging import Judge
from graft.integrations.origins import load_report
from graft.integrations.planning import (
    Schedule,
    applied_rates,
    expected_names,
    plan_training,
    with_never_thawed,
    with_thaw,
)
from graft.integrations.records import (
    as_it_was,
    changed_tensors,
    finite_gradients,
    is_cut,
    left_behind,
    remember,
    sketch,
)
from graft.integrations.settings import Settings
from graft.integrations.traffic import Census, Traffic
from graft.integrations.watched import Watched, sleeping_modules
from graft.train.modes import named_parameters
from graft.train.precision import number_formats
from graft.train.recorder import PhaseRecorder

logger = logging.getLogger(__name__)
_RUNNING = "training goes on"


class Recording:
    """What was seen of one training, from its first step to its last.

    Args:
        settings: What the user asks for.
        watched: Model and losses.
        optimizer: The optimizer.
        schedule: What the trainer was asked to do.
        census: Returns the census of the first collated batches.
        thaws: Tensor to the epoch in which another callback will thaw it.
        deferred: Tensors of which another callback decides when they thaw.

    Raises:
        InputError: An expectation matches nothing.
    """

    def __init__(
        self,
        settings: Settings,
        watched: Watched,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        census: Census,
        thaws: Mapping[str, int] | None = None,
        deferred: frozenset[str] = frozenset(),
    ) -> None:
        self.settings, self.watched, self.optimizer = settings, watched, optimizer
        self.schedule, self.deferred = schedule, deferred
        self.paths = RunPaths(settings.folder)
        self.judge = Judge(settings, self.paths)
        self.history = History(self.paths.history, schedule.steps_per_epoch)
        self.traffic = Traffic(census)
        self.step, self.epoch = schedule.first_step, schedule.first_epoch
        self.phases: list[PhaseRecord] = []
        self.changes: list[StateChange] = []
        self.rates: dict[str, float] = {}
        self.overflowed = False
        self.precision = ("", "")
        self.options = OptionUse((), None, ())
        self.probes = Probes()
        self.saves = Saves(())
        self.best: tuple[int | None, float | None] = (None, None)
        self.recorder: PhaseRecorder | None = None
        self.initial: dict[str, str] = {}
        self.plan = self._plan(thaws or {})

    def begin(self, base: Path | None, later: Sequence[Path] = ()) -> None:
        """Write plan and load ledger, and stop if they show that training is worthless.

        Args:
            base: Folder of the base's files, None if it is not known.
            later: Folders whose files replace the base's, such as a checkpoint.

        Raises:
            FaultError: The trainable set or the loaded weights are wrong.
        """
        _remove_old(self.paths)
        self.judge.base_folder = base
        write_json(self.paths.plan, self.plan)
        self._enter()
        self.initial = dict(self._current().hashes)
        if base is not None:
            trained = frozenset(t.name for t in self.plan.tensors if t.joins is not None)
            model = self.watched.model
            earlier = left_behind(model, self.initial)
            write_json(self.paths.load, load_report(model, base, later, trained, earlier))
        self._ask("trainable_set", "load_ledger")

    def _plan(self, thaws: Mapping[str, int]) -> ResolvedPlan:
        settings = self.settings
        wanted = expected_names(self.watched, settings.expect_trainable, settings.expect_frozen)
        now = {n for n, p in named_parameters(self.watched).items() if p.requires_grad}
        trained = wanted - (self.deferred - now)
        return plan_training(self.watched, self.optimizer, trained, self.schedule, thaws)

    def _enter(self) -> None:
        index = max((p.index for p in self.plan.phases if p.first_step <= self.step), default=0)
        self.recorder = PhaseRecorder(
            index, self.step, self.watched, self.optimizer, sleeping_modules(self.watched)
        )

    def _current(self) -> PhaseRecorder:
        if self.recorder is None:
            raise RuntimeError("no training has begun")
        return self.recorder

    def look(self) -> None:
        """Begin a phase of its own if other tensors are trainable than at the last look.

        Raises:
            FaultError: The new set is not in the optimizer, or not as planned.
        """
        recorder = self._current()
        flagged = {n for n, p in recorder.parameters.items() if p.requires_grad}
        planned = any(p.first_step == self.step > recorder.first_step for p in self.plan.phases)
        if flagged == set(recorder.start) and not planned:
            return
        joined = flagged - set(recorder.start)
        if recorder.counts.executed_steps:
            self.phases.append(as_it_was(recorder))
        if not planned and joined:
            if self.step > self.schedule.first_step:
                self.plan = with_thaw(self.plan, joined, self.step, self.optimizer, self.watched)
            else:  # another callback changed the model between the beginning and the first step
                self.plan = self._plan({})
            write_json(self.paths.plan, self.plan)
        message = f"{len(joined)} tensors joined, {len(flagged)} are trainable"
        self.changes.append(StateChange(self.step, self.epoch, message))
        logger.info("[TWO-PHASE] %s", message)
        self._enter()
        self._ask("trainable_set")

    def before_update(self, scaled: bool) -> None:
        """Note the gradients.

        Args:
            scaled: True if a gradient scaler looks after gradients that are not finite.

        Raises:
            FaultError: Loss or gradient is not finite; the weights are those before the step.
        """
        recorder = self._current()
        if recorder.counts.executed_steps == 0:  # now the modes are those of training
            recorder.eval_modules = sleeping_modules(self.watched)
        recorder.saw_gradients()
        self.rates = applied_rates(self.optimizer, self.plan)
        finite = finite_gradients(recorder)
        # A fused optimizer skips such a step inside of its kernel and reports nothing.
        self.overflowed = scaled and not finite
        if not math.isfinite(self.traffic.loss()) or not (scaled or finite):
            self.history.step(self.step + 1, None, self.rates, len(self.traffic.rows))
            self._ask("finite_loss")

    def after_update(self, skipped: bool = False) -> None:
        """Note a step with its rows and rates.

        Raises:
            FaultError: No gradient reaches a tensor that is to be trained.
        """
        message = trainers.SKIP if skipped else trainers.MOVED
        skipped = skipped or self.overflowed
        if skipped:
            self.changes.append(StateChange(self.step, self.epoch, message))
        else:
            rows = self.traffic.rows
            distinct = [int(row[:15], 16) for row in rows]
            self._current().took_step(distinct, rows, self.rates, self.epoch)
        self.step += 1
        loss = self.traffic.loss()
        if math.isfinite(loss):
            self.history.step(self.step, loss, self.rates, len(self.traffic.rows))
        self.traffic.clear()
        if not skipped and is_cut(self._current().counts):
            self._ask("first_gradient")

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        """Note the numbers of an evaluation."""
        self.history.evaluation(self.step, metrics)

    def changed(self) -> list[str]:
        """Return the tensors of the model that training has changed, as far as they are saved."""
        return changed_tensors(self.watched.model, self.initial)

    def saved(self, save: Save) -> None:
        """Note a folder that the trainer saved."""
        self.saves = replace(self.saves, items=(*self.saves.items, save))

    def close(self) -> None:
        """End the last phase: what the trainer does to the weights now is no training."""
        if self.recorder is not None:
            self.phases.append(as_it_was(self.recorder))
            self.recorder = None

    def finish(self, stopped: str = "") -> Findings:
        """Write everything, ask every check, write the report, and return the findings.

        Args:
            stopped: Why training ended before its planned end.
        """
        self.close()
        self.plan = with_never_thawed(
            self.plan, self.phases, self.deferred, self.settings.expect_trainable
        )
        self._write(stopped)
        remember(self.watched.model)
        return self.judge.everything(self.plan.method)

    def _write(self, stopped: str) -> None:
        for path, value in (
            (self.paths.plan, self.plan),
            (self.paths.ledger, self._ledger(self.phases, stopped)),
            (self.paths.supervision, self.traffic.count()),
            (self.paths.options, self.options),
            (self.paths.saves, self.saves),
            (self.paths.probes, self.probes),
        ):
            if value is not None:
                write_json(path, value)

    def _ledger(self, phases: Sequence[PhaseRecord], stopped: str) -> Ledger:
        return Ledger(
            phases=tuple(phases),
            changes=tuple(self.changes),
            tokens=self.traffic.tokens,
            padding=self.traffic.padding,
            precision_requested=self.precision[0],
            precision=self.precision[1],
            stopped_early=stopped,
            best_step=self.best[0],
            best_metric=self.best[1],
            resumed_at=(self.schedule.first_step,) if self.schedule.first_step else (),
            units=self.traffic.units,
            dtypes=number_formats(self.watched),
        )

    def _ask(self, *names: str) -> None:
        """Ask the checks of these names about what is known now; stop if the user wants it."""
        ledger = self._ledger([*self.phases, sketch(self._current())], _RUNNING)
        faults = self.judge.faults(names, self.plan, ledger)
        if not faults or self.settings.on_fault == "warn":
            return
        self.close()
        self._write(f"Graft stopped it: {faults[0].name}")
        # What else could be said of a training that was broken off would only hide the fault.
        self.judge.conclude(faults)
        raise FaultError(faults, str(self.paths.root))


def _remove_old(paths: RunPaths) -> None:
    own = (paths.load, paths.plan, paths.history, paths.ledger, paths.supervision, paths.probes)
    more = (paths.options, paths.saves, paths.audits, ExperimentPaths(paths.root).report)
    for path in (*own, *more):
        path.unlink(missing_ok=True)
