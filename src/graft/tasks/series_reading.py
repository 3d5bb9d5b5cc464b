"""How a classifier reads a series, and what its loss sees of the rows."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graft.core.probes import Reading
from graft.core.supervision import Supervision, label_counts
from graft.models.series.modeling_series import SeriesClassifier
from graft.tasks.protocol import Array
from graft.tasks.series_examples import SeriesExample, padded

_DIGITS = 6


def series_reading(
    model: SeriesClassifier, rows: Iterable[tuple[str, Array]], code: str
) -> Reading:
    """Return how the model reads the rows.

    Of each row that is the number of its time steps and a checksum of what reaches the first layer:
    values after normalisation, and gaps.

    Args:
        model: The model.
        rows: Ids and series.
        code: Hash of the code that computes it.
    """
    inputs = {row: _reaching(model, series) for row, series in rows}
    return Reading(_settings(model, code), inputs)


def _settings(model: SeriesClassifier, code: str) -> dict[str, Any]:
    config, scaler = model.config, model.encoder.scaler
    shape = ("kind", "width", "layers", "heads", "patch", "kernel", "bidirectional")
    return {
        **{key: getattr(config, key) for key in shape},
        "channels": list(config.channel_names),
        "normalisation": config.normalisation,
        "center": [round(value, _DIGITS) for value in scaler.center.tolist()],
        "scale": [round(value, _DIGITS) for value in scaler.scale.tolist()],
        "pooling": config.pooling,
        "classes": list(config.id2label.values()),
        "code": code,
    }


def _reaching(model: SeriesClassifier, series: Array) -> tuple[int, ...]:
    seen: list[Tensor] = []

    def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0])

    handle = model.encoder.embedding.register_forward_pre_hook(look)
    try:
        with torch.inference_mode():
            model.encoder(*padded([series]))
    finally:
        handle.remove()
    return len(series), zlib.crc32(seen[0].cpu().numpy().tobytes())


def series_census(model: SeriesClassifier, examples: Sequence[SeriesExample]) -> Supervision:
    """Return what the loss sees of the examples; every row has a class, so every row has loss.

    Tokens are time steps; a row counts as empty if it has no value at all.
    """
    empty = [example.row for example in examples if np.isnan(example.series).all()]
    classes = model.config.id2label
    return Supervision(
        unit="rows",
        rows=len(examples),
        units=len(examples),
        rows_without_loss=0,
        tokens=sum(len(example.series) for example in examples),
        truncated_rows=0,
        limit=None,
        unknown_tokens=0,
        empty_rows=len(empty),
        labels=label_counts([classes[example.label] for example in examples]),
        examples={"empty_rows": tuple(empty[:5])} if empty else {},
    )
