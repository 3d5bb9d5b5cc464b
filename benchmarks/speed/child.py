"""The process of one measurement: `python -m speed.child JOB`, JOB as JSON.

It imports what its own side needs and nothing of the other, does the work under the watch, judges
the result, and prints one line of JSON.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable

from speed.jobs import Done, Job, Measured, read_job, write_answer
from speed.watch import Watch

MODULES: dict[tuple[str, str], str] = {
    ("graft", "pairs"): "speed.graft_training",
    ("graft", "intents"): "speed.graft_training",
    ("graft", "encode"): "speed.graft_encode",
    ("peer", "pairs"): "speed.peer_pairs",
    ("peer", "intents"): "speed.peer_intents",
    ("peer", "encode"): "speed.peer_encode",
}


def run(job: Job) -> Measured:
    """Return what this process measures of `job`."""
    work: Callable[[Job, Watch], Done] = importlib.import_module(MODULES[job.side, job.kind]).work
    watch = Watch()
    done = work(job, watch)
    return Measured(watch.seconds, watch.imported_bytes, watch.start_bytes, watch.peak_bytes, done)


if __name__ == "__main__":
    logging.getLogger("graft").setLevel(logging.WARNING)
    write_answer(run(read_job(sys.argv[1])))
