"""Which options were read, and what was really in force beside what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

Value = str | int | float | bool | None


@dataclass(frozen=True)
class OptionInForce:
    """One option as asked for and as it was.

    Args:
        option: Dotted key of the recipe, or argument of the trainer.
        requested: As asked for; None if nothing was asked for.
        in_force: As observed, None if it could not be observed.
        same: True if the two agree, None if that cannot be said.
        note: How it was observed, in a few words.
    """

    option: str
    requested: Value
    in_force: Value
    same: bool | None
    note: str


@dataclass(frozen=True)
class OptionUse:
    """What became of the options of one run.

    Args:
        asked: Options that the user gave, by dotted key.
        unread: Those of them that nothing read; None if reads were not recorded.
        in_force: What was observed beside what was asked for.
    """

    asked: tuple[str, ...]
    unread: tuple[str, ...] | None
    in_force: tuple[OptionInForce, ...]
