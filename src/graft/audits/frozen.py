"""Which tensors of a tuned model are still the base's: FROZEN or UPDATED, from two folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from graft.audits.adapter_files import match_names
from graft.core.errors import InputError, ModelError, Problem
from graft.models.adapters import is_adapter
from graft.models.patterns import matches
from graft.models.tensors import read_tensors


class Movement(StrEnum):
    """Whether a tensor still holds the base's values, bit for bit."""

    frozen = "FROZEN"
    updated = "UPDATED"


@dataclass(frozen=True)
class ComparedTensor:
    """One tensor that both folders hold.

    Args:
        name: Its name in the base, with dots only.
        tuned_name: Its name in the tuned folder.
        shape: Its shape.
        movement: The answer.
        changed_share: Share of elements that differ, 0 to 1.
        relative_change: ‖tuned − base‖ / ‖base‖ (‖tuned‖ if the base is zero).
    """

    name: str
    tuned_name: str
    shape: tuple[int, ...]
    movement: Movement
    changed_share: float
    relative_change: float

    @property
    def module(self) -> str:
        """Name of the module that holds it."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class ComparedModule:
    """A module and its own tensors; UPDATED if any of them is."""

    name: str
    movement: Movement
    updated: int
    tensors: int


@dataclass(frozen=True)
class FrozenReport:
    """Two folders, tensor by tensor.

    Args:
        base: Folder of the base.
        tuned: Folder of the tuned model.
        tensors: Every tensor that both hold with one shape.
        modules: The same by module.
        missing: Tensors of the base that the tuned folder lacks.
        new: Tensors of the tuned folder that the base lacks.
        mismatched: Tensors whose shapes differ, with both.
        converted: Tensors saved in another number format; compared in that of the tuned folder.
    """

    base: str
    tuned: str
    tensors: tuple[ComparedTensor, ...]
    modules: tuple[ComparedModule, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]
    mismatched: tuple[str, ...]
    converted: tuple[str, ...]

    @property
    def updated(self) -> int:
        """Number of tensors that differ from the base."""
        return sum(tensor.movement == Movement.updated for tensor in self.tensors)

    @property
    def frozen(self) -> int:
        """Number of tensors that equal the base's."""
        return len(self.tensors) - self.updated


def compare_folders(base: Path, tuned: Path) -> FrozenReport:
    """Return which tensors of `tuned` still are those of `base`.

    Names are matched by their longest common dotted suffix, so a plain Transformers folder can
    be compared with one that Sentence-Transformers wrote. Both models are held in memory.

    Args:
        base: Folder (or .safetensors file) of the model before.
        tuned: Folder (or file) of the model after, adapters merged.

    Raises:
        ModelError: A folder holds no weights, an adapter or a damaged file, names are ambiguous,
            or the two have no tensor in common.
    """
    before, after = _tensors(base), _tensors(tuned)
    for place, content in ((base, before), (tuned, after)):
        if any(is_adapter(name) for name in content):
            problem = Problem(str(place), "holds a LoRA adapter", "merge it into its base first")
            raise ModelError("verify-frozen", [problem])
    partners = match_names(list(before), list(after))
    if not partners:
        what = f"shares no tensor name with {base}"
        problem = Problem(str(tuned), what, "give two folders of the same model")
        raise ModelError("verify-frozen", [problem])
    compared, mismatched, converted = [], [], []
    for name, partner in partners.items():
        one, other = before[name], after[partner]
        if one.shape != other.shape:
            mismatched.append(f"{name}: {list(one.shape)} and {list(other.shape)}")
            continue
        if one.dtype != other.dtype:
            converted.append(f"{name}: {_format(one)} and {_format(other)}")
        compared.append(_compare(name, partner, one.to(other.dtype), other))
    taken = set(partners.values())
    return FrozenReport(
        base=str(base),
        tuned=str(tuned),
        tensors=tuple(compared),
        modules=_modules(compared),
        missing=tuple(name for name in before if name not in partners),
        new=tuple(name for name in after if name not in taken),
        mismatched=tuple(mismatched),
        converted=tuple(converted),
    )


def violations(
    report: FrozenReport, frozen: Sequence[str] = (), updated: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return what the report has otherwise than expected, one sentence a tensor.

    Args:
        report: The comparison.
        frozen: Patterns of tensors that must be FROZEN.
        updated: Patterns of tensors that must be UPDATED.

    Raises:
        InputError: A pattern matches no compared tensor, so it could not fail.
    """
    wanted = [(pattern, Movement.frozen) for pattern in frozen]
    wanted += [(pattern, Movement.updated) for pattern in updated]
    found, problems = [], []
    for pattern, movement in wanted:
        here = [tensor for tensor in report.tensors if _named(pattern, tensor)]
        if not here:
            fix = f"names look like {report.tensors[0].name}" if report.tensors else "compare more"
            where = f"--expect-{movement.lower()} {pattern}"
            problems.append(Problem(where, "matches no tensor that both folders hold", fix))
        found += [
            f"{tensor.name} is {tensor.movement}, expected {movement} ({pattern})"
            for tensor in here
            if tensor.movement != movement
        ]
    if problems:
        raise InputError("verify-frozen", problems)
    return tuple(found)


def _named(pattern: str, tensor: ComparedTensor) -> bool:
    return matches(pattern, tensor.name) or matches(pattern, tensor.tuned_name)


def _tensors(place: Path) -> Mapping[str, torch.Tensor]:
    if not place.exists():
        problem = Problem(str(place), "does not exist", "give the folder of a saved model")
        raise ModelError("verify-frozen", [problem])
    if place.is_dir():
        return {name.replace("/", "."): t for name, t in read_tensors(place).items()}
    try:
        return dict(load_file(place))
    except (SafetensorError, OSError) as error:
        what = f"cannot be read as safetensors: {str(error)[:200]}"
        problem = Problem(str(place), what, "copy the file again, or give a folder")
        raise ModelError("verify-frozen", [problem]) from None


def _compare(name: str, partner: str, one: torch.Tensor, other: torch.Tensor) -> ComparedTensor:
    # Two NaN in one place are the same value; torch.equal says otherwise.
    same = (one == other) | ((one != one) & (other != other))  # noqa: PLR0124
    count = max(one.numel(), 1)
    changed = int((~same).sum())
    before, after = one.double(), other.double()
    norm = float(before.norm())
    return ComparedTensor(
        name=name,
        tuned_name=partner,
        shape=tuple(one.shape),
        movement=Movement.updated if changed else Movement.frozen,
        changed_share=changed / count,
        relative_change=_finite(
            float((after - before).norm()) / norm if norm else float(after.norm())
        ),
    )


def _finite(value: float) -> float:
    """Return the value; a change to NaN or infinity as the largest number there is."""
    return value if value < float("inf") else torch.finfo(torch.float64).max


def _format(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _modules(tensors: Sequence[ComparedTensor]) -> tuple[ComparedModule, ...]:
    grouped: dict[str, list[ComparedTensor]] = {}
    for tensor in tensors:
        grouped.setdefault(tensor.module, []).append(tensor)
    modules = []
    for name, own in grouped.items():
        updated = sum(tensor.movement == Movement.updated for tensor in own)
        movement = Movement.updated if updated else Movement.frozen
        modules.append(ComparedModule(name, movement, updated, len(own)))
    return tuple(modules)
