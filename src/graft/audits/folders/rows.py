"""The texts that both models are asked: a few of our own, and the rows that a person gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.core.errors import DataError
from graft.core.seeds import generator
from graft.data.columns import CUSTOMARY, assign_columns
from graft.data.readers import read_table

# Plain and long, numbers, code, other scripts, signs, odd spaces: where tokenizers differ.
PROBES = (
    "The quick brown fox jumps over the lazy dog.",
    "Naïve café owners paid 1,299.50 € on 2024-02-29; Zürich–Łódź took 7 h 05.",
    "def add(a: int, b: int) -> int:\n    return a + b  # tabs\tand spaces",
    "Сегодня хорошая погода. 今天天气很好。 مرحبا بالعالم 🙂🚀",
    "UPPER lower MiXeD don't can't won't e-mail: name@example.org https://example.org/?q=1",
    "I am looking for a quiet room near the university, no smokers, two cats.",
    "The contract ends after 30 days unless either side renews it in writing.",
    " ".join(f"Sentence {number} says that item {number * 7} is new." for number in range(40)),
)
VOCABULARY_TEXTS, WORDS_EACH = 4, 12
_TEXT = ("text", "sentence", "content", "review", "document", "input", "prompt")


@dataclass(frozen=True)
class Rows:
    """Rows of one or two texts each.

    Args:
        name: Name of the file.
        texts: The texts of each row.
        labels: The label of each row; None if the file has no labels.
    """

    name: str
    texts: tuple[tuple[str, ...], ...]
    labels: tuple[object, ...] | None


def read_rows(path: Path) -> Rows:
    """Return the rows of a table with a text column, or two, and perhaps a label.

    Raises:
        DataError: The file cannot be read, or no column is known to hold texts.
    """
    frame = read_table(path).frame
    columns = [str(column) for column in frame.columns]
    single = [name for name in columns if name.lower() in _TEXT]
    labels = [name for name in columns if name.lower() in CUSTOMARY["label"]]
    try:
        pair = assign_columns(columns, {}, path.name, ("sentence1", "sentence2"), ())
        chosen = list(pair.values())
    except DataError:
        if not single:
            raise
        chosen = single[:1]
    kept = frame.dropna(subset=[*chosen, *labels[:1]])
    texts = zip(*(kept[name].astype(str) for name in chosen), strict=True)
    return Rows(
        name=path.name,
        texts=tuple(texts),
        labels=tuple(_label(value) for value in kept[labels[0]]) if labels else None,
    )


def _label(value: object) -> object:
    """Return the label as text or number; `"3"` and `3.0` become 3."""
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    return int(number) if number.is_integer() else number


def texts_of(tokenizer: Any) -> tuple[str, ...]:  # noqa: ANN401 - Transformers has many classes
    """Return a few texts of words that the tokenizer knows, the same each time.

    A tokenizer of a narrow domain may know no word of `PROBES`.
    """
    special = set(tokenizer.all_special_ids)
    known = sorted(place for place in tokenizer.get_vocab().values() if place not in special)
    rng = generator(0, "probe_texts", len(known))
    if not known:
        return ()
    drawn = rng.choice(known, size=(VOCABULARY_TEXTS, WORDS_EACH)).tolist()
    return tuple(str(tokenizer.decode(places)) for places in drawn)
