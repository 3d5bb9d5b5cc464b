"""Rows of series as examples and batches: padded, each with its length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from graft.data.series import COLUMN
from graft.models.batches import batches
from graft.models.feature_files import FeaturePlace
from graft.models.features import FeatureStore
from graft.tasks.protocol import Array

Embed = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class SeriesRow:
    """One row.

    Args:
        row: Its id.
        series: `[time, channels]`, NaN where a value is missing.
    """

    row: str
    series: Array


@dataclass(frozen=True)
class SeriesExample(SeriesRow):
    """One row and its `label`, the class."""

    label: int


@dataclass(frozen=True)
class SeriesBatch:
    """Rows ready for the encoder.

    Args:
        values: `[rows, time, channels]`; zero after the end of a series, NaN in its gaps.
        lengths: Time steps of each row, `[rows]`.
        labels: `[rows]`.
    """

    values: Tensor
    lengths: Tensor
    labels: Tensor


class Padded(Protocol):
    """A batch of series, padded to the longest."""

    @property
    def values(self) -> Tensor:
        """The values, `[rows, time, channels]`."""
        ...

    @property
    def lengths(self) -> Tensor:
        """Time steps of each series, `[rows]`."""
        ...


class ReadsSeries:
    """What all tasks answer alike whose rows are series: a token is a time step."""

    def packing_problem(self, model: nn.Module) -> str:
        """Return why the rows of a batch are padded."""
        return "series are padded to the longest of a batch, and masks keep padding out"

    def store_frozen(
        self, model: nn.Module, examples: Sequence[SeriesRow], place: FeaturePlace
    ) -> FeatureStore | str:
        """Return why the outputs of a frozen encoder are not stored."""
        return "outputs are stored of texts alone, not of series"

    def positions(self, model: nn.Module, batch: Padded) -> tuple[int, int]:
        """Return the time steps of the batch, and the padding beside them."""
        steps = int(batch.lengths.sum())
        return steps, batch.values.shape[0] * batch.values.shape[1] - steps

    def length(self, example: SeriesRow) -> int:
        """Return the time steps of the row."""
        return len(example.series)

    def tokens(self, example: SeriesRow) -> int:
        """Return the time steps of the row."""
        return len(example.series)


def series_examples(rows: pd.DataFrame) -> list[SeriesExample]:
    """Return one example per row.

    Args:
        rows: Rows with `row`, `label` and their series.
    """
    cells = zip(rows["row"], rows[COLUMN], rows["label"], strict=True)
    return [SeriesExample(row, series, int(label)) for row, series, label in cells]


def series_batch(examples: Sequence[SeriesExample]) -> SeriesBatch:
    """Return the examples as one batch."""
    values, lengths = padded([example.series for example in examples])
    return SeriesBatch(values, lengths, torch.tensor([example.label for example in examples]))


def padded(series: Sequence[Array]) -> tuple[Tensor, Tensor]:
    """Return the series side by side, zero after their ends, and their lengths.

    Args:
        series: At least one, `[time, channels]`.

    Example:
        >>> values, lengths = padded([np.ones((2, 1)), np.ones((3, 1))])
        >>> values[:, :, 0].tolist(), lengths.tolist()
        ([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]], [2, 3])
    """
    lengths = [len(values) for values in series]
    found = np.zeros((len(series), max(lengths), series[0].shape[1]), dtype=np.float32)
    for row, values in enumerate(series):
        found[row, : len(values)] = values
    return torch.from_numpy(found), torch.tensor(lengths)


def embeddings_of(series: Sequence[Array], embed: Embed) -> Array:
    """Return the embeddings of the series, in their order: `[rows, width]` in float32.

    Series of like length share a batch, so that little is computed for padding.

    Args:
        series: `[time, channels]` each.
        embed: Values and lengths to embeddings.
    """
    lengths = [len(values) for values in series]
    order = sorted(range(len(series)), key=lambda place: lengths[place])
    parts = []
    with torch.inference_mode():
        for chosen in batches(order, lengths):
            parts.append(embed(*padded([series[place] for place in chosen])).float().cpu().numpy())
    found: Array = np.concatenate(parts)[np.argsort(order)]
    return found
