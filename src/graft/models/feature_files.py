"""The folder of stored outputs: one file of numbers, one index, and the hash of both."""

from __future__ import annotations

import hashlib
import shutil
import time
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from graft.core.files import committed_folder, manifest_problems, read_json, write_json
from graft.core.ledger import FeatureRecord
from graft.models.precision import NumberFormat

FORMAT = 1
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}
_VALUES, _INDEX = "features.bin", "index.json"


@dataclass(frozen=True)
class FeaturePlace:
    """Where and how outputs are stored.

    Args:
        folder: Folder that is made; whole or absent.
        precision: Number format of the forward pass and of what is stored.
        limit_bytes: Largest size.
    """

    folder: Path
    precision: NumberFormat
    limit_bytes: int


@dataclass(frozen=True)
class FeatureIndex:
    """What the folder holds.

    Args:
        key: Hash of the frozen tensors, the texts, the number format and the version of the files.
        starts: Name of a text to its first row and number of rows in the file.
        width: Numbers a row.
        record: What the ledger says of it.
    """

    key: str
    starts: dict[str, tuple[int, int]]
    width: int
    record: FeatureRecord


def text_name(text: Sequence[int]) -> str:
    """Return a name of the text, the same for the same token ids.

    Example:
        >>> text_name([7, 8]) == text_name((7, 8)) != text_name([8, 7])
        True
    """
    return hashlib.blake2b(array("q", text).tobytes(), digest_size=16).hexdigest()


def stored_index(place: FeaturePlace, key: str) -> FeatureIndex | None:
    """Return the index of the folder if its hashes verify and it was made for `key`."""
    if not (place.folder / _INDEX).is_file() or manifest_problems(place.folder):
        return None
    index = read_json(place.folder / _INDEX, FeatureIndex)
    return index if index.key == key else None


def write_outputs(
    place: FeaturePlace,
    key: str,
    prefix: str,
    outputs: Iterable[tuple[Sequence[Sequence[int]], Tensor]],
) -> FeatureIndex:
    """Write the folder anew and return its index.

    Args:
        place: Where; what is there goes.
        key: Of the index.
        prefix: What was computed, in words.
        outputs: Texts with their rows, either one a text or one a token: `[rows, width]`.
    """
    started = time.perf_counter()
    starts: dict[str, tuple[int, int]] = {}
    written = width = 0
    digest = hashlib.sha256()
    shutil.rmtree(place.folder, ignore_errors=True)
    with committed_folder(place.folder) as folder:
        with (folder / _VALUES).open("wb") as file:
            for texts, rows in outputs:
                data = rows.contiguous().view(torch.uint8).numpy().tobytes()
                file.write(data)
                digest.update(data)
                width = rows.shape[1]
                one_each = len(rows) == len(texts)
                for text in texts:
                    starts[text_name(text)] = (written, 1 if one_each else len(text))
                    written += starts[text_name(text)][1]
        record = FeatureRecord(
            prefix=prefix,
            texts=len(starts),
            bytes=written * width * FORMATS[place.precision].itemsize,
            number_format=place.precision,
            sha256=digest.hexdigest(),
            seconds=time.perf_counter() - started,
        )
        index = FeatureIndex(key, starts, width, record)
        write_json(folder / _INDEX, index)
    return index


def mapped_values(place: FeaturePlace, index: FeatureIndex) -> Tensor:
    """Return the stored numbers, mapped into memory: `[rows, width]`."""
    rows = sum(count for _, count in index.starts.values())
    values = torch.from_file(
        str(place.folder / _VALUES), size=rows * index.width, dtype=FORMATS[place.precision]
    )
    return values.view(rows, index.width)
