"""One measurement: what is asked of a child process and what it answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from graft.core.jsonable import from_plain, to_plain


@dataclass(frozen=True)
class Job:
    """What a child process measures.

    Args:
        side: `graft` or `peer`.
        kind: `pairs` and `intents` train, on text pairs and on texts with classes; `encode`.
        base: Folder of the encoder.
        train: Parquet file of the rows to train on, or to encode.
        test: Parquet file of the rows to judge the result on.
        method: What is trained: `full` everything, `lora` an adapter, `head` a new head, `top2` a
            new head and the top two layers.
        epochs: Times that every row is seen.
        batch: Rows per step; texts per batch when the peer encodes.
        rate: Peak rate of the encoder or the adapter.
        head_rate: Peak rate of a head.
        warmup: Steps of warm-up, or below 1 their share.
        precision: Graft's number format, a `Precision`; the peers compute in float32.
        vectors: File to save embeddings to; empty for none.
        seed: Seed of both sides: of the order of rows, dropout and a new head.
    """

    side: str
    kind: str
    base: str
    train: str
    test: str = ""
    method: str = "full"
    epochs: int = 1
    batch: int = 16
    rate: float = 2e-5
    head_rate: float = 1e-3
    warmup: float = 0.1
    precision: str = "auto"
    vectors: str = ""
    seed: int = 42


@dataclass(frozen=True)
class Done:
    """What the work itself came to.

    Args:
        quality: Spearman or accuracy on the test rows; None for encoding.
        steps: Optimizer steps; batches when encoding.
        tokens: Tokens that went through the encoder, padding not counted.
        padding: Positions of padding that went through the encoder.
        step_seconds: Seconds of the steps alone; 0 where nobody notes them.
    """

    quality: float | None
    steps: int
    tokens: int
    padding: int
    step_seconds: float = 0.0


@dataclass(frozen=True)
class Measured:
    """What a child process answers.

    Args:
        seconds: From rows in memory to the trained model or the embeddings.
        imported_bytes: Resident size after the imports.
        start_bytes: Resident size with rows and model loaded, before the work.
        peak_bytes: Largest resident size during the work.
        done: What the work came to.
    """

    seconds: float
    imported_bytes: int
    start_bytes: int
    peak_bytes: int
    done: Done


class ChildError(RuntimeError):
    """A measurement failed; carries the end of what its process said."""


def measure(job: Job) -> Measured:
    """Return what a new process measures of `job`.

    Raises:
        ChildError: The process failed.
    """
    command = [sys.executable, "-m", "speed.child", json.dumps(to_plain(job))]
    places = [str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    # Everything is on disk; a look at the hub would be waiting, not work.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(places)}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ran.returncode:
        raise ChildError(f"{job}: {ran.stderr.strip()[-3000:] or f'exit code {ran.returncode}'}")
    return from_plain(Measured, json.loads(ran.stdout.splitlines()[-1]))


def write_answer(measured: Measured) -> None:
    """Print the answer as the last line of the child's output."""
    print(json.dumps(to_plain(measured)), flush=True)


def read_job(text: str) -> Job:
    """Return the job that a child process was given."""
    return from_plain(Job, json.loads(text))
