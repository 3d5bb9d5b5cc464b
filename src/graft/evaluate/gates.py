"""Which success criteria of a recipe were reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graft.core.roles import Split
from graft.core.scores import ScoreBook
from graft.core.verdicts import GateResult
from graft.metrics.catalogue import metric as metric_named


def gates(
    spec: Sequence[tuple[str, str, float | None, float | None]],
    scores: Mapping[str, ScoreBook],
) -> tuple[GateResult, ...]:
    """Return for each gate whether the run reached it on all rows of the test split.

    Args:
        spec: Run, metric, minimum, maximum.
        scores: Run to its scores. A run or metric that was not measured does not reach its gate.

    Raises:
        KeyError: A metric that does not exist.
    """
    results = []
    for run, name, minimum, maximum in spec:
        value = measured_on_test(scores, run, name)
        reached = (
            value is not None
            and (minimum is None or value >= minimum)
            and (maximum is None or value <= maximum)
        )
        results.append(GateResult(run, name, minimum, maximum, value, reached))
    return tuple(results)


def measured_on_test(scores: Mapping[str, ScoreBook], run: str, name: str) -> float | None:
    """Return the metric of the run on all rows of the test split, None if it was not measured.

    Raises:
        KeyError: A metric that does not exist; says which is nearest.
    """
    known = metric_named(name).name
    for item in scores[run].items if run in scores else ():
        if item.split is Split.test and item.subset == "all" and known in item.names:
            return item[known].value
    return None
