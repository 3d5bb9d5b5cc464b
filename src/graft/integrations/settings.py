"""What the user of a callback asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graft.core.errors import InputError, Problem


@dataclass(frozen=True)
class Settings:
    """What the user of a callback asks for; the arguments of `GraftCallback`.

    Raises:
        InputError: `on_fault` is neither `stop` nor `warn`, or a reason is missing.
    """

    folder: Path
    base: Path | None = None
    expect_trainable: tuple[str, ...] = ()
    expect_frozen: tuple[str, ...] = ()
    on_fault: str = "stop"
    accept: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [
            Problem(f"accept[{key!r}]", "has no reason", "write why it may stay as it is")
            for key, reason in self.accept.items()
            if not reason
        ]
        if self.on_fault not in ("stop", "warn"):
            what = f"is {self.on_fault!r}"
            problems.append(Problem("on_fault", what, "choose 'stop' or 'warn'"))
        if self.base is not None and not self.base.is_dir():
            problems.append(Problem("base", f"{self.base} is no folder", "give the base's folder"))
        if problems:
            raise InputError("GraftCallback", problems)
