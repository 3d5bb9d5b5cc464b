"""Series that can be learned from: sums of sines with noise, with gaps and of several lengths."""

from __future__ import annotations

import numpy as np
import pandas as pd

CHANNELS = ("first", "second")


def sines(
    count: int, seed: int, time: int = 40, *, gaps: float = 0.0, uneven: bool = False
) -> pd.DataFrame:
    """Return rows of two channels: the second follows the first by a quarter of its period.

    Args:
        count: Rows.
        seed: Seed.
        time: Time steps, the most if rows are uneven.
        gaps: Share of values that are missing.
        uneven: True for rows of several lengths.
    """
    chance = np.random.default_rng(seed)
    series = []
    for _ in range(count):
        steps = np.arange(int(chance.integers(time // 2, time + 1)) if uneven else time)
        turns = 2 * np.pi * (steps * chance.uniform(0.06, 0.12) + chance.uniform())
        values = np.stack([np.sin(turns), np.sin(turns - np.pi / 2)], axis=1)
        values = (values + 0.05 * chance.normal(size=values.shape)).astype(np.float32)
        values[chance.random(values.shape) < gaps] = np.nan
        series.append(values)
    rows = [f"train:{place}" for place in range(count)]
    return pd.DataFrame({"row": rows, "split": "train", "series": pd.Series(series, dtype=object)})
