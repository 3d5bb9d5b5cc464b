"""Pairs of measurements: the peer and Graft one after the other on the same rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from graft.models.precision import Precision
from speed.jobs import Job, Measured, measure
from speed.quality import cosines
from speed.rows import Rows
from speed.works import Work

Party = Precision | Literal["peer"]  # the peer, or Graft in one of its number formats


@dataclass(frozen=True)
class Pair:
    """What one round measured.

    Args:
        peer: The peer.
        graft: Graft, by the number format that was asked for.
        cosines: Mean and smallest cosine between the embeddings of both sides, by number format;
            empty if nothing was encoded.
    """

    peer: Measured
    graft: dict[Precision, Measured]
    cosines: dict[Precision, tuple[float, float]]


def jobs_of(work: Work, base: Path, rows: Rows, place: Path) -> dict[Party, Job]:
    """Return the jobs of the peer and of Graft in each number format that has a goal.

    Args:
        work: The work.
        base: Folder of the encoder.
        rows: The rows of both sides; written below `place`.
        place: A folder.
    """
    train, test = place / "train.parquet", place / "test.parquet"
    rows.train.to_parquet(train, index=False)
    rows.test.to_parquet(test, index=False)
    peer = Job(side="peer", base=str(base), train=str(train), test=str(test), **work.settings)
    jobs: dict[Party, Job] = {"peer": peer}
    for precision in work.goals:
        jobs[precision] = dataclasses.replace(peer, side="graft", precision=precision)
    if peer.kind != "encode":
        return jobs
    vectors = {party: str(place / f"{party}.npy") for party in jobs}
    return {party: dataclasses.replace(job, vectors=vectors[party]) for party, job in jobs.items()}


def one_pair(jobs: dict[Party, Job], index: int) -> Pair:
    """Measure every job once: forwards if `index` is even, else backwards, each with its seed."""
    jobs = {party: dataclasses.replace(job, seed=job.seed + index) for party, job in jobs.items()}
    order = list(jobs) if index % 2 == 0 else list(reversed(jobs))
    found = {party: measure(jobs[party]) for party in order}
    graft = {party: found[party] for party in jobs if party != "peer"}
    near = {}
    if jobs["peer"].vectors:
        theirs = np.load(jobs["peer"].vectors)
        near = {party: cosines(theirs, np.load(jobs[party].vectors)) for party in graft}
    return Pair(found["peer"], graft, near)
