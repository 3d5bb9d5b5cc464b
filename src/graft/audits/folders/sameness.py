"""Two trainings that seem to have come to one model: what they share, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from graft.audits.agreement import Agreement, compare
from graft.audits.contract import named
from graft.audits.folders.comparison import Movement
from graft.audits.folders.known import CAUSES
from graft.audits.folders.places import open_place
from graft.audits.folders.roles import is_head
from graft.audits.frozen import compare_places
from graft.audits.phases import below_the_head, phases_not_run
from graft.core.errors import ModelError
from graft.core.experiment import arm_of
from graft.core.files import read_json
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger
from graft.core.plan import ResolvedPlan
from graft.evaluate.scoring import prediction_columns
from graft.metrics.consistency import Consistency, consistency
from graft.metrics.decisions import correct

# Two arms that share an artefact agree to rounding; two trainings never do.
IDENTICAL = 1e-6
Why = tuple[str, str]  # key of a cause, and what was seen, as part of a sentence


@dataclass(frozen=True)
class Trained:
    """What one training left behind.

    Args:
        name: The arm, its replicate, or the folder.
        model: Its model folder.
        plan: What it was to do, None if nobody wrote it down.
        ledger: What it did.
        test: Predictions of test rows, None if there are none.
    """

    name: str
    model: Path
    plan: ResolvedPlan | None = None
    ledger: Ledger | None = None
    test: pd.DataFrame | None = None


@dataclass(frozen=True)
class SharedWeights:
    """The weights of two models, tensor by tensor.

    Args:
        body: Tensors below the head that both hold.
        body_equal: Those of them that are the same, bit for bit.
        head: Tensors of a head that both hold.
        head_equal: Those of them that are the same.
        head_alone: Tensors of a head that one of them holds, or with another shape.
        other: True if one has tensors below the head that the other lacks.
        not_compared: Why nothing was compared, empty if it was.
    """

    body: int = 0
    body_equal: int = 0
    head: int = 0
    head_equal: int = 0
    head_alone: int = 0
    other: bool = False
    not_compared: str = ""

    @property
    def same_body(self) -> bool:
        """True if all that stands below the head is one and the same."""
        return 0 < self.body == self.body_equal and not self.other

    @property
    def words(self) -> str:
        """What is the same, as part of a sentence."""
        if self.not_compared:
            return f"weights were not compared: {self.not_compared}"
        if not self.same_body:
            return f"{self.body_equal} of {self.body} tensors below the head are equal"
        heads = self.head + self.head_alone
        head = "and so is the head" if heads else "and there is no head"
        if self.head_equal < heads:
            head = f"only the head differs ({heads - self.head_equal} of {heads} tensors)"
        return f"all {self.body} tensors below the head are equal, bit for bit, {head}"


@dataclass(frozen=True)
class Sameness:
    """What two trainings share.

    Args:
        weights: Of their models.
        agreement: Of their predictions, None if one has none.
        consistency: How probable that is, None where rows are not decided right or wrong.
        cause: Key of the cause, empty if they are two models.
        why: What was seen of the cause, as part of a sentence.
    """

    weights: SharedWeights
    agreement: Agreement | None
    consistency: Consistency | None
    cause: str = ""
    why: str = ""

    @property
    def same_scores(self) -> bool:
        """True if every row has the same score."""
        largest = self.agreement.largest if self.agreement else None
        return largest is not None and largest <= IDENTICAL

    @property
    def words(self) -> str:
        """Weights, predictions, probability and cause as part of a sentence."""
        told = [self.weights.words, *self._predictions(), *([self.why] if self.why else [])]
        return "; ".join(told)

    def _predictions(self) -> list[str]:
        found, chance = self.agreement, self.consistency
        if found is None:
            return ["predictions were not compared"]
        told = [f"{found.rows - found.differing} of {found.rows} rows have the same score"]
        if found.decided:
            told = [
                f"{found.decided - len(found.flipped)} of {found.decided} rows are decided alike"
            ]
        if chance is not None:
            a, b = chance.accuracies
            told.append(
                f"both right or both wrong on {chance.agreeing} of {chance.rows}, which models of "
                f"accuracy {a:.3f} and {b:.3f} with independent errors reach with probability "
                f"{chance.words}"
            )
        return told


def read_trained(name: str, paths: RunPaths, test: pd.DataFrame | None = None) -> Trained:
    """Return what lies in the folder of a training.

    Args:
        name: How to call it.
        paths: Its folder.
        test: Its predictions of the test rows.

    Raises:
        RunFolderError: A file is there and cannot be read.
    """
    return Trained(
        name=name,
        model=paths.model,
        plan=read_json(paths.plan, ResolvedPlan) if paths.plan.is_file() else None,
        ledger=read_json(paths.ledger, Ledger) if paths.ledger.is_file() else None,
        test=test,
    )


def sameness(one: Trained, other: Trained) -> Sameness:
    """Return what two trainings share, and the cause where plan and ledger show it."""
    weights = shared_weights(one.model, other.model)
    agreement, chance = None, None
    if one.test is not None and other.test is not None:
        agreement = compare(one.test, other.test, IDENTICAL)
        chance = _chance(one.test, other.test)
    found = Sameness(weights, agreement, chance)
    cause, why = _cause(one, other, found)
    return Sameness(weights, agreement, chance, cause, why)


def shared_weights(one: Path, other: Path) -> SharedWeights:
    """Return which tensors of two model folders are the same, bit for bit."""
    try:
        report = compare_places(open_place(one), open_place(other))
    except ModelError as error:
        return SharedWeights(not_compared="; ".join(problem.what for problem in error.problems))
    alone = [*report.missing, *report.new, *(line.split(":")[0] for line in report.mismatched)]
    equal = {tensor.name: tensor.movement == Movement.frozen for tensor in report.tensors}
    head = {name: same for name, same in equal.items() if is_head(name)}
    return SharedWeights(
        body=len(equal) - len(head),
        body_equal=sum(equal.values()) - sum(head.values()),
        head=len(head),
        head_equal=sum(head.values()),
        head_alone=sum(map(is_head, alone)),
        other=not all(map(is_head, alone)),
    )


def _chance(one: pd.DataFrame, other: pd.DataFrame) -> Consistency | None:
    sides = [frame.set_index(frame["row"].astype(str)) for frame in (one, other)]
    if any("label" not in side or side.index.has_duplicates for side in sides):
        return None
    both = sides[0].index.intersection(sides[1].index)
    right = [correct(prediction_columns(side.loc[both])) for side in sides]
    if right[0] is None or right[1] is None:
        return None
    return consistency(right[0], right[1])


def _cause(one: Trained, other: Trained, found: Sameness) -> Why:
    if not found.weights.same_body:
        if found.same_scores:
            return "served_twice", "so one of the two was served for both"
        return "", ""
    told = [why for why in (_why(one), _why(other)) if why]
    if told:
        key = min((key for key, _ in told), key=list(CAUSES).index)
        return key, "; ".join(dict.fromkeys(words for _, words in told))
    return _unexplained(one, other)


def _unexplained(one: Trained, other: Trained) -> Why:
    """Return why two models are one although each plan seems to have been carried out."""
    if one.plan is None or other.plan is None:
        return "body_frozen", "whether that was planned is not known: there is no plan"
    if one.plan != other.plan:
        return "one_model", "what made them one is not to be seen in their plans"
    if arm_of(one.name) == arm_of(other.name):
        return "seed_without_effect", "the two seeds change nothing that this training draws"
    return "same_recipe", f"'{one.name}' and '{other.name}' were trained by the same plan"


def _why(run: Trained) -> Why | None:
    """Return why the model of a training is below its head what it was before, if it is."""
    plan, ledger = run.plan, run.ledger
    if plan is None or ledger is None:
        return None
    body = below_the_head(plan)
    idle = phases_not_run(plan, ledger)
    if idle:
        thawed = named(_joining(plan, idle[0]))
        words = f"phase {idle[0]} of '{run.name}' took no step, so {thawed} never thawed"
        reason = ledger.stopped_early or "unfreeze_after was not reached"
        return "thaw_not_reached", f"{words} ({reason})"
    if all(tensor.joins is None for tensor in body):
        groups = sorted({tensor.group for tensor in body})
        words = f"everything below the head of '{run.name}' is frozen for the whole run"
        return "frozen_by_plan", f"{words} ({_frozen(plan, groups)})"
    still = _still(plan, ledger)
    if still:
        return "group_never_moved", f"group {named(still)} of '{run.name}' never moved"
    best = ledger.best_step
    early = [p for p in plan.phases if p.index and best is not None and best <= p.first_step]
    if early:
        words = f"the kept checkpoint of '{run.name}' is that of step {best}"
        return "kept_before_thaw", f"{words}, before the thaw after step {early[0].first_step}"
    return None


def _joining(plan: ResolvedPlan, phase: int) -> list[str]:
    before = set(plan.phases[phase - 1].groups) if phase else set()
    return [group for group in plan.phases[phase].groups if group not in before]


def _frozen(plan: ResolvedPlan, groups: Sequence[str]) -> str:
    if plan.method != "full":
        return f"method {plan.method}"
    return f"unfreeze_after = 0 of {named(groups)}"


def _still(plan: ResolvedPlan, ledger: Ledger) -> list[str]:
    """Return the groups that were to train and of which no tensor changed in any phase."""
    moved = {
        record.name
        for phase in ledger.phases
        for record in phase.tensors
        if record.sha256_before != record.sha256_after
    }
    planned = {tensor.group for tensor in plan.tensors if tensor.joins is not None}
    changed = {tensor.group for tensor in plan.tensors if tensor.name in moved}
    return sorted(planned - changed)
