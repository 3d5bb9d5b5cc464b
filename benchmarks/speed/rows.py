"""The rows that both sides get: public data sets read, shuffled, and written as Parquet files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

SEED = 42


@dataclass(frozen=True)
class Rows:
    """Rows to train on, or to encode, and rows to judge the result on."""

    train: pd.DataFrame
    test: pd.DataFrame

    def few(self, train: int, test: int) -> Rows:
        """Return so many of them, always the same."""
        return Rows(self.train.head(train), self.test.head(test))


def read(name: str, data: Path) -> Rows:
    """Return a data set by its name, in an order that is random and always the same.

    Args:
        name: A key of `READERS`.
        data: Folder of the data sets.

    Raises:
        FileNotFoundError: The data set is not there.
    """
    found = READERS[name](data / name)
    return Rows(*(part.sample(frac=1, random_state=SEED) for part in (found.train, found.test)))


def _dating(folder: Path) -> Rows:
    names = {"text_1": "sentence1", "text_2": "sentence2"}
    parts = (
        pd.read_json(folder / f"{split}.jsonl", lines=True).rename(columns=names)
        for split in ("train", "eval")
    )
    return Rows(
        *(part[["sentence1", "sentence2", "label"]].astype({"label": float}) for part in parts)
    )


def _sts(folder: Path) -> Rows:
    def part(split: str) -> pd.DataFrame:
        # Quotes are literal and some lines have two more fields: the licence of the sentences.
        lines = (folder / f"sts-{split}.csv").read_text(encoding="utf-8").splitlines()
        fields = [line.split("\t") for line in lines]
        columns = {"sentence1": [f[5] for f in fields], "sentence2": [f[6] for f in fields]}
        return pd.DataFrame({**columns, "label": [float(f[4]) / 5 for f in fields]})

    return Rows(part("train"), part("test"))


def _banking(folder: Path) -> Rows:
    names = json.loads((folder / "categories.json").read_text(encoding="utf-8"))
    number = {name: index for index, name in enumerate(names)}

    def part(split: str) -> pd.DataFrame:
        with (folder / f"{split}.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        labels = [number[row["category"]] for row in rows]
        return pd.DataFrame({"text": [row["text"] for row in rows], "label": labels})

    return Rows(part("train"), part("test"))


def _tickets(folder: Path) -> Rows:
    whole = pd.read_csv(folder / "tickets.csv.gz").rename(columns={"Document": "text"})
    texts = whole[["text"]].sample(20_000, random_state=SEED)
    return Rows(texts, texts.head(0))


READERS: dict[str, Callable[[Path], Rows]] = {
    "dating_pairs": _dating,
    "stsbenchmark": _sts,
    "banking77": _banking,
    "it_service_tickets": _tickets,
}
