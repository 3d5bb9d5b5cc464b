"""K16: was every option read by something, and was in force what was asked for?"""

from __future__ import annotations

from graft.audits.contract import Answer, Check, listed, named
from graft.audits.evidence import DataEvidence, RunEvidence
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.options import OptionUse


def options_read(evidence: RunEvidence) -> Answer:
    """Return whether something read every option that was given for the run."""
    return _read(evidence.given("options", evidence.options))


def recipe_read(evidence: DataEvidence) -> Answer:
    """Return whether something read every option that was given for the whole experiment."""
    return _read(evidence.given("options", evidence.options))


def _read(use: OptionUse) -> Answer:
    if use.unread is None:
        raise NotApplicableError("reads of options are recorded in Graft's own runs only")
    shown = {"asked": listed(use.asked, limit=100), "unread": listed(use.unread)}
    if use.unread:
        summary = f"Nothing read {len(use.unread)} of {len(use.asked)} options that were given"
        fix = "Take them out, or choose the method or schedule that they belong to."
        return Answer(Status.failed, f"{summary} ({named(use.unread)}).", shown, fix)
    if not use.asked:
        return Answer(Status.passed, "No option was given other than its default.", shown)
    return Answer(Status.passed, f"All {len(use.asked)} options that were given were read.", shown)


def options_in_force(evidence: RunEvidence) -> Answer:
    """Return whether what was observed in training is what was asked for."""
    use = evidence.given("options", evidence.options)
    wrong = [option for option in use.in_force if option.same is False]
    unseen = [option.option for option in use.in_force if option.in_force is None]
    shown = {"options": list(use.in_force), "not_observed": unseen}
    if wrong:
        parts = "; ".join(
            f"{option.option} was {option.in_force}, asked for was {option.requested}"
            for option in wrong
        )
        fix = "Find what overrides the option: a backend, a stored state, or another default."
        return Answer(Status.failed, f"{parts[:1].upper()}{parts[1:]}.", shown, fix)
    same = sum(option.same is True for option in use.in_force)
    summary = f"{same} options were in force as asked for."
    if unseen:
        summary += f" Not observed: {named(unseen)}."
    return Answer(Status.passed, summary, shown)


CHECKS = (
    Check("K16", "options_read", "Did something read every option that was given?", options_read),
    Check("K16", "options_in_force", "Was in force what was asked for?", options_in_force),
)
RECIPE_CHECKS = (
    Check(
        "K16",
        "recipe_read",
        "Did something read every option that is not of one arm?",
        recipe_read,
    ),
)
