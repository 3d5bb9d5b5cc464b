"""The measures of a classification or a regression, by what its labels are."""

from __future__ import annotations

from graft.core.facts import RowFacts
from graft.metrics.classification import TOP, measures_of_classes
from graft.metrics.measures import Measure
from graft.metrics.multi_label import multi_label_measures
from graft.metrics.regression import REGRESSION_MEASURES


def measures_of(facts: RowFacts) -> tuple[Measure, ...]:
    """Return the measures of rows with such labels; of unknown classes all that any have.

    Example:
        >>> [m.metric.name for m in measures_of(RowFacts(classes=("a", "b", "c")))][:3]
        ['accuracy', 'balanced_accuracy', 'macro_f1']
    """
    classes = len(facts.classes)
    if facts.regression:
        return REGRESSION_MEASURES
    if facts.multi_label:
        return multi_label_measures(classes or 2)
    if classes:
        return measures_of_classes(classes)
    two, more = measures_of_classes(2), measures_of_classes(TOP + 1)
    known = {found.metric.name for found in two}
    return (*two, *(found for found in more if found.metric.name not in known))
