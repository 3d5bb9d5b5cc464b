"""What is looked at beside the loss of masked series: guesses, pictures, a census, blindness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from graft.core.supervision import Supervision
from graft.metrics.pretraining import units_of
from graft.models.series.modeling_series import Scaler
from graft.models.series.pretraining import SeriesPretrainer, observed
from graft.tasks.pretraining import Columns
from graft.tasks.series_examples import SeriesRow, padded
from graft.tasks.series_masks import MaskedBatch, Masks
from graft.tasks.series_objectives import guessed_without_model


def errors_of_guesses(
    masks: Masks, objective: str, scaler: Scaler, examples: Sequence[SeriesRow]
) -> dict[str, Columns]:
    """Return guess to its errors, measured as those of the model are.

    Args:
        masks: What is hidden.
        objective: What for.
        scaler: What errors are measured by.
        examples: The rows.
    """
    hidden = [masks.of_row(objective, example) for example in examples]
    pairs = list(zip(examples, hidden, strict=True))
    errors = [guessed_without_model(scaler, row.series, mask) for row, mask in pairs]
    units = np.array([(mask & ~np.isnan(row.series)).sum() for row, mask in pairs])
    return {
        name: {objective: np.array([e[name] for e in errors]), units_of(objective): units}
        for name in errors[0]
    }


def picture(
    masks: Masks, model: SeriesPretrainer, examples: Sequence[SeriesRow], channels: Sequence[str]
) -> pd.DataFrame:
    """Return values, what was hidden, and what the model says: a line for each of them."""
    frames = [
        _lines(masks, objective, model, example, channels)
        for objective in masks.guessing
        for example in examples
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _lines(
    masks: Masks,
    objective: str,
    model: SeriesPretrainer,
    example: SeriesRow,
    channels: Sequence[str],
) -> pd.DataFrame:
    hidden = masks.of_row(objective, example)
    values, lengths = padded([example.series])
    with torch.inference_mode():
        look = model(values, lengths, torch.from_numpy(hidden)[None])
    return pd.DataFrame(
        {
            "objective": objective,
            "row": example.row,
            "channel": np.tile(channels, len(hidden)),
            "step": np.repeat(np.arange(len(hidden)), len(channels)),
            "value": example.series.ravel(),
            "hidden": hidden.ravel(),
            "model": (values + look.difference)[0].numpy().ravel(),
        }
    )


def blindness(masks: Masks, model: SeriesPretrainer, batch: MaskedBatch) -> tuple[Columns, Columns]:
    """Return what the model says of rows, and of them with other values where it is blind.

    That is the mean of what it puts there, and the direction of the view.

    Args:
        masks: What is hidden.
        model: The model, in evaluation mode.
        batch: The rows.
    """
    hidden = masks.of_batch("reconstruction", batch)
    counted = hidden & observed(batch.values, batch.lengths)
    center, scale = model.encoder.scaler.level(batch.values, counted)
    far = center + 3 * torch.where(scale.isinf(), 1, scale)

    def said(values: Tensor) -> Columns:
        with torch.inference_mode():
            look = model(values, batch.lengths, hidden)
        found = {}
        if model.reconstruction is not None:
            sums = torch.where(counted, values + look.difference, 0).sum(dim=(1, 2))
            found["guess"] = sums / counted.sum(dim=(1, 2)).clamp(min=1)
        if look.embedding is not None:
            found["view"] = look.embedding
        return {name: column.double().numpy() for name, column in found.items()}

    return said(batch.values), said(torch.where(counted, far, batch.values))


def census(masks: Masks, examples: Sequence[SeriesRow]) -> Supervision:
    """Return what the loss sees of the rows under the masks of evaluation."""
    units = np.full(len(examples), int("contrastive" in masks.section.objectives))
    for place, example in enumerate(examples):
        there = ~np.isnan(example.series)
        hidden = (masks.of_row(name, example) for name in masks.guessing)
        units[place] += sum(int((mask & there).sum()) for mask in hidden)
    bare = [e.row for e, count in zip(examples, units, strict=True) if not count]
    return Supervision(
        unit="hidden values" if masks.guessing else "rows",
        rows=len(examples),
        units=int(units.sum()),
        rows_without_loss=len(bare),
        tokens=sum(len(example.series) for example in examples),
        truncated_rows=0,
        limit=None,
        unknown_tokens=0,
        empty_rows=0,
        labels={},
        examples={"rows_without_loss": tuple(bare[:5])} if bare else {},
    )
