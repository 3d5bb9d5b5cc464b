"""The forms in which two texts are compared: as written, and with the dress taken off."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pandas as pd

Key = tuple[str, ...]
# First letters of the Unicode categories that are no content: punctuation, separator, control.
DRESS = "PZC"
# Most text is ASCII, and one table look-up per text is ten times as fast as one per character.
_ASCII_DRESS = {code: None for code in range(128) if unicodedata.category(chr(code))[0] in DRESS}
_ASCII_GAPS = dict.fromkeys(_ASCII_DRESS, " ")


def normalise(text: str) -> str:
    """Return the text lower-cased, without punctuation, spaces and control characters.

    A text of nothing but punctuation keeps its characters, so that ":)" and ":(" stay apart.
    Full-width letters and ligatures become plain ones (Unicode NFKC); accents, vowel signs and
    symbols such as + stay.

    Example:
        >>> normalise("Hello,  World!"), normalise("C++"), normalise(":)")
        ('helloworld', 'c++', ':)')
    """
    if text.isascii():
        return text.lower().translate(_ASCII_DRESS) or "".join(text.lower().split())
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(char for char in plain if unicodedata.category(char)[0] not in DRESS)
    # What a space kept apart may now combine, such as a letter and its accent.
    return unicodedata.normalize("NFKC", kept) or "".join(plain.split())


def word_form(text: str) -> str:
    """Return the text lower-cased, with one space for each run of punctuation, spaces and controls.

    As `normalise`, but words stay apart: "top-up" is "top up" and not "topup".

    Example:
        >>> word_form("Hello,  World!"), word_form("top-up"), word_form(":)")
        ('hello world', 'top up', ':)')
    """
    if text.isascii():
        plain = text.lower()
        return " ".join(plain.translate(_ASCII_GAPS).split()) or "".join(plain.split())
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = (char if unicodedata.category(char)[0] not in DRESS else " " for char in plain)
    return " ".join("".join(kept).split()) or "".join(plain.split())


def is_blank(text: str) -> bool:
    """Return True if the text has no visible character.

    Example:
        >>> is_blank(" \u200b"), is_blank(".")
        (True, False)
    """
    return all(unicodedata.category(char)[0] in "ZC" for char in text)


def input_keys(frame: pd.DataFrame, texts: tuple[str, ...], *, normal: bool) -> list[Key]:
    """Return one key per row that is equal for equal inputs, whatever the order of the texts.

    Args:
        frame: Rows.
        texts: Text columns.
        normal: Compare the normal forms instead of the texts as written.

    Example:
        >>> frame = pd.DataFrame({"sentence1": ["b"], "sentence2": ["A"]})
        >>> input_keys(frame, ("sentence1", "sentence2"), normal=True)
        [('a', 'b')]
    """
    columns = [forms(frame[text].tolist(), normal=normal) for text in texts]
    return [tuple(sorted(row)) for row in zip(*columns, strict=True)]


def forms(values: list[str], *, normal: bool, form: Callable[[str], str] = normalise) -> list[str]:
    """Return the texts in the form that is compared; repeated texts are worked out once."""
    if not normal:
        return values
    known = {text: form(text) for text in set(values)}
    return [known[text] for text in values]
