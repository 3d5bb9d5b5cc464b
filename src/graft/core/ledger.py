"""What training really did, tensor by tensor and step by step."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TensorRecord:
    """What happened to one parameter or buffer in one phase.

    Args:
        name: Dotted name in the model.
        kind: `parameter` or `buffer`.
        count: Number of elements.
        requires_grad: Its flag during the phase.
        in_optimizer: True if the optimizer held it (by identity, not by name).
        gradient: True if a finite gradient other than zero was seen; None if not expected.
        first_gradient: Norm of the gradient in the first step of the phase; None if there was
            none.
        relative_change: ‖after − before‖ / ‖before‖ over the phase (‖after‖ if before is zero).
        changed_share: Share of elements whose value changed, 0 to 1.
        nonzero_share: Share of elements other than zero at the end, 0 to 1.
        finite: True if every element is finite at the end.
        sha256_before: Hash at the start of the phase.
        sha256_after: Hash at the end of the phase.
    """

    name: str
    kind: str
    count: int
    requires_grad: bool
    in_optimizer: bool
    gradient: bool | None
    first_gradient: float | None
    relative_change: float
    changed_share: float
    nonzero_share: float
    finite: bool
    sha256_before: str
    sha256_after: str


@dataclass(frozen=True)
class FeatureRecord:
    """Outputs of the frozen beginning of a model that were computed once and stored.

    Args:
        prefix: What was computed, in words.
        texts: Different texts.
        bytes: Size of the file.
        number_format: `fp32` or `bf16`, of the pass and of the file.
        sha256: Hash of the stored values.
        seconds: Time that it took; no part of a comparison of two runs.
        gap: ‖stored - computed anew‖ / ‖computed anew‖ at the end of the phase, for a few texts: of
            the stored outputs, or of the embeddings made of them, whichever is larger.
    """

    prefix: str
    texts: int
    bytes: int
    number_format: str
    sha256: str
    seconds: float = field(compare=False)
    gap: float = 0.0


@dataclass(frozen=True)
class PhaseRecord:
    """What happened in one phase.

    Args:
        index: 0, 1, …
        first_step: First optimizer step of the phase.
        executed_steps: Optimizer steps that were really taken.
        rows: Rows that were seen, epochs added up.
        distinct_rows: Different rows that were seen.
        rows_sha256: Fingerprint of the rows in the order in which they were seen.
        epoch_orders: One fingerprint of the order per epoch.
        epoch_rows: Different rows that were seen in each epoch.
        eval_modules: Modules that ran in eval mode (frozen ones).
        awake: Modules whose tensors are all frozen and that ran in training mode all the same,
            seen at the first or the last step: their dropout was on, or their statistics drifted.
        applied_rates: For each group, the rate that the optimizer used at every executed step.
        optimizer_extra: Tensors in the optimizer that are no parameter of the model.
        tensors: Every parameter and buffer.
        features: What was stored of the frozen beginning, None if nothing was.
        features_problem: Why nothing was stored, empty if something was.
    """

    index: int
    first_step: int
    executed_steps: int
    rows: int
    distinct_rows: int
    rows_sha256: str
    epoch_orders: tuple[str, ...]
    eval_modules: tuple[str, ...]
    applied_rates: dict[str, tuple[float, ...]]
    optimizer_extra: int
    tensors: tuple[TensorRecord, ...]
    awake: tuple[str, ...] = ()
    epoch_rows: tuple[int, ...] = ()
    features: FeatureRecord | None = None
    features_problem: str = ""


@dataclass(frozen=True)
class StateChange:
    """A change of state on the way, such as a thaw; also logged with the tag `[TWO-PHASE]`."""

    step: int
    epoch: int
    message: str


@dataclass(frozen=True)
class Ledger:
    """Everything that happened to the weights of one arm.

    Args:
        phases: One record per phase, in order.
        changes: Changes of state.
        tokens: Tokens that went through the model in training, padding not counted.
        padding: Positions computed for padding.
        precision_requested: As the recipe says.
        precision: As it was.
        units: Units that the loss was a sum over (pairs, tokens with loss), epochs added up.
        dtypes: Number format to the parameters that were held in it.
        passed_over: Checkpoints that did not verify when training was taken up again.
        stopped_early: Reason for stopping before the planned end, empty if it did not.
        best_step: Step of the checkpoint that was kept, None if the last weights were.
        best_metric: Value of the selection metric there.
        compiled_parts: Parts of the model that were compiled for the steps.
        chosen_by: The selection metric, empty if the last weights were kept.
        resumed_at: Steps at which training was taken up again after an interruption.
    """

    phases: tuple[PhaseRecord, ...]
    changes: tuple[StateChange, ...]
    tokens: int
    padding: int
    precision_requested: str
    precision: str
    stopped_early: str = ""
    best_step: int | None = None
    best_metric: float | None = None
    resumed_at: tuple[int, ...] = ()
    units: int = 0
    dtypes: dict[str, int] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()
    chosen_by: str = ""
    compiled_parts: int = 0
