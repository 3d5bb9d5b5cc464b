"""How the rows of a step are divided into micro-batches, and divided again if memory runs out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from graft.config.sections import ArmSection, TrainingSection
from graft.core.errors import OutOfMemoryError
from graft.tasks.protocol import Example, TrainingTask

# On a GPU there is a class for it. On a processor torch, the C++ library and oneDNN say this; the
# last when it cannot map memory for its code.
_SAID = re.compile(
    r"can't allocate memory|not enough memory|bad_alloc|could not create a (primitive|memory)\b"
    r"(?! desc)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MicroBatchLimit:
    """How large a micro-batch may be.

    Args:
        rows: Largest number of rows; not looked at if there is a limit in tokens.
        tokens: Largest number of tokens, padding not counted; None for a limit in rows. A row of
            more tokens is a micro-batch of its own.

    Example:
        >>> print(MicroBatchLimit(16)), print(MicroBatchLimit(16, tokens=4096))
        16 rows
        4,096 tokens
        (None, None)
    """

    rows: int
    tokens: int | None = None

    def __str__(self) -> str:
        return f"{self.rows:,} rows" if self.tokens is None else f"{self.tokens:,} tokens"


@dataclass(frozen=True)
class DoesNotFit:
    """A micro-batch that memory had no room for, and what torch said."""

    part: Sequence[Example]
    said: str


def limit_of(training: TrainingSection) -> MicroBatchLimit:
    """Return the limit that the recipe sets; `auto` is by rows until something is measured.

    Example:
        >>> limit_of(TrainingSection(max_tokens_per_micro_batch=512))
        MicroBatchLimit(rows=16, tokens=512)
    """
    tokens = training.max_tokens_per_micro_batch
    rows = training.per_device_train_batch_size
    return MicroBatchLimit(rows, None if tokens == "auto" else tokens)


def split(
    task: TrainingTask, examples: Sequence[Example], limit: MicroBatchLimit
) -> list[list[Example]]:
    """Return the examples in micro-batches within the limit, every example exactly once.

    By rows they stay in their order. By tokens they are sorted by length first, so that like
    lengths meet; a row-wise loss has the same sum in any order.

    Args:
        task: Knows the tokens of an example.
        examples: The rows of a step.
        limit: Rows or tokens per micro-batch.
    """
    if limit.tokens is None:
        size = limit.rows
        return [list(examples[start : start + size]) for start in range(0, len(examples), size)]
    parts: list[list[Example]] = []
    room = 0
    for example in sorted(examples, key=task.length):
        tokens = task.tokens(example)
        if not parts or tokens > room:
            parts.append([])
            room = limit.tokens
        parts[-1].append(example)
        room -= tokens
    return parts


def mean_tokens(
    task: TrainingTask,
    training: TrainingSection,
    examples: Sequence[Example],
    limit: MicroBatchLimit,
) -> float:
    """Return the tokens of a micro-batch, as a mean over the rows.

    Args:
        task: Knows the tokens of an example.
        training: Knows the rows of a step.
        examples: Training rows.
        limit: Rows or tokens per micro-batch.
    """
    tokens = sum(map(task.tokens, examples)) / len(examples)
    if limit.tokens is None:
        return limit.rows * tokens
    step = training.per_device_train_batch_size * training.gradient_accumulation_steps
    return min(limit.tokens, step * tokens)


def halved(
    task: TrainingTask, arm: ArmSection, tried: DoesNotFit, limit: MicroBatchLimit
) -> MicroBatchLimit:
    """Return half the size of a micro-batch that memory had no room for.

    Args:
        task: The kind of task.
        arm: Its loss says whether a micro-batch may be divided.
        tried: The micro-batch that did not fit.
        limit: The limit that it was made by.

    Raises:
        OutOfMemoryError: It holds one row, or its rows are compared with one another.
    """
    part, tokens = tried.part, sum(map(task.tokens, tried.part))
    if len(part) == 1:
        raise OutOfMemoryError(
            f"row {part[0].row} alone, {tokens:,} tokens, does not fit into memory ({tried.said}). "
            "Fix: lower base.max_seq_length, take a smaller base or method lora, or free memory"
        )
    if not task.rowwise(arm):
        raise OutOfMemoryError(
            f"a micro-batch of {len(part)} rows, {tokens:,} tokens, does not fit into memory "
            f"({tried.said}), and the loss compares the rows of a micro-batch with one another: "
            "halves of it would be another loss. Fix: lower "
            "training.per_device_train_batch_size or base.max_seq_length, or free memory"
        )
    if limit.tokens is None:
        return MicroBatchLimit(len(part) // 2)
    return MicroBatchLimit(limit.rows, tokens // 2)


def out_of_memory(error: BaseException) -> bool:
    """Return True if the error says that memory ran out, on a GPU or a processor.

    Example:
        >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("shapes differ"))
        (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_SAID.search(str(error)))
