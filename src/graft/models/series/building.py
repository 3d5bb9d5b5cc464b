"""A new encoder of series: its shape from the recipe, its normalisation from training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from graft.config.series import EncoderSection
from graft.models.series.modeling_series import SeriesConfig, SeriesEncoder

Array = np.ndarray[Any, Any]
# Quartiles of a normal distribution lie so many standard deviations apart.
_QUARTILES_APART = 1.349
# Share of the level below which a deviation is the rounding of equal numbers.
_ROUNDING = 1e-6


def series_config(section: EncoderSection, channels: Sequence[str]) -> SeriesConfig:
    """Return the shape of the encoder that a recipe describes.

    Args:
        section: The recipe's section.
        channels: Name of each channel.

    Example:
        >>> series_config(EncoderSection(kind="gru"), ["load"]).channels
        1
    """
    shape = {key: getattr(section, key) for key in EncoderSection.model_fields}
    return SeriesConfig(**shape, channels=len(channels), channel_names=list(channels))


def new_encoder(config: SeriesConfig, series: Sequence[Array], seed: int) -> SeriesEncoder:
    """Return an encoder with random weights, its normalisation fitted to `series`.

    Args:
        config: Its shape.
        series: Training series `[time, channels]`, NaN where a value is missing.
        seed: Seed of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SeriesEncoder(config)
    fit_scaler(encoder, series)
    encoder.eval()
    return encoder


def fit_scaler(encoder: SeriesEncoder, series: Sequence[Array]) -> None:
    """Fit what the encoder normalises by to `series`, in place.

    Nothing is fitted if each series is normalised by itself, or none is. A channel without a
    value, or with one value throughout, keeps a scale of 1.

    Args:
        encoder: The encoder.
        series: Training series `[time, channels]`, NaN where a value is missing.
    """
    kind = encoder.config.normalisation
    if kind not in ("channel", "robust"):
        return
    steps = np.concatenate(series).astype(np.float64)
    for place, channel in enumerate(steps.T):
        center, scale = _level(channel[~np.isnan(channel)], robust=kind == "robust")
        encoder.scaler.center[place], encoder.scaler.scale[place] = center, scale


def _level(values: Array, *, robust: bool) -> tuple[float, float]:
    """Return center and scale; of a channel that is mostly flat its deviation is the scale."""
    if not values.size:
        return 0.0, 1.0
    center, scale = float(values.mean()), float(values.std())
    if robust:
        low, center, high = (float(v) for v in np.quantile(values, [0.25, 0.5, 0.75]))
        scale = (high - low) / _QUARTILES_APART or scale
    return center, scale if scale > _ROUNDING * abs(center) else 1.0
