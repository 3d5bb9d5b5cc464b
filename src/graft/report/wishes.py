"""What the recipe asked for that the report must know: controls, and what errors cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True)
class Wishes:
    """What the resolved recipe says; everything is empty if there is none.

    Args:
        controls: Arm to the control that it is, without arms that are none.
        costs: Cost of a false positive and of a false negative, None if not given.
    """

    controls: Mapping[str, str] = field(default_factory=dict)
    costs: tuple[float, float] | None = None


def wishes_of(recipe: str | None) -> Wishes:
    """Return what a resolved recipe asks for; what is not there, or no recipe, is left out.

    Args:
        recipe: Text of `recipe.yaml`.

    Example:
        >>> wishes_of("arms: {noise: {control: shuffled_labels}, main: {control: none}}").controls
        {'noise': 'shuffled_labels'}
    """
    try:
        plain = yaml.safe_load(recipe or "")
    except yaml.YAMLError:
        return Wishes()
    arms = _part(plain, "arms")
    controls = {str(name): str(_part(arm, "control", "none")) for name, arm in arms.items()}
    costs = _part(_part(plain, "evaluation"), "costs")
    paid = [costs.get(name) for name in ("false_positive", "false_negative")]
    return Wishes(
        {name: control for name, control in controls.items() if control != "none"},
        (float(paid[0]), float(paid[1])) if all(isinstance(n, int | float) for n in paid) else None,
    )


def _part(plain: object, name: str, default: Any = None) -> Any:  # noqa: ANN401
    found = plain.get(name) if isinstance(plain, Mapping) else None
    if default is not None:
        return default if found is None else found
    return found if isinstance(found, Mapping) else {}
