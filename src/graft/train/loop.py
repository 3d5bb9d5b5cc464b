"""The one loop: every task, every arm, every phase."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graft.config.sections import ArmSection
from graft.core.errors import NonFiniteError, OutOfMemoryError
from graft.core.files import append_jsonl, committed_folder, read_jsonl, write_text
from graft.core.free_memory import FreeMemory
from graft.core.jsonable import from_plain, to_plain
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger, PhaseRecord, StateChange
from graft.core.plan import PlannedPhase, ResolvedPlan
from graft.core.seeds import derive, generator
from graft.models.compiled import CompiledParts, compiles
from graft.models.dropout import quick_dropout
from graft.models.freeze import FROZEN, UNUSED
from graft.models.precision import resolve_precision
from graft.tasks.protocol import Example, TrainingTask
from graft.train import checkpoint as checkpoints
from graft.train.frozen import FrozenFeatures
from graft.train.micro_batches import MicroBatchLimit, limit_of
from graft.train.modes import enter_phase, named_buffers, named_parameters
from graft.train.optimizer import applied_rates, build_optimizer, join_phase, set_rates
from graft.train.planning import due
from graft.train.precision import number_formats
from graft.train.progress import progress_bar
from graft.train.recorder import PhaseRecorder
from graft.train.rowwise import rowwise_gradients
from graft.train.selection import Selection
from graft.train.snapshot import TensorFile, write_tensors
from graft.train.step import StepResult, accumulate

logger = logging.getLogger(__name__)
Validate = Callable[[nn.Module], Mapping[str, float | None]]


@dataclass(frozen=True)
class TrainingJob:
    """All that the loop needs.

    Args:
        task: The kind of task.
        model: The model, adapter or head attached; trained in place.
        arm: The arm.
        plan: Its resolved plan.
        examples: Training examples; each has a `row` id.
        validate: Returns the validation metrics of the model as it is; None without validation.
        selection: The search for the best checkpoint.
        paths: The run's folder.
        seed: The experiment's seed.
        limit: Largest micro-batch; that of the arm if left out.
        held_out: The rows that `validate` looks at.
    """

    task: TrainingTask
    model: nn.Module
    arm: ArmSection
    plan: ResolvedPlan
    examples: Sequence[Example]
    validate: Validate | None
    selection: Selection
    paths: RunPaths
    seed: int
    limit: MicroBatchLimit | None = None
    held_out: Sequence[Example] = ()


def train(job: TrainingJob) -> Ledger:
    """Train the job's model in place and return what happened.

    A job that was interrupted is taken up at its newest checkpoint that verifies, and ends with
    the weights of an uninterrupted run, bit for bit.

    Raises:
        NonFiniteError: The loss or a gradient is not finite; the weights are those before.
        OutOfMemoryError: A micro-batch that cannot be divided does not fit into memory.
    """
    return _Loop(job).run()


class _Loop:
    def __init__(self, job: TrainingJob) -> None:
        self.job, self.plan, self.model = job, job.plan, job.model
        self.parameters = named_parameters(job.model)
        self.precision = resolve_precision(job.arm.training.precision)
        self.optimizer = build_optimizer(job.arm.training, job.plan, self.parameters)
        self.recorder: PhaseRecorder | None = None
        self.phases: list[PhaseRecord] = []
        self.changes: list[StateChange] = []
        self.resumed_at: list[int] = []
        self.tokens = self.padding = self.units = 0
        self.passed_over: tuple[str, ...] = ()
        self.stopped_early = ""
        self.features = FrozenFeatures(
            job.task, job.model, job.arm.training, job.paths.checkpoints / "frozen", self.precision
        )
        tokens = sum(map(job.task.tokens, job.examples)) * job.arm.training.num_train_epochs
        self.compiled = CompiledParts(
            job.model, compiles(job.arm.training.torch_compile, job.model, tokens)
        )
        self.limit = job.limit or limit_of(job.arm.training)
        self.free_memory = FreeMemory()
        self.order = lru_cache(maxsize=1)(self._order)

    def run(self) -> Ledger:
        """Run every step that is left."""
        first = self._resume()
        total = self.plan.total_steps
        with (
            rowwise_gradients(self.model, self.plan),
            self.compiled.waiting(),
            # What is compiled has a dropout of its own.
            nullcontext() if self.compiled.parts else quick_dropout(self.model),
            progress_bar(f"train {self.job.paths.name}", total, first) as report,
        ):
            for step in range(first, total):
                if self.stopped_early:
                    break
                if (phase := self._phase_from(step)) is not None:
                    self._enter(phase)
                result = self._take(step)
                report(step + 1, f"loss {result.loss:.4f}")
                self._evaluate_and_save(step + 1)
        self.optimizer.state.clear()  # no step follows, and the record needs memory
        self.free_memory.release(now=True)
        self._leave_phase()
        self._restore_best()
        return self._ledger()

    def _resume(self) -> int:
        torch.manual_seed(derive(self.job.seed, "dropout"))
        found, self.passed_over = checkpoints.newest_checkpoint(self.job.paths.checkpoints)
        history = read_jsonl(self.job.paths.history)
        if found is None:
            write_text(self.job.paths.history, "")
            return 0
        kept = [record for record in history if record["step"] <= found.step]
        write_text(self.job.paths.history, "")
        for record in kept:
            append_jsonl(self.job.paths.history, record)
        self._take_up(found)
        logger.info("%s: taken up after step %d", self.job.paths.name, found.step)
        return found.step

    def _take_up(self, found: checkpoints.Checkpoint) -> None:
        state = found.state
        phase = self.plan.phases[state["phase"]]
        for index in range(1, phase.index + 1):
            join_phase(self.optimizer, self.plan, index, self.parameters)
        frozen = enter_phase(self.model, self.plan, phase.index, self.parameters)
        start = self._phase_file(phase.index)
        self.recorder = PhaseRecorder(
            phase.index, phase.first_step, self.model, self.optimizer, frozen, start
        )
        self.recorder.restore(state["recorder"])
        self.phases = [from_plain(PhaseRecord, record) for record in state["phases"]]
        self.changes = [from_plain(StateChange, change) for change in state["changes"]]
        self.tokens, self.padding = state["tokens"], state["padding"]
        self.units = state["units"]
        self.limit = from_plain(MicroBatchLimit, state["limit"])
        self.resumed_at = [*state["resumed_at"], found.step]
        self.job.selection.restore(state["selection"])
        self._stop_if_exhausted(found.step)
        checkpoints.restore_weights(found, {**self.parameters, **named_buffers(self.model)})
        checkpoints.restore_optimizer(found, self.optimizer, self.parameters)
        self.features.enter(self.plan, phase, self.job.examples, self.job.held_out)

    def _phase_from(self, step: int) -> PlannedPhase | None:
        return next((phase for phase in self.plan.phases if phase.first_step == step), None)

    def _enter(self, phase: PlannedPhase) -> None:
        self._leave_phase()
        if phase.index:
            join_phase(self.optimizer, self.plan, phase.index, self.parameters)
        start = self._phase_file(phase.index)
        with committed_folder(start.parent) as folder:
            trained = self.plan.trainable_in(phase.index)
            write_tensors(folder / start.name, {name: self.parameters[name] for name in trained})
        self._note_change(phase)
        frozen = enter_phase(self.model, self.plan, phase.index, self.parameters)
        self.recorder = PhaseRecorder(
            phase.index, phase.first_step, self.model, self.optimizer, frozen, start
        )
        self.features.enter(self.plan, phase, self.job.examples, self.job.held_out)

    def _note_change(self, phase: PlannedPhase) -> None:
        # By the plan, not by the recipe: what only a note reads would count as read.
        named = [g for g in self.plan.groups if g.name not in (FROZEN, UNUSED)]
        never = ", ".join(group.name for group in named if group.unfreeze_after == 0)
        if not never and len(self.plan.phases) == 1:
            return
        before = set(self.plan.phases[phase.index - 1].groups) if phase.index else set()
        joined = [group for group in phase.groups if group not in before]
        damped = f"; running rates × {self.job.arm.training.unfreeze_lr_factor}" if before else ""
        message = (
            f"phase {phase.index} from epoch {phase.first_epoch}: {', '.join(joined)} trainable, "
            f"{phase.trainable:,} parameters in all{damped}"
        ) + (f"; {never} frozen for the whole run" if never else "")
        self.changes.append(StateChange(phase.first_step, phase.first_epoch, message))
        logger.info("[TWO-PHASE] %s: %s", self.job.paths.name, message)

    def _take(self, step: int) -> StepResult:
        started = time.perf_counter()
        recorder = self._recorder()
        epoch, within = divmod(step, self.plan.steps_per_epoch)
        training = self.job.arm.training
        size = training.per_device_train_batch_size * training.gradient_accumulation_steps
        positions = self.order(epoch)[within * size : (within + 1) * size]
        examples = [self.job.examples[position] for position in positions]
        set_rates(self.optimizer, self.plan, step)
        try:
            with self.features.on_rows(), self.compiled.in_step():
                result = accumulate(
                    self.job.task,
                    self.model,
                    self.job.arm,
                    examples,
                    self.features.in_pass,
                    self.limit,
                )
        except NonFiniteError as error:
            rows = ", ".join(example.row for example in examples)
            raise NonFiniteError(
                f"{self._place(step)}: {error}; the weights were not updated. "
                f"Rows of the batch: {rows}. Fix: lower the learning rate, or look at these rows."
            ) from None
        except OutOfMemoryError as error:
            raise OutOfMemoryError(f"{self._place(step)}: {error}.") from None
        self._note_limit(step, result)
        recorder.saw_gradients()
        self.optimizer.step()
        rates = applied_rates(self.optimizer)
        self.optimizer.zero_grad(set_to_none=True)
        self.free_memory.release()
        recorder.took_step(positions, [example.row for example in examples], rates, epoch)
        self.tokens += result.tokens
        self.padding += result.padding
        self.units += result.units
        self._log(step + 1, result, rates, len(examples), time.perf_counter() - started)
        return result

    def _place(self, step: int) -> str:
        epoch = step // self.plan.steps_per_epoch
        return f"{self.job.paths.name}, step {step + 1}, epoch {epoch + 1}"

    def _note_limit(self, step: int, result: StepResult) -> None:
        """Keep a smaller limit of micro-batches for all later steps, and say so."""
        if result.limit is None or result.limit == self.limit:
            return
        message = (
            f"out of memory with micro-batches of at most {self.limit}, at most {result.limit} "
            "from here; the rows of a step stay the same"
        )
        self.limit = result.limit
        self.changes.append(StateChange(step, step // self.plan.steps_per_epoch, message))
        logger.warning("%s: %s", self._place(step), message)

    def _log(
        self, step: int, result: StepResult, rates: dict[str, float], rows: int, seconds: float
    ) -> None:
        record = {
            "kind": "step",
            "step": step,
            "epoch": step / self.plan.steps_per_epoch,
            "loss": result.loss,
            "grad_norm": result.grad_norm,
            "rates": rates,
            "rows": rows,
            "tokens": result.tokens,
            "micro_batches": result.micro_batches,
            "largest_micro_batch": result.largest,
            "seconds": seconds,
        }
        append_jsonl(self.job.paths.history, record)

    def _order(self, epoch: int) -> list[int]:
        shuffled = generator(self.job.seed, "order", epoch).permutation(len(self.job.examples))
        return [int(position) for position in shuffled]

    def _evaluate_and_save(self, step: int) -> None:
        training = self.job.arm.training
        best = False
        if self.job.validate and due(self.plan, step, training.eval_strategy, training.eval_steps):
            best = self._evaluate(step, self.job.validate)
        keep_best = best and training.load_best_model_at_end
        if keep_best or due(self.plan, step, training.save_strategy, training.save_steps):
            self._save(step)

    def _evaluate(self, step: int, validate: Validate) -> bool:
        started = time.perf_counter()
        self.model.eval()
        with self.features.on_held_out():
            metrics = validate(self.model)
        enter_phase(self.model, self.plan, self._recorder().index, self.parameters)
        best = self.job.selection.offer(step, metrics)
        record = {
            "kind": "evaluation",
            "step": step,
            "epoch": step / self.plan.steps_per_epoch,
            "metrics": dict(metrics),
            "best": best,
            "seconds": time.perf_counter() - started,
        }
        append_jsonl(self.job.paths.history, record)
        self._stop_if_exhausted(step)
        return best

    def _stop_if_exhausted(self, step: int) -> None:
        search = self.job.selection
        if search.exhausted and step < self.plan.total_steps:
            best = "none" if search.best is None else f"{search.best:.4f}"
            self.stopped_early = (
                f"no better {search.metric} in {search.misses} evaluations (best {best} "
                f"at step {search.best_step})"
            )

    def _save(self, step: int) -> None:
        started = time.perf_counter()
        recorder = self._recorder()
        trained = {name: self.parameters[name] for name in self.plan.trainable_in(recorder.index)}
        state: dict[str, Any] = {
            "phase": recorder.index,
            "recorder": recorder.state(),
            "phases": to_plain(self.phases),
            "changes": to_plain(self.changes),
            "tokens": self.tokens,
            "padding": self.padding,
            "units": self.units,
            "limit": to_plain(self.limit),
            "resumed_at": self.resumed_at,
            "selection": self.job.selection.state(),
        }
        folder = self.job.paths.checkpoints
        tensors: dict[str, Tensor] = {**trained, **named_buffers(self.model)}
        checkpoints.save_checkpoint(
            folder / f"step-{step}", tensors, self.optimizer, self.parameters, state
        )
        limit = self.job.arm.training.save_total_limit
        checkpoints.prune_checkpoints(folder, limit, self.job.selection.best_step)
        record = {"kind": "checkpoint", "step": step, "seconds": time.perf_counter() - started}
        append_jsonl(self.job.paths.history, record)

    def _leave_phase(self) -> None:
        if self.recorder is not None:
            self.phases.append(self.features.noted(self.recorder.finish()))
            self.features.leave()
            self.recorder = None

    def _restore_best(self) -> None:
        best = self.job.selection.best_step
        if self.job.arm.training.load_best_model_at_end and best is not None:
            tensors = {**self.parameters, **named_buffers(self.model)}
            found = checkpoints.read_checkpoint(self.job.paths.checkpoints / f"step-{best}")
            next_phase = found.state["phase"] + 1
            if next_phase < len(self.phases):
                # Tensors that thawed after the best step go back to what they were before.
                checkpoints.copy_into(tensors, TensorFile(self._phase_file(next_phase)))
            checkpoints.restore_weights(found, tensors)
        self.model.eval()

    def _ledger(self) -> Ledger:
        kept = self.job.selection if self.job.arm.training.load_best_model_at_end else None
        return Ledger(
            phases=tuple(self.phases),
            changes=tuple(self.changes),
            tokens=self.tokens,
            padding=self.padding,
            precision_requested=self.job.arm.training.precision,
            precision=self.precision,
            stopped_early=self.stopped_early,
            best_step=kept.best_step if kept else None,
            best_metric=kept.best if kept else None,
            chosen_by=kept.metric if kept else "",
            resumed_at=tuple(self.resumed_at),
            units=self.units,
            dtypes=number_formats(self.model),
            passed_over=self.passed_over,
            compiled_parts=len(self.compiled.parts),
        )

    def _recorder(self) -> PhaseRecorder:
        if self.recorder is None:
            raise RuntimeError("no phase has been entered")
        return self.recorder

    def _phase_file(self, phase: int) -> Path:
        return self.job.paths.checkpoints / f"phase-{phase}" / "start.safetensors"
