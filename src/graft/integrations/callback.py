"""What the callbacks of all trainers have in common: arguments and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from graft.core.findings import Findings
from graft.integrations.recording import Recording
from graft.integrations.settings import Settings


class Watch(Protocol):
    """What watches one training."""

    recording: Recording


W = TypeVar("W", bound=Watch)


class AuditingCallback(Generic[W]):
    """A callback that records and audits a training.

    Args:
        folder: Where to write; what an earlier training left there is replaced.
        base: Folder of the base's weights; found by itself if the model, or a part of it, was
            loaded from one by Transformers.
        expect_trainable: Patterns of tensors that must be trained, at some time.
        expect_frozen: Patterns of tensors that must not be.
        on_fault: `stop` raises `FaultError` as soon as the rest is worthless; `warn` logs it.
        accept: Name of a finding, or id of a check, to the reason for living with it.

    Raises:
        InputError: An argument that cannot be.
    """

    def __init__(
        self,
        folder: str | Path = "graft-audit",
        *,
        base: str | Path | None = None,
        expect_trainable: Sequence[str] = (),
        expect_frozen: Sequence[str] = (),
        on_fault: str = "stop",
        accept: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = Settings(
            folder=Path(folder),
            base=None if base is None else Path(base),
            expect_trainable=tuple(expect_trainable),
            expect_frozen=tuple(expect_frozen),
            on_fault=on_fault,
            accept=dict(accept or {}),
        )
        self.watch: W | None = None

    @property
    def findings(self) -> Findings | None:
        """What the checks found; None before the end of training."""
        return None if self.watch is None else self.watch.recording.judge.findings
