"""Per-row predictions: from a model in memory or a saved folder to one frame and one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from graft.core.errors import NonFiniteError
from graft.core.roles import Split
from graft.data.series import COLUMN as SERIES
from graft.models.batches import batches
from graft.tasks.protocol import Array, Example, Task, TrainingTask

PROBE_ROWS = 16


def predict(
    task: TrainingTask, model: nn.Module, examples: Sequence[Example], batch_size: int
) -> dict[str, Array]:
    """Return the prediction columns of `examples`, in their order.

    Examples of like length share a batch, so that little is computed for padding. The model is
    run in float32 and in evaluation mode whatever it was trained in.

    Args:
        task: The kind of task.
        model: The model.
        examples: What to predict.
        batch_size: Most examples of a batch; long ones are fewer, so that they fit into memory.

    Raises:
        NonFiniteError: A prediction is not finite.
    """
    model.eval()
    order = sorted(range(len(examples)), key=lambda index: task.length(examples[index]))
    tokens = [task.tokens(example) for example in examples]
    parts: dict[str, list[Array]] = {}
    with torch.inference_mode():
        for chosen in batches(order, tokens, most=batch_size):
            batch = task.collate([examples[index] for index in chosen])
            for name, values in task.predict(model, batch).items():
                parts.setdefault(name, []).append(values)
    back = np.argsort(order)
    columns = {name: np.concatenate(values)[back] for name, values in parts.items()}
    for name, values in columns.items():
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            rows = [examples[index].row for index in wrong[:5]]
            raise NonFiniteError(
                f"the model predicts a {name} that is not finite for {wrong.size} of "
                f"{len(examples)} rows, first {rows}: its weights overflowed in the last update. "
                "Fix: lower the learning rate."
            )
    return columns


def decision_split(rows: pd.DataFrame) -> Split:
    """Return the split on which thresholds are chosen: validation, or train if there is none.

    Example:
        >>> decision_split(pd.DataFrame({"split": ["train", "test"]}))
        <Split.train: 'train'>
    """
    return Split.validation if (rows["split"] == Split.validation).any() else Split.train


def write_predictions(
    task: Task,
    rows: pd.DataFrame,
    columns: Mapping[str, Array],
    files: Mapping[Split, Path],
    leaked: frozenset[str],
) -> None:
    """Write one Parquet file per split: rows, labels, predictions and the decision threshold.

    Series are left out.

    Args:
        task: Chooses the threshold.
        rows: Rows of every split in `files`, with `row`, `split`, texts, label and slices.
        columns: Prediction columns, one entry per row; embeddings are left out.
        files: Where each split goes.
        leaked: Ids of rows that the training split gives away.
    """
    plain = {name: values for name, values in columns.items() if values.ndim == 1}
    # All at once: column by column, hundreds of classes would be copied as often.
    known = rows.drop(columns=SERIES, errors="ignore").reset_index(drop=True)
    frame = pd.concat([known, pd.DataFrame(plain)], axis=1)
    deciding = decision_split(frame)
    threshold = task.decide(frame[frame["split"] == deciding])
    if threshold is not None:
        frame["threshold"] = threshold
    frame["leaked"] = frame["row"].isin(leaked)
    for split, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = frame[frame["split"] == split].drop(columns="split")
        part.to_parquet(path, index=False)


def rows_to_predict(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that every run predicts: those of the deciding split, then the test rows."""
    deciding = decision_split(rows)
    kept = rows[rows["split"].isin([deciding, Split.test])]
    return kept.reset_index(drop=True)


def probed_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the few rows on which models are probed: the last of those to predict."""
    return rows_to_predict(rows).tail(PROBE_ROWS).reset_index(drop=True)
