"""What every section of a recipe is, and a record of which options are read."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

Reads = set[tuple[int, str]]
_reads: ContextVar[Reads | None] = ContextVar("reads", default=None)


def record_reads() -> Reads:
    """Return a set that from now on takes up `(id of the section, option)` of every read."""
    reads: Reads = set()
    _reads.set(reads)
    return reads


class Section(BaseModel):
    """A part of a recipe: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    if not TYPE_CHECKING:

        def __getattribute__(self, name: str) -> object:
            """Return the attribute, and note that something read it."""
            reads = _reads.get()
            if reads is not None:
                reads.add((id(self), name))
            return super().__getattribute__(name)
