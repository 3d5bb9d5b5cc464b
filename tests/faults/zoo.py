"""The fault zoo: a fault is planted as it happens in the wild and must be caught by name."""

from __future__ import annotations

import contextlib
import inspect
import io
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graft.audits.contract import Answer, Check, run_checks
from graft.core.findings import Finding, Status


@dataclass(frozen=True)
class Asked:
    """Checks and the evidence that they look at: real files of a real training."""

    checks: tuple[Check[Any], ...]
    evidence: Any

    def findings(self, silenced: str) -> tuple[Finding, ...]:
        """Return what the checks say, the one named `silenced` always that all is well."""
        return run_checks([_silent(c) if c.name == silenced else c for c in self.checks],
                          self.evidence, {})  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """Everything that a run asked of its checks."""

    asked: tuple[Asked, ...]

    def findings(self, silenced: str = "") -> tuple[Finding, ...]:
        """Return every finding; `silenced` names a check that is sabotaged for once."""
        return tuple(f for asked in self.asked for f in asked.findings(silenced))


Plant = Callable[[Path], Planted]


@dataclass(frozen=True)
class Fault:
    """One way to plant a fault.

    Args:
        id: Its id in the catalogue.
        caught_by: Names of the findings that must all tell of it.
        plant: Plants it in an empty folder and returns what the checks are asked.
        status: The status that these findings must have.
    """

    id: str
    caught_by: tuple[str, ...]
    plant: Plant
    status: Status = Status.failed

    @property
    def name(self) -> str:
        """Id and way of planting."""
        return f"{self.id}-{self.plant.__name__}"

    @property
    def planted(self) -> str:
        """How it is planted, one sentence."""
        return (inspect.getdoc(self.plant) or "").replace("\n", " ")

    def catches(self, findings: tuple[Finding, ...]) -> dict[str, Finding]:
        """Return the finding of each check that caught it."""
        return {
            finding.name: finding
            for finding in findings
            if finding.name in self.caught_by and finding.status == self.status
        }


@dataclass
class Registry:
    """The faults of one place, in order; used as a decorator of what plants them."""

    faults: list[Fault] = field(default_factory=list)

    def __call__(
        self, identity: str, *caught_by: str, status: Status = Status.failed
    ) -> Callable[[Plant], Plant]:
        """Register the decorated function; its docstring says how the fault is planted."""

        def register(plant: Plant) -> Plant:
            self.faults.append(Fault(identity, caught_by, plant, status))
            return plant

        return register


@contextlib.contextmanager
def sabotage(owner: Any, name: str, broken: Callable[[Any], Any]) -> Iterator[None]:
    """Replace `owner.name` by `broken(original)` for a while."""
    inherited = name not in vars(owner)
    stored = vars(owner).get(name)
    setattr(owner, name, broken(getattr(owner, name)))
    try:
        yield
    finally:
        delattr(owner, name) if inherited else setattr(owner, name, stored)


@contextlib.contextmanager
def listening() -> Iterator[list[Asked]]:
    """Collect what Graft asks of its checks, wherever it asks."""
    heard: list[Asked] = []

    def overheard(original: Any) -> Any:
        def run(checks: Any, evidence: Any, accept: Any) -> Any:
            heard.append(Asked(tuple(checks), evidence))
            return original(checks, evidence, accept)

        return run

    asking = [
        module
        for name, module in sys.modules.items()
        if name.startswith("graft.") and vars(module).get("run_checks") is run_checks
    ]
    with contextlib.ExitStack() as stack:
        for module in asking:
            stack.enter_context(sabotage(module, "run_checks", overheard))
        yield heard


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Leave out what libraries print and warn of: of most faults that is all that a user sees."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def plant(how: Plant, folder: Path) -> Planted:
    """Return what `how` plants in the new folder `folder`."""
    folder.mkdir(parents=True)
    with quietly():
        return how(folder)


def told(findings: Iterable[Finding]) -> str:
    """Return the findings that do not say that all is well, one a line."""
    good = (Status.passed, Status.not_applicable)
    odd = [finding for finding in findings if finding.status not in good]
    return "\n".join(f"  {f.where} {f.name} {f.status}: {f.summary}" for f in odd) or "  none"


def _silent(check: Check[Any]) -> Check[Any]:
    return replace(check, run=lambda evidence: Answer(Status.passed, "sabotaged."))
