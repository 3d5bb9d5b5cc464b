"""K9: is the artefact another model than the base, and than that of every other training?"""

from __future__ import annotations

from typing import Any

from graft.audits.agreement import Agreement, compare
from graft.audits.artefact import SCORE_TOLERANCE, row_problems
from graft.audits.contract import Answer, Check, named, sentence
from graft.audits.evidence import EvidenceMissingError, RunEvidence
from graft.audits.folders.known import CAUSES
from graft.audits.folders.sameness import IDENTICAL, Sameness, Trained, read_trained, sameness
from graft.core.errors import NotApplicableError
from graft.core.experiment import arm_of
from graft.core.files import sha256_file
from graft.core.findings import Status
from graft.models.tensors import weight_files

# What was planned, or chosen on validation, is a reason; what never happened is a fault.
_REASONS = ("frozen_by_plan", "kept_before_thaw")


def differs_from_base(evidence: RunEvidence) -> Answer:
    """Return whether the artefact predicts other scores than the base, from other files."""
    test = evidence.given("test", evidence.test)
    base = evidence.given("base", evidence.base)
    tolerance = SCORE_TOLERANCE * evidence.unit
    distance = compare(test, base, tolerance)
    problems = row_problems(distance)
    if distance.largest is not None and distance.largest <= tolerance:
        problems.append(f"no score differs from the base by more than {distance.largest:.1e}")
    files = _weight_hashes(evidence)
    same = sorted(name for name, digest in files["model"].items() if digest in files["base_hashes"])
    if not files["model"]:
        problems.append("the model folder holds no weight file")
    elif len(same) == len(files["model"]):
        problems.append(
            f"all {len(same)} weight files are the base's, byte for byte ({named(same)})"
        )
    shown = {**distance.shown(), "identical_files": same, "files": files["model"]}
    if problems:
        fix = "Do not report it as tuned: find whether the base was saved, loaded or served."
        return Answer(Status.failed, sentence(problems), shown, fix)
    summary = (
        f"{distance.differing} of {distance.rows} scores differ from the base's, by up to"
        f" {distance.largest:.3g}; {len(files['model']) - len(same)} of {len(files['model'])}"
        f" weight files are new."
    )
    return Answer(Status.passed, summary, shown)


def _weight_hashes(evidence: RunEvidence) -> dict[str, Any]:
    base, model = evidence.given("base_folder", evidence.base_folder), evidence.paths.model
    if not model.is_dir():
        raise EvidenceMissingError(f"{evidence.name}/model is missing")
    return {
        "model": {p.relative_to(model).as_posix(): sha256_file(p) for p in weight_files(model)},
        "base_hashes": {sha256_file(path) for path in weight_files(base)},
    }


def differs_from_other_arms(evidence: RunEvidence) -> Answer:
    """Return whether no other training came to the same model.

    Another arm with the same primary metric, or with the same decision for every row, is examined:
    are the weights equal, are the predictions, how probable is that, and what made it so. Of
    another seed of the same arm only equal scores are suspicious: two seeds may well tie.
    """
    test = evidence.given("test", evidence.test)
    if not evidence.others and "others" not in evidence.missing:
        raise NotApplicableError("it is the only arm")
    identical = IDENTICAL * evidence.unit
    distances = {name: compare(test, frame, identical) for name, frame in evidence.others.items()}
    apart = sorted(name for name, distance in distances.items() if not distance.same_rows)
    own = Trained(evidence.name, evidence.paths.model, evidence.plan, evidence.ledger, test)
    examined = {
        name: sameness(own, read_trained(name, evidence.runs[name], evidence.others[name]))
        for name, distance in distances.items()
        if distance.same_rows and _suspicious(evidence, name, distance)
    }
    shown = {
        name: {"largest": d.largest, "mean": d.mean, "differing": d.differing, "rows": d.rows}
        for name, d in distances.items()
    }
    one_model = {n: found for n, found in examined.items() if found.cause}
    faults = {n: found for n, found in one_model.items() if _is_fault(found)}
    evidence_shown = {"arms": shown, "examined": examined}
    if faults or apart:
        problems = [_told(name, found) for name, found in faults.items()]
        problems += [f"'{name}' was scored on other rows" for name in apart]
        return Answer(Status.failed, sentence(problems), evidence_shown, _fix(faults))
    if "others" in evidence.missing:
        raise EvidenceMissingError(evidence.missing["others"])
    if one_model:
        problems = [_told(name, found) for name, found in one_model.items()]
        return Answer(Status.warned, sentence(problems), evidence_shown, _fix(one_model))
    nearest = min(distances, key=lambda name: distances[name].largest or 0.0)
    summary = (
        f"The scores differ from those of {len(distances)} other trainings; the nearest,"
        f" '{nearest}', lies up to {distances[nearest].largest:.3g} away."
    )
    if examined:
        ties = [f"'{name}' ties: {found.words}" for name, found in examined.items()]
        summary += f" {sentence(ties)}"
    return Answer(Status.passed, summary, evidence_shown)


def _suspicious(evidence: RunEvidence, name: str, distance: Agreement) -> bool:
    if distance.largest is not None and distance.largest <= IDENTICAL * evidence.unit:
        return True
    if arm_of(name) == arm_of(evidence.name):
        return False
    own = evidence.primary(evidence.given("test", evidence.test))
    other = evidence.primary(evidence.others[name])
    alike = distance.decided == distance.rows and not distance.flipped
    return alike or (own is not None and own == other)


def _is_fault(found: Sameness) -> bool:
    """Return True unless the plan, or the choice of a checkpoint, is the reason."""
    if found.cause == "kept_before_thaw":
        return False
    return found.same_scores or found.cause not in _REASONS


def _told(name: str, found: Sameness) -> str:
    lead = "has exactly the same scores" if found.same_scores else "has the same result"
    return f"'{name}' {lead}: {found.words}"


def _fix(found: dict[str, Sameness]) -> str:
    fixes = dict.fromkeys(CAUSES[one.cause].fix for one in found.values())
    return " ".join(fixes) or "Score every arm on the same test rows."


CHECKS = (
    Check(
        "K9",
        "differs_from_base",
        "Is the artefact another model than the base?",
        differs_from_base,
    ),
    Check(
        "K9",
        "differs_from_other_arms",
        "Is the artefact another model than that of every other training?",
        differs_from_other_arms,
    ),
)
