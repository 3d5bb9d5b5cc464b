"""A second process that knows only what is on disk: it loads every artefact and predicts.

One process serves all artefacts of an experiment, one after another, each released before the
next. Predictions that reach a report come from here, never from a model that was in memory.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from graft.core.errors import GraftError
from graft.core.facts import RowFacts
from graft.core.files import read_json, write_json
from graft.core.layout import RunPaths
from graft.core.roles import Split
from graft.data.storage import load_splits
from graft.evaluate.fusion_folder import is_fusion, predict_fusion
from graft.evaluate.predictions import (
    decision_split,
    probed_rows,
    rows_to_predict,
    write_predictions,
)
from graft.evaluate.spread import text_spread
from graft.tasks.protocol import Array
from graft.tasks.registry import task_of


@dataclass(frozen=True)
class FreshArtefact:
    """One artefact to load.

    Args:
        run: Folder of the arm.
        folder: Model folder, or the base's for an adapter, or that of a fusion.
        adapter: Adapter folder to put on top, None for a whole model.
        threads: Threads to compute with, 0 for those of torch.
    """

    run: str
    folder: str
    adapter: str | None
    threads: int = 0


@dataclass(frozen=True)
class FreshJob:
    """What the second process is asked to do.

    Args:
        task: Kind of task.
        facts: What is known of the rows.
        splits: Parquet file with all rows; those that every run predicts are predicted.
        leaked: Ids of leaked rows.
        artefacts: What to load, in order.
        answer: File to write the seconds of each artefact to.
        costs: What a false positive and a false negative cost; None to decide by the best F1.
    """

    task: str
    facts: RowFacts
    splits: str
    leaked: tuple[str, ...]
    artefacts: tuple[FreshArtefact, ...]
    answer: str
    costs: tuple[float, float] | None = None


@dataclass(frozen=True)
class FreshAnswer:
    """Seconds that loading and predicting took, per artefact in order."""

    seconds: tuple[float, ...]


def predict_in_fresh_process(job: FreshJob, folder: Path) -> FreshAnswer:
    """Run the job in a new Python process and return its answer.

    Raises:
        GraftError: The process failed; carries the end of what it said.
    """
    request = folder / "fresh.json"
    write_json(request, job)
    command = [sys.executable, "-m", "graft.evaluate.fresh", str(request)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    request.unlink()
    if done.returncode:
        raise GraftError(
            "an artefact cannot be loaded in a fresh process: "
            f"{done.stderr.strip()[-1500:] or f'exit code {done.returncode}'}"
        )
    answer = read_json(Path(job.answer), FreshAnswer)
    Path(job.answer).unlink()
    return answer


def embeddings_file(run: RunPaths) -> Path:
    """Where the embeddings of the test rows wait for their map."""
    return run.predictions(Split.test).with_name("test.embeddings.npz")


def save_embeddings(run: RunPaths, columns: Mapping[str, Array], rows: pd.DataFrame) -> None:
    """Keep the embeddings of the test rows, if there are any, until they are mapped."""
    test = (rows["split"] == Split.test).to_numpy()
    found = {name: values[test] for name, values in columns.items() if values.ndim == 2}
    if found:
        np.savez(embeddings_file(run), allow_pickle=False, **found)


def _predict(job: FreshJob, artefact: FreshArtefact, rows: pd.DataFrame) -> float:
    started = time.perf_counter()
    task, run = task_of(job.task, job.facts, job.costs), RunPaths(Path(artefact.run))
    adapter = Path(artefact.adapter) if artefact.adapter else None
    if artefact.threads:
        torch.set_num_threads(artefact.threads)
    folder = Path(artefact.folder)
    fused = is_fusion(folder)
    columns = (
        predict_fusion(folder, rows, task) if fused else task.predict_folder(folder, rows, adapter)
    )
    place = run.of_adapter if adapter else run.predictions
    deciding = decision_split(rows)
    files = {split: place(split) for split in (deciding, Split.test)}
    write_predictions(task, rows, columns, files, frozenset(job.leaked))
    if adapter is None and not fused:
        save_embeddings(run, columns, rows)
        write_json(run.spread, text_spread(rows, columns))
        write_json(run.served, task.served_reading(folder, probed_rows(rows)))
    return time.perf_counter() - started


def _main(request: Path) -> None:
    job = read_json(request, FreshJob)
    rows = rows_to_predict(load_splits(Path(job.splits)).frame)
    seconds = tuple(_predict(job, artefact, rows) for artefact in job.artefacts)
    write_json(Path(job.answer), FreshAnswer(seconds))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
