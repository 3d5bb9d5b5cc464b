"""Scores of runs before there is a comparison: a table, and a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from graft.cli.output import table
from graft.core.roles import Split
from graft.core.scores import ScoreBook
from graft.metrics import catalogue
from graft.report import words

if TYPE_CHECKING:
    from rich.table import Table

METRICS = ("spearman", "roc_auc", "f1", "accuracy", "margin")


def scores_table(books: Mapping[str, ScoreBook], primary: str) -> Table:
    """Return run × main metrics on the test rows, with 95 % intervals, the primary one first."""
    names = list(dict.fromkeys((primary, *METRICS)))
    titles = [catalogue.metric(name).title for name in names]
    rows = []
    for run, book in books.items():
        scores = {score.metric: score for score in book.on(Split.test).items}
        cells = []
        for name in names:
            score = scores.get(name)
            if score is None or score.value is None:
                cells.append("not measured")
                continue
            ends = words.ends(name, score.low, score.high)
            cells.append(f"{words.value(name, score.value)}\n{ends}")
        rows.append((run, *cells))
    return table("Test rows, with 95 % intervals", ["run", *titles], rows, titles)


def scores_document(book: ScoreBook) -> dict[str, object]:
    """Return every score of a run: split/subset, then metric, then the score."""
    return {
        f"{scores.split}/{scores.subset}": {score.metric: score for score in scores.items}
        for scores in book.items
    }
