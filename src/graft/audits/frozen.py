"""Which tensors of a tuned model are still the base's: FROZEN or UPDATED, from two folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graft.audits.adapter_files import match_names
from graft.audits.folders.comparison import ComparedTensor, Movement, compare_tensor
from graft.audits.folders.places import Place, open_place
from graft.core.errors import InputError, ModelError, Problem
from graft.models.adapters import is_adapter
from graft.models.patterns import matches


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
    be compared with one that Sentence-Transformers wrote. One pair of tensors is held at a time.

    Args:
        base: Folder or weight file of the model before.
        tuned: Folder or weight file of the model after, adapters merged.

    Raises:
        ModelError: A folder holds no weights, an adapter or a damaged file, names are ambiguous,
            or the two have no tensor in common.
    """
    before, after = open_place(base), open_place(tuned)
    for place in (before, after):
        if any(is_adapter(name) for name in place.tensors):
            fix = "merge it into its base first, or ask graft diagnose"
            raise ModelError(
                "verify-frozen", [Problem(str(place.path), "holds a LoRA adapter", fix)]
            )
    return compare_places(before, after)


def compare_places(base: Place, tuned: Place) -> FrozenReport:
    """Return the same for two places that are open; tensors are read one pair at a time.

    Raises:
        ModelError: Names are ambiguous, or the two have no tensor in common.
    """
    before, after = base.tensors, tuned.tensors
    partners = match_names(list(before), list(after))
    if not partners:
        what = f"shares no tensor name with {base.path}"
        problem = Problem(str(tuned.path), what, "give two folders of the same model")
        raise ModelError("two models", [problem])
    compared, mismatched, converted = [], [], []
    for name, partner in partners.items():
        one, other = before[name], after[partner]
        if one.shape != other.shape:
            mismatched.append(f"{name}: {list(one.shape)} and {list(other.shape)}")
            continue
        if one.format != other.format:
            converted.append(f"{name}: {one.format} and {other.format}")
        compared.append(compare_tensor(name, partner, one.read(), other.read()))
    taken = set(partners.values())
    return FrozenReport(
        base=str(base.path),
        tuned=str(tuned.path),
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
