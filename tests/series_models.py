"""Series that can be told apart, and tiny encoders of series, made in code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from graft.config.series import EncoderSection
from graft.core.facts import RowFacts
from graft.models.series.building import new_encoder, series_config
from graft.models.series.folders import save_series

KINDS = ("lstm", "gru", "tcn", "transformer")
CHANNELS = ("wave", "walk")


def wave_rows(count: int, seed: int, classes: int = 3) -> pd.DataFrame:
    """Return rows of two channels: a wave whose frequency and level are its class, and a walk.

    They are 10 to 19 steps long; one value of twenty is missing.

    Args:
        count: Number of rows; classes take turns.
        seed: Seed.
        classes: 2 or 3.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        steps, label = np.arange(int(rng.integers(10, 20))), index % classes
        wave = np.sin(steps * (0.5 + 0.5 * label) + rng.uniform(0, 6)) + 0.8 * label
        walk = np.cumsum(rng.normal(size=len(steps)))
        series = np.stack([wave, walk], axis=1) + rng.normal(0, 0.2, (len(steps), 2))
        series[rng.random(series.shape) < 0.05] = np.nan
        rows.append((f"r{index}", float(label), series.astype(np.float32)))
    found = pd.DataFrame({"row": [row for row, _, _ in rows], "label": [k for _, k, _ in rows]})
    return found.assign(series=pd.Series([series for *_, series in rows], dtype=object))


def sine_rows(count: int, seed: int, time: int = 40) -> pd.DataFrame:
    """Return rows without labels: the second channel follows the first by a quarter of a period.

    So what is hidden of one channel can be told from the other.

    Args:
        count: Number of rows.
        seed: Seed.
        time: Time steps.
    """
    rng = np.random.default_rng(seed)
    series = []
    for _ in range(count):
        turns = 2 * np.pi * (np.arange(time) * rng.uniform(0.08, 0.12) + rng.uniform())
        values = np.stack([np.sin(turns), np.sin(turns - np.pi / 2)], axis=1)
        series.append((values + 0.05 * rng.normal(size=values.shape)).astype(np.float32))
    rows = pd.DataFrame({"row": [f"unlabelled:{index}" for index in range(count)]})
    return rows.assign(series=pd.Series(series, dtype=object))


def wave_facts(classes: int = 3) -> RowFacts:
    """Return what is known of `wave_rows`."""
    return RowFacts(classes=("slow", "middle", "fast")[:classes], channels=CHANNELS)


def wave_frames(classes: int = 3, train: int = 90, test: int = 60) -> dict[str, pd.DataFrame]:
    """Return training and test rows as a user gives them: with the names of the classes."""
    names = wave_facts(classes).classes
    rows = {"train": wave_rows(train, 1, classes), "test": wave_rows(test, 2, classes)}
    return {
        split: frame.drop(columns="row").assign(label=[names[int(k)] for k in frame["label"]])
        for split, frame in rows.items()
    }


def build_series_encoder(folder: Path, kind: str = "transformer", **shape: object) -> Path:
    """Return the folder of an encoder of width 16 that reads `wave_rows`; the same bytes each time.

    Args:
        folder: Where to write.
        kind: Kind of encoder.
        shape: Other keys of the section `encoder`.
    """
    section = EncoderSection.model_validate({"kind": kind, "width": 16, **shape})
    config = series_config(section, CHANNELS)
    save_series(new_encoder(config, list(wave_rows(60, 5)["series"]), seed=3), folder)
    return folder
