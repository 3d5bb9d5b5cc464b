"""Every metric by name: direction, range, unit, definition and source."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from graft.core.facts import MULTI_LABEL, REGRESSION, SINGLE_LABEL, RowFacts
from graft.core.scores import Metric
from graft.metrics.clusters import CLUSTER_METRICS
from graft.metrics.labelled import measures_of
from graft.metrics.pairs import PAIR_MEASURES
from graft.metrics.pretraining import PRETRAINING_MEASURES

CATALOGUE: Mapping[str, Metric] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            *(measure.metric for measure in PAIR_MEASURES),
            *(
                measure.metric
                for kind in (SINGLE_LABEL, MULTI_LABEL, REGRESSION)
                for measure in measures_of(RowFacts(problem_type=kind))
            ),
            *CLUSTER_METRICS,
            *(measure.metric for measure in PRETRAINING_MEASURES.values()),
        )
    }
)


def metric(name: str) -> Metric:
    """Return the metric `name`.

    Raises:
        KeyError: No metric has this name; says which is nearest.

    Example:
        >>> metric("roc_auc").title
        'ROC-AUC'
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    nearest = get_close_matches(name, CATALOGUE, n=1, cutoff=0.0)[0]
    raise KeyError(f"no metric is named {name!r}; did you mean {nearest!r}?")
