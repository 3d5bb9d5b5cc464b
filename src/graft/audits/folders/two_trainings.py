"""K9: did two trainings come to two models? Asked of two runs, or of two models with one body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from graft.audits.contract import Answer, Check
from graft.audits.evidence import read_frame
from graft.audits.folders.causes import Faults
from graft.audits.folders.decisions import Decisions, decisions, positions
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.folders.rows import Rows
from graft.audits.folders.sameness import Sameness, Trained, read_trained, sameness
from graft.core.errors import ModelError, NotApplicableError
from graft.core.layout import ExperimentPaths, RunPaths
from graft.core.roles import Split

UNLIKELY = -2.0  # log10 of the probability below which an agreement is no accident


def two_trainings(evidence: FolderEvidence) -> Answer:
    """Return whether two trainings came to two models, and if not, why.

    Two runs of Graft are asked with their plans, ledgers and predictions. Of two model folders only
    those are asked that both have a head and share all that stands below it.
    """
    if evidence.runs is not None:
        pair = [_run(place) for place in evidence.runs]
    else:
        pair = _models(evidence)
    found = sameness(*pair)
    names = " and ".join(f"'{one.name}'" for one in pair)
    faults = Faults()
    if found.cause:
        faults.add(found.cause, f"{names}: {found.words}", blocks=_blocks(evidence, found))
    return faults.answer(f"{names} are two models: {found.words}", {"sameness": found})


def _blocks(evidence: FolderEvidence, found: Sameness) -> bool:
    """Two runs are meant to differ; of two models that is shown by what is too improbable."""
    chance = found.consistency
    improbable = chance is not None and chance.log10_probability < UNLIKELY
    return evidence.runs is not None or found.same_scores or improbable


def _run(place: Path) -> Trained:
    paths = RunPaths(place)
    test = paths.predictions(Split.test)
    return read_trained(_name(place), paths, read_frame(test) if test.is_file() else None)


def _name(place: Path) -> str:
    """Return the name of a run with that of its experiment."""
    whole = place.resolve()
    root = next((up for up in whole.parents if ExperimentPaths(up).index.is_file()), None)
    return whole.relative_to(root.parent).as_posix() if root else whole.name


def _models(evidence: FolderEvidence) -> list[Trained]:
    if evidence.is_adapter:
        raise NotApplicableError("an adapter was tuned on a base: that is one training")
    pair = [Trained(place.path.name, place.path) for place in (evidence.base, evidence.tuned)]
    weights = sameness(*pair).weights
    if not weights.same_body or not weights.head or weights.head_equal == weights.head:
        raise NotApplicableError("they are no two runs, and no two models that differ by the head")
    if evidence.rows is None:
        return pair
    try:
        answered = [evidence.base_answers, evidence.tuned_answers]
    except ModelError as error:
        raise NotApplicableError(f"a model {error.problems[0].what}") from None
    if answered[0].kind != answered[1].kind:
        raise NotApplicableError("the two models do not answer the same question")
    return [
        Trained(one.name, one.model, test=_frame(decisions(own, evidence.rows), evidence.rows))
        for one, own in zip(pair, answered, strict=True)
    ]


def _frame(found: Decisions, rows: Rows) -> pd.DataFrame:
    """Return the decisions as predictions of test rows; labels where they name classes."""
    count = len(found.values)
    frame = pd.DataFrame({"row": [str(place) for place in range(count)]})
    if not found.names:
        return frame.assign(score=found.scores[:, 0])
    frame = frame.assign(score=found.scores.max(axis=1), predicted=found.values.astype(np.float64))
    logits = {f"p_{place}": found.scores[:, place] for place in range(found.scores.shape[1])}
    labels = positions(rows.labels[:count], found.names) if rows.labels else None
    told = {} if labels is None else {"label": labels.astype(np.float64)}
    return frame.assign(**logits, **told)


CHECKS = (Check("K9", "two_trainings", "Did two trainings come to two models?", two_trainings),)
