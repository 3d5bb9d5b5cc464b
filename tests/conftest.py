"""What all tests share: a tiny encoder, made from a config in code, never downloaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tiny_models import build_tiny_encoder, colour_pairs, write_encoder, write_jsonl

VOCABULARY_SEED = 7


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Sentence-Transformers folder: BERT of two layers of width 32, mean pooling, 64 tokens.

    Its WordPiece vocabulary holds the letters and every word of the flatmate generator. The same
    bytes each time.
    """
    folder = tmp_path_factory.mktemp("tiny")
    return write_encoder(folder, words(), seed=VOCABULARY_SEED, max_tokens=64)


def words() -> list[str]:
    from graft.synthetic import flatmates

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    signs = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = [f"##{sign}" for sign in signs if sign.isalnum()]
    topics = [topic for axis in flatmates.AXES for pole in axis.poles for topic in pole]
    phrases = [*flatmates.LIKES, *flatmates.DISLIKES, *flatmates.DEALBREAKERS, *flatmates.MOMENTS]
    known = set(re.findall(r"[a-z]{2,}", " ".join([*topics, *phrases]).lower()))
    return [*special, *signs, *pieces, *sorted(known)]


@pytest.fixture(scope="session")
def colour_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an encoder whose words are colours; it learns `pair_files` in seconds."""
    return build_tiny_encoder(tmp_path_factory.mktemp("colours"))


@pytest.fixture(scope="session")
def pair_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A training and a test file of pairs; the label says whether both texts are of one colour."""
    folder = tmp_path_factory.mktemp("pairs")
    train = write_jsonl(colour_pairs(160, 1), folder / "train.jsonl")
    return train, write_jsonl(colour_pairs(60, 2), folder / "test.jsonl")
