"""The recorder of the ledger: what happened to every tensor, seen from outside the loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graft.core.files import sha256_text
from graft.core.ledger import PhaseRecord, TensorRecord
from graft.models.tensors import sha256_tensor
from graft.train.clipping import gradient_norm, stored_values
from graft.train.modes import frozen_modules, is_awake, named_buffers, named_parameters
from graft.train.snapshot import Snapshot

Look = Callable[[str, Tensor, str, bool], TensorRecord]
_SLICE = 2**20  # elements compared at once


@dataclass
class PhaseCounts:
    """What is counted while a phase runs; goes into checkpoints as JSON."""

    executed_steps: int = 0
    rows: int = 0
    rows_sha256: str = ""
    orders: dict[str, str] = field(default_factory=dict)
    epoch_rows: dict[str, int] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)
    first_gradients: dict[str, float | None] = field(default_factory=dict)
    with_gradient: list[str] = field(default_factory=list)
    awake: list[str] = field(default_factory=list)


class PhaseRecorder:
    """Records one phase: snapshots at its start, gradients and rates on the way, changes after.

    Args:
        index: The phase.
        first_step: Its first step.
        model: The model.
        optimizer: The optimizer, whose tensors are compared by identity.
        eval_modules: Modules that run in eval mode.
        start: File with the values of tensors at the start of the phase; of those that are not
            in it, the current ones are copied.
    """

    def __init__(
        self,
        index: int,
        first_step: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        eval_modules: tuple[str, ...],
        start: Path | None = None,
    ) -> None:
        self.index, self.first_step = index, first_step
        self.model, self.optimizer, self.eval_modules = model, optimizer, eval_modules
        self.counts = PhaseCounts()
        self.distinct: set[int] = set()
        self.in_epoch: set[int] = set()
        self.parameters = named_parameters(model)
        trainable = {name: p for name, p in self.parameters.items() if p.requires_grad}
        self.start = Snapshot(trainable, start)
        self.hashes = {
            name: sha256_tensor(self.start.get(name, tensor))
            for name, tensor in {**self.parameters, **named_buffers(model)}.items()
        }

    def saw_gradients(self) -> None:
        """Note which trainable tensors have a gradient; to be called before every update."""
        if self.counts.executed_steps == 0:
            self._see_modes()
        seen = set(self.counts.with_gradient)
        for name in self.start:
            gradient = self.parameters[name].grad
            if self.counts.executed_steps == 0:
                norm = None if gradient is None else gradient_norm(gradient)
                self.counts.first_gradients[name] = norm
            if name not in seen and gradient is not None and _any(gradient):
                self.counts.with_gradient.append(name)

    def took_step(
        self, positions: Sequence[int], ids: Sequence[str], rates: Mapping[str, float], epoch: int
    ) -> None:
        """Note one executed step: its rows in order and the rates that the optimizer used."""
        counts = self.counts
        counts.executed_steps += 1
        counts.rows += len(ids)
        counts.rows_sha256 = sha256_text(counts.rows_sha256 + "\n".join(ids))
        key = str(epoch)
        if key not in counts.orders:
            self.in_epoch.clear()
        self.in_epoch.update(positions)
        counts.epoch_rows[key] = len(self.in_epoch)
        counts.orders[key] = sha256_text(counts.orders.get(key, "") + "\n".join(ids))
        self.distinct.update(positions)
        for name, rate in rates.items():
            counts.rates.setdefault(name, []).append(rate)

    def finish(self) -> PhaseRecord:
        """Return the record of the phase as it stands now."""
        self._see_modes()
        return self.phase_record(self._record)

    def phase_record(self, look: Look) -> PhaseRecord:
        """Return the record of the phase so far, each tensor as `look` records it.

        Args:
            look: Name, tensor, `parameter` or `buffer`, and whether the optimizer holds it, to
                its record.
        """
        held = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        known = {id(parameter) for parameter in self.parameters.values()}
        counts = self.counts
        records = [
            look(name, tensor, "parameter", id(tensor) in held)
            for name, tensor in self.parameters.items()
        ]
        records += [
            look(name, tensor, "buffer", False)
            for name, tensor in named_buffers(self.model).items()
        ]
        return PhaseRecord(
            index=self.index,
            first_step=self.first_step,
            executed_steps=counts.executed_steps,
            rows=counts.rows,
            distinct_rows=len(self.distinct),
            rows_sha256=counts.rows_sha256,
            epoch_orders=tuple(counts.orders.values()),
            epoch_rows=tuple(counts.epoch_rows.values()),
            eval_modules=self.eval_modules,
            applied_rates={name: tuple(rates) for name, rates in counts.rates.items()},
            optimizer_extra=len(held - known),
            tensors=tuple(records),
            awake=tuple(counts.awake),
        )

    def _record(self, name: str, tensor: Tensor, kind: str, in_optimizer: bool) -> TensorRecord:
        now = tensor.detach()
        before = self.start.get(name)
        trained = before is not None
        change = _change(before, now) if before is not None else (0.0, 0.0)
        after = sha256_tensor(now)
        if not trained and after != self.hashes[name]:
            change = (1.0, 1.0)  # a frozen tensor that moved: how far is not known, that it did is
        return TensorRecord(
            name=name,
            kind=kind,
            count=now.numel(),
            requires_grad=bool(tensor.requires_grad),
            in_optimizer=in_optimizer,
            gradient=name in self.counts.with_gradient if trained else None,
            first_gradient=self.counts.first_gradients.get(name),
            relative_change=change[0],
            changed_share=change[1],
            nonzero_share=int(now.count_nonzero()) / max(now.numel(), 1),
            finite=_finite(now),
            sha256_before=self.hashes[name],
            sha256_after=after,
        )

    def _see_modes(self) -> None:
        awake = (name for name, module in frozen_modules(self.model) if is_awake(module))
        self.counts.awake = sorted({*self.counts.awake, *awake})

    def state(self) -> dict[str, Any]:
        """Return the counts as plain data for a checkpoint."""
        seen = {"distinct": sorted(self.distinct), "in_epoch": sorted(self.in_epoch)}
        return {**vars(self.counts), **seen}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the counts of a checkpoint."""
        counts = dict(state)
        self.distinct = set(counts.pop("distinct"))
        self.in_epoch = set(counts.pop("in_epoch"))
        self.counts = PhaseCounts(**counts)


def _any(gradient: Tensor) -> bool:
    return bool(stored_values(gradient).any())


def _change(before: Tensor, now: Tensor) -> tuple[float, float]:
    """Return ‖now − before‖ / ‖before‖ and the share of changed elements, summed in float64."""
    moved = size = 0.0
    changed = 0
    for old, new in zip(_slices(before), _slices(now), strict=True):
        # The difference of near values is exact in float32; its norm needs the range of float64.
        moved += _norm(new.float() - old.float()) ** 2
        size += _norm(old.float()) ** 2
        changed += int((new != old).sum())
    share = changed / max(now.numel(), 1)
    return (math.sqrt(moved / size) if size > 0 else math.sqrt(moved)), share


def _finite(tensor: Tensor) -> bool:
    return all(bool(torch.isfinite(part).all()) for part in _slices(tensor))


def _slices(tensor: Tensor) -> tuple[Tensor, ...]:
    # Copies of a whole embedding table would be the peak memory of the run.
    return torch.split(tensor.flatten(), _SLICE)


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
