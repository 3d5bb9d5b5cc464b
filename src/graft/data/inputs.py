"""What counts as the same input, and which inputs say enough to give a row away."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graft.core.facts import RowFacts
from graft.data.alike import same_series
from graft.data.near import SHORT_WORDS, words
from graft.data.normal_form import Key, forms, input_keys, normalise, word_form
from graft.data.series import COLUMN, series_digest

# Writing without spaces has few words, however much it says.
LONG_CHARACTERS = 40


def whole_inputs(frame: pd.DataFrame, facts: RowFacts) -> list[Key]:
    """Return one key per row that is equal for equal inputs: all texts and table values.

    Args:
        frame: Rows.
        facts: Text columns, table columns and classes; without classes the texts are a pair, whose
            order plays no part.

    Example:
        >>> frame = pd.DataFrame({"review": ["Good", "Good"], "age": [30.0, float("nan")]})
        >>> whole_inputs(frame, RowFacts(("review",), ("age",), classes=("no", "yes")))
        [('Good', '30.0'), ('Good', 'nan')]
    """
    if facts.channels:
        return [(series_digest(series),) for series in frame[COLUMN]]
    if not facts.classes:
        return input_keys(frame, facts.texts, normal=False)
    return _rows(frame, (*facts.texts, *facts.table))


def telling_inputs(frame: pd.DataFrame, facts: RowFacts, *, normal: bool) -> list[Key]:
    """Return one key per row that is equal where one row gives the other away.

    Of pairs that is the pair, whatever its order. Of a classification it is the texts of the row,
    and, where these do not say enough, the table values with them.

    Args:
        frame: Rows.
        facts: Text columns, table columns and classes.
        normal: Compare the normal forms instead of the texts as written.

    Example:
        >>> frame = pd.DataFrame({"title": ["Nice!"], "age": [30.0]})
        >>> telling_inputs(frame, RowFacts(("title",), ("age",), classes=("n", "y")), normal=True)
        [('nice', '30.0')]
    """
    if not facts.classes:
        return input_keys(frame, facts.texts, normal=normal)
    texts, enough = compared_texts(frame, facts, normal=normal), says_enough(frame, facts)
    return [
        row if alone else (*row, *values)
        for row, values, alone in zip(texts, _rows(frame, facts.table), enough, strict=True)
    ]


def input_units(frame: pd.DataFrame, facts: RowFacts) -> np.ndarray:
    """Return [N] a number for each row, equal where one row gives the other away.

    Args:
        frame: Rows.
        facts: What a task knows of its rows.

    Example:
        >>> frame = pd.DataFrame({"review": ["Good!", "good", "bad"]})
        >>> input_units(frame, RowFacts(("review",), classes=("no", "yes"))).tolist()
        [0, 0, 1]
    """
    if facts.channels:
        return same_series(frame[COLUMN].tolist())
    return pd.factorize(pd.Series(telling_inputs(frame, facts, normal=True)))[0]


def compared_texts(frame: pd.DataFrame, facts: RowFacts, *, normal: bool) -> list[Key]:
    """Return the texts of each row in the order of the columns, missing ones left out.

    Args:
        frame: Rows.
        facts: Text columns, table columns and classes.
        normal: Return normal forms (`normalise` of pairs, `word_form` of a classification) instead
            of the texts as written.

    Example:
        >>> frame = pd.DataFrame({"title": ["Nice!", ""], "review": ["Fine", "It fits"]})
        >>> compared_texts(frame, RowFacts(("title", "review")), normal=False)
        [('Nice!', 'Fine'), ('It fits',)]
    """
    form = word_form if facts.classes else normalise
    columns = [forms(frame[text].tolist(), normal=normal, form=form) for text in facts.texts]
    rows = zip(*columns, strict=True) if columns else iter([()] * len(frame))
    return [tuple(text for text in row if text) for row in rows]


def says_enough(frame: pd.DataFrame, facts: RowFacts) -> np.ndarray:
    """Return [N] whether the texts of a row are too long to be equal by chance.

    A title such as "Love it" stands over many reviews. So where a row of a classification has a
    table or several texts, one of its texts must have at least 5 words or 40 characters. Where one
    text is all that there is, it is the input, however short.

    Args:
        frame: Rows.
        facts: Text columns, table columns and classes.

    Example:
        >>> frame = pd.DataFrame({"title": ["Love it", "I love it so much"], "age": [1.0, 2.0]})
        >>> says_enough(frame, RowFacts(("title",), ("age",), classes=("n", "y"))).tolist()
        [False, True]
    """
    enough = np.zeros(len(frame), dtype=bool)
    if not facts.classes or (len(facts.texts) == 1 and not facts.table):
        return ~enough
    for column in facts.texts:
        enough |= np.fromiter((_is_long(text) for text in frame[column]), bool, len(frame))
    return enough


def _is_long(text: str) -> bool:
    return len(text) >= LONG_CHARACTERS or len(words(text)) >= SHORT_WORDS


def _rows(frame: pd.DataFrame, columns: tuple[str, ...]) -> list[Key]:
    parts = [[str(value) for value in frame[column].tolist()] for column in columns]
    return list(zip(*parts, strict=True)) if parts else [()] * len(frame)
