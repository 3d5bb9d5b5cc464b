"""Tiny real models built from a config in code, and rows that can be learned from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from sentence_transformers.sentence_transformer.modules import Transformer as TransformerModule
from transformers import BertConfig, BertModel, BertTokenizerFast

from graft.core.facts import MULTI_LABEL, REGRESSION, RowFacts

WORDS = [f"{kind}{index}" for kind in ("red", "blue", "green") for index in range(24)]


def write_encoder(
    folder: Path, vocabulary: list[str], seed: int, max_tokens: int, layers: int = 2
) -> Path:
    """Return the folder of a BERT encoder of width 32 with mean pooling; the same bytes each time.

    Args:
        folder: Where to write.
        vocabulary: WordPiece vocabulary, special tokens first.
        seed: Seed of the weights.
        max_tokens: Tokens that the encoder reads.
        layers: Number of layers.
    """
    backbone = folder / "backbone"
    backbone.mkdir(parents=True)
    file = backbone / "vocab.txt"
    file.write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    BertTokenizerFast(vocab=str(file), model_max_length=max_tokens).save_pretrained(backbone)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(backbone)
    module = TransformerModule(str(backbone), max_seq_length=max_tokens)
    modules = [module, Pooling(32, "mean"), Normalize()]
    encoder = SentenceTransformer(modules=modules, device="cpu")
    encoder.save(str(folder / "tiny-encoder"), create_model_card=False)
    return folder / "tiny-encoder"


def build_tiny_encoder(folder: Path, seed: int = 0, layers: int = 2) -> Path:
    """Return the folder of an encoder that knows the words of `colour_pairs`."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return write_encoder(folder, [*special, *WORDS], seed, max_tokens=32, layers=layers)


def colour_pairs(count: int, seed: int) -> pd.DataFrame:
    """Return pairs of three words each; the label is 1 if both texts are of one colour."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        label = index % 2
        first = int(rng.integers(3))
        second = first if label else (first + 1 + int(rng.integers(2))) % 3
        # The second texts use other words than the first: likeness of words tells nothing.
        texts = [
            " ".join(str(word) for word in rng.choice(WORDS[place : place + 12], 3))
            for place in (24 * first, 24 * second + 12)
        ]
        rows.append(
            {"sentence1": texts[0], "sentence2": texts[1], "label": label, "kind": f"k{first}"}
        )
    return pd.DataFrame(rows)


def colour_rows(count: int, seed: int, classes: int = 2) -> pd.DataFrame:
    """Return rows of two texts and two table columns; the class is the colour of the note.

    Every fifth row has no title and every seventh no size. Size and shop lean to the class.

    Args:
        count: Number of rows; classes take turns.
        seed: Seed.
        classes: 2 or 3.
    """
    rng = np.random.default_rng(seed)
    shops = ("north", "south", "east")
    rows = []
    for index in range(count):
        label = index % classes
        words = [" ".join(map(str, rng.choice(WORDS[24 * k : 24 * k + 24], 3))) for k in range(3)]
        shop = shops[label] if rng.random() < 0.6 else shops[int(rng.integers(3))]
        rows.append(
            {
                "row": f"r{index}",
                "label": float(label),
                "title": words[int(rng.integers(3))].split()[0] if index % 5 else "",
                "note": words[label],
                "size": float(rng.normal(label, 0.8)) if index % 7 else np.nan,
                "shop": shop if index % 11 else "(missing)",
            }
        )
    return pd.DataFrame(rows)


def colour_facts(classes: int = 2) -> RowFacts:
    """Return what is known of `colour_rows`."""
    names = ("red", "blue", "green")[:classes]
    return RowFacts(("title", "note"), ("size",), ("shop",), names)


def tag_rows(count: int, seed: int) -> pd.DataFrame:
    """Return rows of a note with words of up to three colours, its labels; the rest is theirs.

    Every 25th row has no label. Size leans to the number of labels.
    """
    rows = colour_rows(count, seed)
    rng = np.random.default_rng(seed + 1)
    carried = rng.random((count, 3)) < 0.45
    carried[~carried.any(axis=1), 0] = True
    carried[::25], carried[1] = False, True
    notes = []
    for index, row in enumerate(carried):
        chosen = [k for k in range(3) if row[k]]
        words = [str(word) for k in chosen for word in rng.choice(WORDS[24 * k : 24 * k + 24], 3)]
        notes.append(" ".join(rng.permutation(words).tolist()) if words else f"none of {index}")
    labels = {f"y_{k}": carried[:, k].astype(float) for k in range(3)}
    number = carried.sum(axis=1)
    size = number + rng.normal(size=count) / 2
    return rows.assign(label=number.astype(float), note=notes, size=size, **labels)


def tag_facts() -> RowFacts:
    """Return what is known of `tag_rows`."""
    return replace(colour_facts(3), problem_type=MULTI_LABEL)


def tagged_rows(count: int, seed: int) -> pd.DataFrame:
    """Return `tag_rows` as a file holds them: the labels of a row as a list of names."""
    rows, names = tag_rows(count, seed), tag_facts().classes
    labels = [[n for k, n in enumerate(names) if row[f"y_{k}"]] for _, row in rows.iterrows()]
    return rows[["title", "note", "size", "shop"]].assign(label=labels)


def amount_rows(count: int, seed: int) -> pd.DataFrame:
    """Return rows of two texts and two table columns; the label is a price in the hundreds.

    It follows from how many words of the note are red, and a little from the size.
    """
    rows = colour_rows(count, seed)
    rng = np.random.default_rng(seed + 1)
    red = rng.integers(0, 7, size=count)
    notes = [" ".join([*rng.choice(WORDS[:24], k), *rng.choice(WORDS[24:], 6 - k)]) for k in red]
    size = rng.normal(size=count)
    price = 500 + 100 * red + 40 * size + rng.normal(size=count) * 10
    return rows.assign(label=price, note=notes, size=size)


def priced_rows(count: int, seed: int) -> pd.DataFrame:
    """Return `amount_rows` as a file holds them."""
    return amount_rows(count, seed).drop(columns="row")


def amount_facts() -> RowFacts:
    """Return what is known of `amount_rows`."""
    return replace(colour_facts(2), classes=(), problem_type=REGRESSION)


def write_jsonl(frame: pd.DataFrame, path: Path) -> Path:
    """Write one JSON object per row."""
    lines = [json.dumps(row) for row in frame.to_dict("records")]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
