"""What a check is, and how checks are run: six outcomes, none of which can be mistaken."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from graft.audits.evidence import EvidenceMissingError
from graft.core.errors import NotApplicableError
from graft.core.findings import Finding, Status
from graft.core.jsonable import to_plain

LISTED = 20


class Evidence(Protocol):
    """What a check looks at; its name says in a finding where that was."""

    @property
    def name(self) -> str:
        """The run, or `data`."""
        ...


E = TypeVar("E", bound=Evidence)
_ACCEPTABLE = (Status.failed, Status.error, Status.warned)


@dataclass(frozen=True)
class Answer:
    """What a check found; the contract adds who asked and about which run.

    Args:
        status: The outcome.
        summary: One sentence with the measured values.
        evidence: JSON that a person can follow.
        fix: What to do, one sentence; empty when nothing is wrong.
    """

    status: Status
    summary: str
    evidence: dict[str, Any] = field(default_factory=dict)
    fix: str = ""


@dataclass(frozen=True)
class Check(Generic[E]):
    """One question about a run or about the data.

    Args:
        id: `K1` to `K16`.
        name: Key that a recipe can accept.
        question: The question in plain words.
        run: The check. It raises `EvidenceMissingError` if it cannot look, and
            `NotApplicableError` if there is nothing to look at.
    """

    id: str
    name: str
    question: str
    run: Callable[[E], Answer | tuple[Answer, ...]]

    @property
    def page(self) -> str:
        """Where the documentation says what the check proves and what it does not."""
        return f"docs/concepts/audits.md#{self.id.lower()}"


def not_for(check: Check[E], reason: str) -> Check[E]:
    """Return the check as one that has nothing to look at, whatever the evidence."""

    def answer(_: E) -> Answer:
        raise NotApplicableError(reason)

    return replace(check, run=answer)


def run_checks(
    checks: Sequence[Check[E]], evidence: E, accept: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Return the findings of every check, in order.

    Args:
        checks: What to ask.
        evidence: What to look at.
        accept: Name of a finding, or id of a check, to the reason for living with it.

    A check that raises anything unexpected gives status `error`, which fails the run.
    """
    findings = [finding for check in checks for finding in _findings(check, evidence)]
    return tuple(_accepted(finding, accept) for finding in findings)


def unused_accepts(findings: Iterable[Finding], accept: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return a warning for every key of `accept` that names none of `findings`.

    Ask once, with the findings of the data and of every arm.

    Example:
        >>> [f.summary for f in unused_accepts([], {"leekage": "known"})]
        ['accept.leekage names no finding and no check of this experiment.']
    """
    known = sorted({key for finding in findings for key in (finding.name, finding.check)})
    return tuple(
        Finding(
            check="K16",
            name="accept_unused",
            question="Does everything that the recipe accepts exist?",
            status=Status.warned,
            summary=f"accept.{key} names no finding and no check of this experiment.",
            evidence={"key": key, "reason": reason, "known": known},
            where="recipe",
            fix=_nearest(key, known),
        )
        for key, reason in accept.items()
        if key not in known
    )


def _findings(check: Check[E], evidence: E) -> tuple[Finding, ...]:
    try:
        answers = check.run(evidence)
        answers = answers if isinstance(answers, tuple) else (answers,)
        answers = tuple(replace(a, evidence=to_plain(a.evidence, "evidence")) for a in answers)
    except NotApplicableError as reason:
        answers = (Answer(Status.not_applicable, sentence([str(reason)])),)
    except EvidenceMissingError as reason:
        fix = "Run the stage that writes it, then audit again."
        answers = (Answer(Status.not_run, f"Not run: {reason}.", fix=fix),)
    except Exception as error:  # noqa: BLE001 - a check that breaks must fail the run, not end it
        kind = type(error).__name__
        answers = (
            Answer(
                Status.error,
                f"The check itself failed with {kind}: {error}",
                {"exception": kind, "text": str(error)},
                "Report this with the run folder; until then nothing is known about the question.",
            ),
        )
    return tuple(
        Finding(
            check=check.id,
            name=check.name,
            question=check.question,
            status=answer.status,
            summary=answer.summary,
            evidence=answer.evidence,
            where=evidence.name,
            fix=answer.fix,
        )
        for answer in answers
    )


def _accepted(finding: Finding, accept: Mapping[str, str]) -> Finding:
    reason = accept.get(finding.name) or accept.get(finding.check)
    return finding.accept(reason) if reason and finding.status in _ACCEPTABLE else finding


def _nearest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"Did you mean {near[0]}?" if near else "Take the key out of `accept`."


def listed(items: Iterable[Any], limit: int = LISTED) -> dict[str, Any]:
    """Return the first items of a list with their total, so that a cut list shows that it is cut.

    Example:
        >>> listed(["a", "b", "c"], limit=2)
        {'total': 3, 'first': ['a', 'b']}
    """
    everything = list(items)
    return {"total": len(everything), "first": everything[:limit]}


def named(items: Sequence[str], limit: int = 3) -> str:
    """Return the first names as words.

    Example:
        >>> named(["a", "b", "c", "d"])
        'a, b, c and 1 more'
    """
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more} more" if more > 0 else "")


def sentence(problems: Sequence[str], otherwise: str = "") -> str:
    """Return the problems as one sentence, or `otherwise` if there are none.

    Example:
        >>> sentence(["phase 0: 2 tensors moved", "phase 1 never ran"])
        'Phase 0: 2 tensors moved; phase 1 never ran.'
    """
    text = "; ".join(problems) or otherwise
    return f"{text[:1].upper()}{text[1:]}."
