"""What the loss sees of the training rows, counted on collated batches before step 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

_LABELS = 20  # different labels that are counted one by one


@dataclass(frozen=True)
class Supervision:
    """A census of the rows as they reach the model.

    A count that a kind of task does not have is None, never 0: pairs have no end-of-text token.

    Args:
        unit: What the loss is a sum over: `pairs`, `tokens`, `rows`.
        rows: Rows that were counted.
        units: Units with loss in these rows.
        rows_without_loss: Rows from which nothing is learned.
        tokens: Tokens that go through the model, padding not counted.
        truncated_rows: Rows of which the model reads less than they hold.
        limit: Tokens that the model reads of one text; None if there is no limit.
        unknown_tokens: Tokens that stand for something the tokenizer does not know.
        empty_rows: Rows with a text of which nothing but special tokens is left.
        labels: Label or range of labels to the number of rows that carry it.
        ends_missing: Rows whose last token with loss is not the end-of-text token.
        answers_cut: Rows whose answer lost its end to truncation.
        prompts_supervised: Rows whose prompt carries loss although only answers should.
        doubled_starts: Rows that begin with the start token more than once.
        shifted_labels: Rows whose labels are the inputs shifted by one already, so that the
            model, which shifts too, learns to predict the token after the next.
        template_supervised: Rows in which tokens that the generation prompt provides carry loss.
        examples: For each count above zero, ids of the first rows: field to ids.
    """

    unit: str
    rows: int
    units: int
    rows_without_loss: int
    tokens: int
    truncated_rows: int
    limit: int | None
    unknown_tokens: int
    empty_rows: int
    labels: dict[str, int]
    ends_missing: int | None = None
    answers_cut: int | None = None
    prompts_supervised: int | None = None
    doubled_starts: int | None = None
    shifted_labels: int | None = None
    template_supervised: int | None = None
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)


def label_counts(labels: Iterable[float | int | str]) -> dict[str, int]:
    """Return how many rows carry each label, or each tenth of the range if there are many.

    Example:
        >>> label_counts([0.0, 1.0, 1.0])
        {'0': 1, '1': 2}
        >>> label_counts(range(100))["0 to 9.9"]
        10
    """
    counts = Counter(labels)
    numbers = {label: n for label, n in counts.items() if isinstance(label, int | float)}
    if len(counts) <= _LABELS or len(numbers) < len(counts):
        return {_shown(label): counts[label] for label in sorted(counts, key=str)}
    low, width = min(numbers), (max(numbers) - min(numbers)) / 10
    tenths: Counter[int] = Counter()
    for label, count in numbers.items():
        tenths[min(int((label - low) / width), 9)] += count
    return {
        f"{_shown(low + width * i)} to {_shown(low + width * (i + 1))}": tenths[i]
        for i in sorted(tenths)
    }


def _shown(label: float | int | str) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)
