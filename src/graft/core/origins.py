"""Where every tensor of a loaded model came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Origin(StrEnum):
    """Where the values of a tensor came from."""

    file = "file"
    tied = "tied"
    new = "new"


@dataclass(frozen=True)
class TensorOrigin:
    """The origin of one parameter or buffer.

    Args:
        name: Dotted name in the model.
        origin: From a file, tied to another tensor, or new.
        source: `file:key`, the name it is tied to, or how it was initialised.
        shape: Its shape.
        identical: True if the values in memory equal the file bit for bit (after the cast to
            the loaded type); None if it did not come from a file.
    """

    name: str
    origin: Origin
    source: str
    shape: tuple[int, ...]
    identical: bool | None


@dataclass(frozen=True)
class LoadReport:
    """What loading a base model did.

    Args:
        base: Base as the recipe names it.
        found: How it was found: `folder`, `embedded`, `hub`, or `made` by the experiment itself.
        files: SHA-256 of every weight file, by name.
        tensors: Every parameter and persistent buffer of the model.
        missing: Tensors of the model that no file has.
        unexpected: Tensors of the files that the model does not have.
        mismatched: Tensors whose shapes differ.
        allowed: Patterns of the recipe that allow some of these.
        parameters: Number of parameters.
        left_out: Modules of the base that the model does without, by their folders: a
            normalisation before a classification head.
    """

    base: str
    found: str
    files: dict[str, str]
    tensors: tuple[TensorOrigin, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    allowed: tuple[str, ...]
    parameters: int
    left_out: tuple[str, ...] = ()
