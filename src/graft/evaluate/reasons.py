"""Which words decide: each word of some test rows is left out, and the model is asked again."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from graft.core.facts import RowFacts
from graft.core.reasons import ExplainedRow, FrequentWord, WordEffect
from graft.evaluate.fusion import SMALLEST
from graft.metrics.decisions import correct, decisions
from graft.metrics.probabilities import probabilities_of
from graft.tasks.class_texts import fair_share
from graft.tasks.protocol import Array

OF_A_KIND = 4  # explained rows of each of three kinds
MOST_WORDS = 120  # of one row
MOST_FREQUENT = 20  # words over all rows
RIGHT, WRONG, UNDECIDED = "certain and right", "certain and wrong", "undecided"
# Chinese and Japanese do not part their words: there one character counts as a word.
_UNPARTED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_LETTER = rf"[^\W{_UNPARTED}]"
_WORD = re.compile(rf"[{_UNPARTED}]|{_LETTER}+(?:['\u2019.-]{_LETTER}+)*")
Predict = Callable[[pd.DataFrame], Array]


@dataclass(frozen=True)
class _Word:
    """A word that is left out: where it stands."""

    place: int  # of the row among the chosen ones
    column: str
    start: int
    text: str

    def out_of(self, text: str) -> str:
        """Return the text without it, and without the space that would be left over."""
        head, tail = text[: self.start], text[self.start + len(self.text) :]
        if not head.strip():
            return tail.lstrip()
        if head[-1].isspace() and (not tail or tail[0].isspace()):
            head = head[:-1]
        return head + tail


def explain_rows(
    frame: pd.DataFrame, facts: RowFacts, predict: Predict
) -> tuple[ExplainedRow, ...]:
    """Return some rows with the effect of each of their words, measured by leaving it out.

    The change of an output when a piece of its input is hidden is called occlusion (Zeiler &
    Fergus 2014; for words, Li et al. 2016). It is measured in log-odds (Robnik-Šikonja & Kononenko
    2008), which move where probabilities near 1 no longer do. Each word is left out alone, so
    effects do not add up: two words that say the same may both have none.

    Args:
        frame: Test predictions with label and texts.
        facts: Text columns and classes.
        predict: Rows to probabilities, shape (rows, classes); called once.
    """
    chosen = chosen_rows(frame)
    if not chosen:
        return ()
    rows = frame.iloc[list(chosen)].reset_index(drop=True)
    tried, untried = _words(rows, facts)
    variants = rows.iloc[[word.place for word in tried]].copy()
    for column in facts.texts:
        variants[column] = [
            word.out_of(text) if word.column == column else text
            for word, text in zip(tried, variants[column], strict=True)
        ]
    found = predict(pd.concat([rows, variants], ignore_index=True))
    decided = _decided(rows).astype(int)
    whole = found[np.arange(len(rows)), decided]
    of_word = decided[[word.place for word in tried]]
    without = _log_odds(found[len(rows) :][np.arange(len(tried)), of_word])
    effects: list[list[WordEffect]] = [[] for _ in range(len(rows))]
    for word, before, after in zip(
        tried, _log_odds(whole[[w.place for w in tried]]), without, strict=True
    ):
        effects[word.place].append(
            WordEffect(word.column, word.start, word.text, float(before - after))
        )
    return tuple(
        ExplainedRow(
            row=str(row["row"]),
            chosen=kind,
            label=facts.classes[int(row["label"])],
            decided=facts.classes[decided[place]],
            probability=float(whole[place]),
            texts={column: str(row[column]) for column in facts.texts},
            words=tuple(effects[place]),
            untried=untried[place],
        )
        for place, (kind, row) in enumerate(
            zip(chosen.values(), rows.to_dict("records"), strict=True)
        )
    )


def chosen_rows(frame: pd.DataFrame) -> dict[int, str]:
    """Return the places of the rows that are explained, and why each was chosen.

    The four that are decided right with the highest probability, the four that are decided wrong
    so, and of the others the four with the least margin: from the threshold among two classes,
    between the two most probable ones among more. Equal ones in the order of the rows.

    Args:
        frame: Test predictions.

    Example:
        >>> rows = {"score": [0.9, 0.2, 0.6], "threshold": 0.5, "label": [1.0, 1.0, 1.0]}
        >>> chosen_rows(pd.DataFrame(rows))
        {0: 'certain and right', 2: 'certain and right', 1: 'certain and wrong'}
    """
    columns = _columns(frame)
    right = correct(columns)
    if right is None:
        return {}
    every = probabilities_of(columns)
    certain = np.argsort(-every[np.arange(len(every)), _decided(frame).astype(int)], kind="stable")
    if "threshold" in columns:
        margins = np.abs(columns["score"] - columns["threshold"])
    else:
        margins = np.diff(np.sort(every, axis=1)[:, -2:], axis=1)[:, 0]
    found = dict.fromkeys([int(n) for n in certain if right[n]][:OF_A_KIND], RIGHT)
    found |= dict.fromkeys([int(n) for n in certain if not right[n]][:OF_A_KIND], WRONG)
    near = [int(n) for n in np.argsort(margins, kind="stable") if int(n) not in found]
    return found | dict.fromkeys(near[:OF_A_KIND], UNDECIDED)


def frequent_words(rows: Sequence[ExplainedRow]) -> tuple[FrequentWord, ...]:
    """Return the words with the largest mean effect, by the class that rows are decided for.

    A word that stands in a row several times counts with its mean there, and 0 in a row without
    it.

    Args:
        rows: Explained rows.
    """
    sums: Counter[tuple[str, str]] = Counter()
    holding: Counter[tuple[str, str]] = Counter()
    for row in rows:
        own = defaultdict[str, list[float]](list)
        for word in row.words:
            own[word.word.lower()].append(word.effect)
        for text, effects in own.items():
            sums[row.decided, text] += float(np.mean(effects))  # type: ignore[assignment]
            holding[row.decided, text] += 1
    of = Counter(row.decided for row in rows)
    found = [
        FrequentWord(name, text, total / of[name], holding[name, text], of[name])
        for (name, text), total in sums.items()
    ]
    ordered = sorted(found, key=lambda word: (-abs(word.effect), word.decided, word.word))
    return tuple(ordered[:MOST_FREQUENT])


def words_of(text: str) -> list[tuple[int, str]]:
    """Return the words of a text, each with where it begins.

    Example:
        >>> words_of("I don't do nights.")
        [(0, 'I'), (2, "don't"), (8, 'do'), (11, 'nights')]
    """
    return [(match.start(), match.group()) for match in _WORD.finditer(text)]


def _words(rows: pd.DataFrame, facts: RowFacts) -> tuple[list[_Word], list[int]]:
    """Return the words to leave out, and of each row how many are beyond those.

    The columns of a row share the words that may be tried; the longest gives way first.
    """
    tried, untried = list[_Word](), list[int]()
    for place, row in enumerate(rows.to_dict("records")):
        known = {column: words_of(row[column]) for column in facts.texts}
        lengths = [len(words) for words in known.values()]
        most = fair_share(lengths, MOST_WORDS)
        untried.append(sum(max(length - most, 0) for length in lengths))
        tried += [
            _Word(place, column, start, text)
            for column, words in known.items()
            for start, text in words[:most]
        ]
    return tried, untried


def _log_odds(probabilities: Array) -> Array:
    found: Array = logit(np.clip(probabilities, SMALLEST, 1 - SMALLEST))
    return found


def _columns(frame: pd.DataFrame) -> Mapping[str, Array]:
    kinds = frame.select_dtypes("number")
    return {str(name): frame[name].to_numpy(dtype=np.float64) for name in kinds}


def _decided(frame: pd.DataFrame) -> Array:
    found = decisions(_columns(frame))
    if found is None:
        raise ValueError("rows without a decision were chosen")
    return found
