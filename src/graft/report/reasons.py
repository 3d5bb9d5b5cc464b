"""Test rows with the words that decided them, as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from graft.core.reasons import ExplainedRow, FrequentWord, WordEffect
from graft.report.evidence import Evidence, RunEvidence
from graft.report.numerals import share, signed
from graft.report.tables import Table, from_frame

FAINTEST = 0.1  # of log-odds; a word below it is not marked
MOST_NAMED = 3


@dataclass(frozen=True)
class Piece:
    """A part of a text: a word with its effect, or what lies between two of them.

    Args:
        text: As it stands in the text.
        side: `for` or `against` the decided class, empty for a piece without a mark.
        strength: 0 to 1, the effect over the strongest one of the row.
        words: The effect in words.
    """

    text: str
    side: str = ""
    strength: float = 0.0
    words: str = ""


@dataclass(frozen=True)
class ReadText:
    """One text column of a row, in pieces."""

    column: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class ReadRow:
    """A row with its texts and what spoke for and against its decision.

    Args:
        row: The row and its words.
        heading: What was decided, how surely, and what is true.
        texts: Its texts.
        summary: The strongest words in a sentence.
    """

    row: ExplainedRow
    heading: str
    texts: tuple[ReadText, ...]
    summary: str


@dataclass(frozen=True)
class ReadRun:
    """The explained rows of one arm, by why they were chosen, and the words over all of them."""

    run: RunEvidence
    groups: tuple[tuple[str, tuple[ReadRow, ...]], ...]
    words: Table


def read_runs(evidence: Evidence) -> list[ReadRun]:
    """Return every arm whose rows were explained, in the order of the page."""
    return [
        _read_run(run)
        for run in evidence.candidates
        if run.reasons is not None and run.reasons.rows
    ]


def _read_run(run: RunEvidence) -> ReadRun:
    rows = run.reasons.rows if run.reasons else ()
    groups = tuple(
        (chosen, tuple(read_row(row) for row in rows if row.chosen == chosen))
        for chosen in dict.fromkeys(row.chosen for row in rows)
    )
    frequent = _frequent(run.reasons.words if run.reasons else ())
    return ReadRun(run, groups, from_frame(frequent, f"{run.name}/reasons.json"))


def _frequent(words: Sequence[FrequentWord]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "decided": [word.decided for word in words],
            "word": [word.word for word in words],
            "mean effect": [word.effect for word in words],
            "rows with it": [f"{word.rows} of {word.of}" for word in words],
        }
    )


def read_row(row: ExplainedRow) -> ReadRow:
    """Return a row as the page shows it."""
    strongest = max((abs(word.effect) for word in row.words), default=0.0)
    truth = "which is right" if row.right else f"but it is {row.label}"
    return ReadRow(
        row=row,
        heading=f"Decided {row.decided} ({share(row.probability)}), {truth}",
        texts=tuple(
            ReadText(column, pieces(text, [w for w in row.words if w.column == column], strongest))
            for column, text in row.texts.items()
            if text.strip()
        ),
        summary=_summary(row),
    )


def pieces(text: str, words: Sequence[WordEffect], strongest: float) -> tuple[Piece, ...]:
    """Return the text cut at its marked words; put together again it is the text.

    Args:
        text: The text.
        words: Its words with their effects, in order.
        strongest: Largest effect of the row, without its sign.

    Example:
        >>> word = WordEffect("note", 4, "nights", 0.4)
        >>> [piece.text for piece in pieces("For nights only", [word], 0.4)]
        ['For ', 'nights', ' only']
    """
    found, done = list[Piece](), 0
    for word in words:
        if abs(word.effect) < FAINTEST:
            continue
        if word.start > done:
            found.append(Piece(text[done : word.start]))
        side = "for" if word.effect > 0 else "against"
        effect = f"{signed(word.effect, 2)}: {side} the decision"
        found.append(Piece(word.word, side, round(abs(word.effect) / strongest, 2), effect))
        done = word.start + len(word.word)
    return (*found, Piece(text[done:])) if done < len(text) else tuple(found)


def _summary(row: ExplainedRow) -> str:
    marked = sorted(
        (word for word in row.words if abs(word.effect) >= FAINTEST),
        key=lambda word: -abs(word.effect),
    )
    untried = f" {row.untried} further words were not tried." if row.untried else ""
    if not marked:
        return f"No single word changes the log-odds by {FAINTEST} or more.{untried}"
    parts = []
    for side, sign in (("For it", 1), ("Against it", -1)):
        named = [word for word in marked if word.effect * sign > 0][:MOST_NAMED]
        if named:
            parts.append(f"{side}: {', '.join(f'{w.word} {signed(w.effect, 2)}' for w in named)}.")
    return " ".join(parts) + untried
