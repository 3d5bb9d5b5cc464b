"""Who is trained, from when, at which rate: the freeze plan of an arm over a real model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from graft.config.sections import ArmSection
from graft.core.errors import Problem, RecipeError
from graft.core.plan import PlannedGroup, PlannedTensor
from graft.models.adapters import is_adapter
from graft.models.layer_rates import layer_parts, shares
from graft.models.patterns import matching

FROZEN, UNUSED = "frozen", "unused"


@dataclass(frozen=True)
class GroupAssignment:
    """Every parameter with its group.

    Args:
        tensors: Every parameter; `joins` holds the phase in which it becomes trainable.
        groups: The groups, those that are frozen for the whole run included.
        tied: Sets of names that share one tensor.
        thaws: Epochs after which a phase ends, in order.
    """

    tensors: tuple[PlannedTensor, ...]
    groups: tuple[PlannedGroup, ...]
    tied: tuple[tuple[str, ...], ...]
    thaws: tuple[int, ...]


def assign_groups(
    arm: ArmSection,
    parameters: Mapping[str, nn.Parameter],
    tied: tuple[tuple[str, ...], ...],
    head: frozenset[str],
    unused: frozenset[str],
) -> GroupAssignment:
    """Return the group and the time of thaw of every parameter.

    With `lr_decay` below 1 a group falls into parts with rates of their own, named after their
    layers: `layer.5`, or `top.layer.5` in the group `top`. The head does not decay.

    Args:
        arm: The arm, with its freeze groups.
        parameters: Every parameter once, by its name.
        tied: Sets of names that share one tensor.
        head: Names of the parameters of a new head.
        unused: Names of parameters that the forward pass never reads; they stay frozen.

    Raises:
        RecipeError: A pattern that matches nothing, a tensor in two groups, tied tensors in
            different groups, a thaw after the last epoch, or nothing left to train.
    """
    owners = _owners(arm, parameters)
    problems = _problems(arm, owners, tied, parameters, head)
    if problems:
        raise RecipeError("freeze plan", problems)
    whole = {
        name: owners[name][0] if owners[name] else _default_group(arm, name, head, unused)
        for name in parameters
    }
    group_of, groups = _parted(arm, whole, _groups(arm, set(whole.values())), head)
    thaws = tuple(sorted({group.unfreeze_after for group in groups if group.unfreeze_after > 0}))
    after = {group.name: group.unfreeze_after for group in groups}
    tensors = tuple(
        PlannedTensor(
            name=name,
            shape=tuple(parameter.shape),
            count=parameter.numel(),
            group=group_of[name],
            joins=_joins(after[group_of[name]], thaws),
        )
        for name, parameter in parameters.items()
    )
    if not any(tensor.joins == 0 for tensor in tensors):
        what = "nothing is trainable in the first epoch"
        fix = "give one group unfreeze_after: -1, or choose another method"
        raise RecipeError("freeze plan", [Problem("freeze", what, fix)])
    return GroupAssignment(tensors, groups, tied, thaws)


def _joins(unfreeze_after: int, thaws: tuple[int, ...]) -> int | None:
    if unfreeze_after == 0:
        return None
    return 0 if unfreeze_after < 0 else thaws.index(unfreeze_after) + 1


def _owners(arm: ArmSection, parameters: Mapping[str, nn.Parameter]) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(group.name for group in arm.freeze if matching(group.patterns, name))
        for name in parameters
    }


def _problems(
    arm: ArmSection,
    owners: Mapping[str, tuple[str, ...]],
    tied: tuple[tuple[str, ...], ...],
    parameters: Mapping[str, nn.Parameter],
    head: frozenset[str],
) -> list[Problem]:
    problems = []
    for group in arm.freeze:
        where = f"freeze.{group.name}"
        for pattern in group.patterns:
            if not any(matching((pattern,), name) for name in parameters):
                what = f"pattern '{pattern}' matches no tensor of the model"
                problems.append(Problem(where, what, f"names look like {next(iter(parameters))}"))
        epochs = arm.training.num_train_epochs
        if group.unfreeze_after >= epochs:
            what = f"unfreeze_after is {group.unfreeze_after}, but there are {epochs} epochs"
            fix = f"choose at most {epochs - 1}, or 0 to keep it frozen"
            problems.append(Problem(where, what + ": it would never thaw", fix))
    for name, groups in owners.items():
        if len(groups) > 1:
            what = f"tensor {name} is in the groups {list(groups)}"
            problems.append(Problem("freeze", what, "make the patterns disjoint"))
        if groups and arm.method == "lora" and not is_adapter(name) and name not in head:
            what = f"group '{groups[0]}' names {name}, which a LoRA arm keeps frozen"
            fix = "name adapter tensors only, or use method: full"
            problems.append(Problem(f"freeze.{groups[0]}", what, fix))
    for names in tied:
        together = {owners.get(name, ()) for name in names}
        if len(together) > 1:
            what = f"the tied tensors {list(names)} are in different groups"
            problems.append(Problem("freeze", what, "name them together"))
    return problems


def _default_group(arm: ArmSection, name: str, head: frozenset[str], unused: frozenset[str]) -> str:
    if name in unused:
        return UNUSED
    if is_adapter(name):
        return "adapter"
    if name in head:
        return "head"
    return "base" if arm.method == "full" else FROZEN


def _groups(arm: ArmSection, used: set[str]) -> tuple[PlannedGroup, ...]:
    """Return the groups of the recipe and those of what it does not name, each as one."""
    training = arm.training
    groups = [
        PlannedGroup(
            name=group.name,
            learning_rate=group.learning_rate or training.learning_rate,
            weight_decay=training.weight_decay,
            unfreeze_after=group.unfreeze_after,
        )
        for group in arm.freeze
    ]
    own = {group.name for group in groups}
    for name in ("base", "head", "adapter", FROZEN, UNUSED):
        if name in used and name not in own:
            after = 0 if name in (FROZEN, UNUSED) else -1
            groups.append(PlannedGroup(name, training.learning_rate, training.weight_decay, after))
    return tuple(groups)


def _parted(
    arm: ArmSection,
    whole: Mapping[str, str],
    groups: tuple[PlannedGroup, ...],
    head: frozenset[str],
) -> tuple[dict[str, str], tuple[PlannedGroup, ...]]:
    """Return the groups in parts of one rate each, and the part of every tensor.

    Args:
        arm: The arm.
        whole: Tensor to its group.
        groups: The groups.
        head: Tensors of a new head.
    """
    parts = layer_parts([name for name in whole if name not in head])
    taken = {group.name for group in groups}
    group_of, found = dict(whole), list[PlannedGroup]()
    for group in groups:
        members = [name for name, owner in whole.items() if owner == group.name]
        if group.unfreeze_after == 0:
            found.append(group)
            continue
        body = [name for name in members if name not in head]
        of_part = {
            name: (_part_name(group.name, label, taken), group.learning_rate * share)
            for name, (label, share) in shares(body, parts, arm.training.lr_decay).items()
        }
        of_head = _head_part(arm, group, alone=not body)
        of_part |= {name: of_head for name in members if name in head}
        group_of |= {name: part for name, (part, _) in of_part.items()}
        rates = dict(of_part[name] for name in reversed(members))
        found += [replace(group, name=part, learning_rate=rate) for part, rate in rates.items()]
    return group_of, tuple(found)


def _part_name(group: str, label: str, taken: set[str]) -> str:
    """Return `layer.5` for a part of what no group names, `top.layer.5` for one of `top`."""
    if label in ("", group):
        return group
    return label if group == "base" and label not in taken else f"{group}.{label}"


def _head_part(arm: ArmSection, group: PlannedGroup, *, alone: bool) -> tuple[str, float]:
    """Return the part of a group that the tensors of a head are, with its rate."""
    asked = next((g.learning_rate for g in arm.freeze if g.name == group.name), None)
    rate = asked or arm.training.head_learning_rate or group.learning_rate
    return (group.name if alone or rate == group.learning_rate else f"{group.name}.head"), rate
