"""What training an arm would cost, extrapolated by tokens from a short trial of its real stages."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from graft.core.plan import PlannedPhase
from graft.core.roles import Split
from graft.evaluate.predictions import predict, rows_to_predict
from graft.models.precision import resolve_precision
from graft.models.threads import suitable_threads
from graft.runs.arms import PreparedArm, prepare_arm
from graft.runs.experiment import Experiment
from graft.runs.resources import ResourceMeter
from graft.runs.token_budget import memory_need
from graft.runs.trial import Trial, run_trial
from graft.tasks.protocol import Example, Task
from graft.train.modes import named_parameters
from graft.train.planning import due

MOMENTS = 2  # AdamW's, per trainable element
_PREDICTED = 32  # rows whose prediction is timed


@dataclass(frozen=True)
class Estimate:
    """An estimate, not a promise: other processes are not in it, and training may stop early.

    Args:
        seconds: Wall time of the arm, from loading the base to the saved artefact; what
            `cost.json` calls `train_seconds`.
        step_seconds: Of it, all optimizer steps.
        evaluation_seconds: Of it, evaluations and checkpoints; every evaluation is taken to be
            the best yet.
        frozen_seconds: Of it, what is computed once of frozen layers.
        memory_bytes: Largest resident size of the process.
        measured_steps: Steps of the trial, at a rate of 0.
        weight_bytes: All parameters.
        gradient_bytes: Gradients of the trainable parameters.
        optimizer_bytes: AdamW's two moments of the trainable parameters.
        activation_bytes: What the largest micro-batch holds.
        precision: Number format of the forward pass.
        threads: Threads that would compute.
        max_tokens_per_micro_batch: The largest micro-batch that is safe in the memory that is
            free; None for a loss that does not allow a limit in tokens.
        fits: True if the micro-batches of the recipe, by rows, are no larger.
        free_bytes: The memory that is free beside the process and its model.
    """

    seconds: float
    step_seconds: float
    evaluation_seconds: float
    frozen_seconds: float
    memory_bytes: int
    measured_steps: int
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    precision: str
    threads: int
    max_tokens_per_micro_batch: int | None
    fits: bool
    free_bytes: int


def estimated_arm(
    experiment: Experiment, name: str, rows: pd.DataFrame
) -> tuple[PreparedArm, Estimate]:
    """Return the arm, ready to train, and what training it would cost.

    Args:
        experiment: The experiment; its run folder is not touched.
        name: The arm.
        rows: All rows with their splits.

    Raises:
        InputError: The plan or the base model is wrong.
        GraftError: Training would fail at its first steps, and says why.
    """
    task = experiment.task
    with ResourceMeter() as meter:
        prepared = prepare_arm(experiment, name, rows)
        loaded = time.perf_counter()
        model, arm, plan = prepared.model, prepared.arm, prepared.plan
        need = memory_need(task, model, arm, plan, prepared.examples)
        with suitable_threads(model, prepared.tokens_at_once) as threads:
            rate = _prediction_rate(task, prepared)
            measuring = time.perf_counter() - loaded
            trial = run_trial(experiment, prepared, rows)
    parts = _parts(experiment, prepared, rows, trial, rate)
    parameters = named_parameters(model)
    own = sum(parameters[t.name].nbytes for t in plan.tensors if t.joins is not None)
    largest = min(need.largest_tokens, prepared.limit.tokens or need.largest_tokens)
    return prepared, Estimate(
        seconds=sum(parts.values()) + meter.seconds - measuring - trial.seconds,
        step_seconds=parts["steps"],
        evaluation_seconds=parts["evaluations"] + parts["checkpoints"],
        frozen_seconds=parts["frozen"],
        memory_bytes=meter.peak_memory_bytes,
        measured_steps=len(trial.of("step")),
        weight_bytes=sum(parameter.nbytes for parameter in parameters.values()),
        gradient_bytes=own,
        optimizer_bytes=MOMENTS * own,
        activation_bytes=int(need.bytes_per_token * largest),
        precision=resolve_precision(arm.training.precision),
        threads=threads,
        max_tokens_per_micro_batch=need.max_tokens if task.rowwise(arm) else None,
        fits=need.fits,
        free_bytes=need.free_bytes,
    )


def _prediction_rate(task: Task, prepared: PreparedArm) -> float:
    """Return the seconds per token of prediction, the best of three."""
    few = prepared.examples[:_PREDICTED]
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        predict(task, prepared.model, few, len(few))
        seconds.append(time.perf_counter() - started)
    return min(seconds) / _tokens(task, few)


def _parts(
    experiment: Experiment,
    prepared: PreparedArm,
    rows: pd.DataFrame,
    trial: Trial,
    rate: float,
) -> dict[str, float]:
    """Return the seconds of every part of the real run after the arm is prepared."""
    plan, training = prepared.plan, prepared.arm.training
    tokens = _tokens(experiment.task, prepared.examples)
    more = tokens / _tokens(experiment.task, trial.examples)
    per_row = rate * tokens / len(prepared.examples)
    held_out = int((rows["split"] == Split.validation).sum())
    in_trial = int((trial.rows["split"] == Split.validation).sum())
    steps = range(1, plan.total_steps + 1)
    evaluated = {
        step
        for step in steps
        if held_out and due(plan, step, training.eval_strategy, training.eval_steps)
    }
    saved = {s for s in steps if due(plan, s, training.save_strategy, training.save_steps)}
    if training.load_best_model_at_end:
        saved |= evaluated
    frozen = sum(phase.features.seconds for phase in trial.ledger.phases if phase.features)
    to_predict = len(rows_to_predict(rows)) - len(rows_to_predict(trial.rows))
    return {
        "steps": sum(
            _step_seconds(trial, phase) * more * real.steps / plan.steps_per_epoch
            for phase, real in zip(trial.plan.phases, plan.phases, strict=True)
        ),
        "evaluations": len(evaluated)
        * (_mean(trial.seconds_of("evaluation")) + per_row * (held_out - in_trial)),
        "checkpoints": len(saved) * _mean(trial.seconds_of("checkpoint")),
        "frozen": frozen * more,
        "prediction": per_row * to_predict,
        "rest": trial.seconds
        - frozen
        - sum(sum(trial.seconds_of(kind)) for kind in ("step", "evaluation", "checkpoint")),
    }


def _step_seconds(trial: Trial, phase: PlannedPhase) -> float:
    """Return the seconds of one epoch of the trial in a phase, by tokens.

    The median of the seconds per token: another process that takes the processor for a moment does
    not count, nor does the first step, which looks at every tensor.
    """
    taken = trial.of("step")[phase.first_step : phase.first_step + phase.steps]
    per_token: float = statistics.median(
        record["seconds"] / record["tokens"] for record in taken[1:] or taken
    )
    tokens: int = sum(record["tokens"] for record in taken)
    return per_token * tokens * trial.plan.steps_per_epoch / phase.steps


def _tokens(task: Task, examples: Sequence[Example]) -> int:
    return sum(map(task.tokens, examples))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
