"""K12: does a prediction depend on anything but its row, and is what is frozen really still?"""

from __future__ import annotations

from graft.audits.contract import Answer, Check, listed, named
from graft.audits.evidence import RunEvidence
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.probes import Gap, Probes
from graft.models.features import TOLERANCE as STORED

# Share of the spread of the outputs, and the least that float32 can tell apart.
TOLERANCE = 1e-3
ROUNDING = 1e-5


def row_alone(evidence: RunEvidence) -> Answer:
    """Return whether a row alone gets the outputs that it gets beside others."""
    probes = evidence.given("probes", evidence.probes)
    gap = _probed(probes, "alone", probes.alone)
    fix = "Look at the attention mask, the padding side and the pooling, or at how rows are packed."
    return same_outputs(gap, "A row alone and the same row beside others", fix)


def repeatable(evidence: RunEvidence) -> Answer:
    """Return whether the same rows give the same outputs twice, with every module in eval mode."""
    probes = evidence.given("probes", evidence.probes)
    gap = _probed(probes, "again", probes.again)
    fix = "Call eval() before predicting: dropout or batch statistics are on."
    if probes.training_modules:
        count = len(probes.training_modules)
        summary = (
            f"{count} modules were in training mode while the model predicted"
            f" ({named(probes.training_modules)})."
        )
        shown = {"gap": gap, "training_modules": listed(probes.training_modules)}
        return Answer(Status.failed, summary, shown, fix)
    return same_outputs(gap, "The same rows predicted twice", fix)


def _probed(probes: Probes, name: str, gap: Gap | None) -> Gap:
    if gap is None:
        raise NotApplicableError(probes.not_probed.get(name, "it was not probed"))
    return gap


def same_outputs(gap: Gap, what: str, fix: str) -> Answer:
    """Return whether two ways to the same outputs agree to rounding.

    Args:
        gap: How far they lie apart.
        what: The two ways, in words that begin a sentence.
        fix: What to do if they do not.
    """
    limit = ROUNDING + TOLERANCE * gap.spread
    shown = {"gap": gap, "limit": limit}
    if gap.largest > limit:
        summary = (
            f"{what} differ by up to {gap.largest:.3g} in {gap.rows} rows (spread of the outputs"
            f" {gap.spread:.3g}; worst: {named(gap.worst)})."
        )
        return Answer(Status.failed, summary, shown, fix)
    summary = f"{what} agree to {gap.largest:.1e} in {gap.rows} rows."
    return Answer(Status.passed, summary, shown)


def frozen_modes(evidence: RunEvidence) -> Answer:
    """Return whether every module that is frozen ran in eval mode, as the plan promises."""
    plan = evidence.given("plan", evidence.plan)
    ledger = evidence.given("ledger", evidence.ledger)
    awake = {phase.index: phase.awake for phase in ledger.phases if phase.awake}
    still = sum(len(phase.eval_modules) for phase in ledger.phases)
    shown = {
        "promised": plan.frozen_in_eval,
        "in_training_mode": {str(index): listed(names) for index, names in awake.items()},
    }
    if awake:
        index, names = next(iter(awake.items()))
        status = Status.failed if plan.frozen_in_eval else Status.warned
        summary = (
            f"{len(names)} frozen modules ran in training mode in phase {index} ({named(names)}):"
            " dropout changes features that nobody trains."
        )
        fix = "Call eval() on frozen modules after every train()."
        return Answer(status, summary, shown, fix)
    if not still:
        raise NotApplicableError("no module was frozen as a whole")
    return Answer(Status.passed, f"All {still} frozen modules ran in eval mode.", shown)


def packed_rows(evidence: RunEvidence) -> Answer:
    """Return whether rows that are packed without padding get the outputs of padded ones."""
    probes = evidence.given("probes", evidence.probes)
    gap = _probed(probes, "padded", probes.padded)
    fix = "Let attention keep the rows of a pack apart, and positions begin anew in each row."
    return same_outputs(gap, "Packed rows and the same rows padded", fix)


def stored_outputs(evidence: RunEvidence) -> Answer:
    """Return whether stored outputs of frozen layers are still those that the model computes."""
    ledger = evidence.given("ledger", evidence.ledger)
    stored = {p.index: p.features for p in ledger.phases if p.features is not None}
    if not stored:
        reasons = {phase.features_problem for phase in ledger.phases if phase.features_problem}
        raise NotApplicableError("; ".join(sorted(reasons)) or "no outputs were stored")
    shown = {str(index): record for index, record in stored.items()}
    wrong = {
        index: record
        for index, record in stored.items()
        if not record.gap <= STORED[record.number_format]
    }
    if wrong:
        index, record = next(iter(wrong.items()))
        summary = (
            f"In phase {index} the stored outputs of {record.prefix} and those of the model differ"
            f" by {record.gap:.2g} of their norm ({record.number_format} allows"
            f" {STORED[record.number_format]:g})."
        )
        fix = (
            "Find what moved a frozen tensor or drew at random, or set feature_cache_gb to 0: the"
            " phase was trained on outputs of another model."
        )
        return Answer(Status.failed, summary, shown, fix)
    largest = max(record.gap for record in stored.values())
    texts = sum(record.texts for record in stored.values())
    summary = f"The stored outputs of {texts} texts agree with the model to {largest:.1e}."
    return Answer(Status.passed, summary, shown)


CHECKS = (
    Check("K12", "row_alone", "Does a row get the same outputs alone and in a batch?", row_alone),
    Check("K12", "repeatable", "Do the same rows give the same outputs twice?", repeatable),
    Check(
        "K12",
        "packed_rows",
        "Do rows that are packed get the outputs of padded ones?",
        packed_rows,
    ),
    Check(
        "K12",
        "stored_outputs",
        "Were stored outputs of frozen layers those of the model?",
        stored_outputs,
    ),
    Check("K12", "frozen_modes", "Did frozen modules run in eval mode?", frozen_modes),
)
