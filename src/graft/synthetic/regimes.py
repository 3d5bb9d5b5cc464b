"""Market regimes: the rhythm of a price decides the class, not where it stands or how far it goes.

Windows of 105 bars, each with its open, high, low and close. Somewhere in the window the price
begins to go up and down between two edges, by fast legs and by slow ones. Each regime has as many
fast as slow legs, of the same heights; what differs is for how many legs a pace is kept. Drift, a
random walk and noise lie over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.signal import lfilter

from graft.core.errors import InputError, Problem
from graft.core.files import write_text
from graft.core.seeds import generator

STEPS = 105
CHANNELS = ("open", "high", "low", "close")
# Ticks within a bar, of which the first is its open and the last its close.
TICKS = 6
# Legs in a row that keep their pace.
RHYTHMS = {"consolidation": 1, "retracement": 2, "reversal": 3, "expansion": 4}
REGIMES = tuple(RHYTHMS)
# In bars; TRUTH.md tells them.
ONSET, FAST, SLOW, UNEVEN, RAMP = (5.0, 30.0), (2.0, 4.0), (7.0, 12.0), 0.2, 3.0
# In units of the noise.
HEIGHT, DRIFT, WALK = (1.5, 2.3), 1.5, 0.05
ECHO, GUSTS = 0.3, 0.3
LEVEL, UNIT = (5.0, 500.0), (0.001, 0.01)
NOISE = 0.03
SIZES = {"train": 240, "test": 1000, "unlabelled": 4000}

TRUTH = """\
# The truth behind the windows

A window is {steps} bars of {channels}. Somewhere in it the price begins to go up and
down between two edges, by fast legs and by slow ones. **The class is the rhythm: for how many legs
in a row a pace is kept.**

| class | legs in a row | fast (f) and slow (s) |
|---|---|---|
{rhythms}

All classes have as many fast as slow legs, of the same length and height, so they spend the same
time at every price and move as fast as often. Every class has a quarter of the windows. Drawn alike
for all of them, evenly between two bounds:

- where the legs begin: bar {onset[0]:.0f} to {onset[1]:.0f}, anywhere in the rhythm, up or down;
- a fast leg: {fast[0]:.0f} to {fast[1]:.0f} bars, a slow one: {slow[0]:.0f} to {slow[1]:.0f}; then
  each leg is longer or shorter by about {uneven:.0%};
- their height: a spread of {height[0]} to {height[1]} times the noise.

What lies over them, the same for every class: noise that carries over from bar to bar (correlation
{echo}), gusts of it (its size wanders), a random walk ({walk} a bar), and a drift of a few times
the noise over the window. Prices lie around {level[0]:.0f} to {level[1]:.0f}, and one unit of noise
is {unit[0]:.1%} to {unit[1]:.1%} of the price.

Then {noise:.0%} of the labels are drawn anew at random, so the best accuracy that anything can
reach is **{best:.1%}**. Who is told where the legs end reads the rhythm from their lengths. Who
must find them in the noise, but learns from 4,000 labelled windows, reaches about 90%.

`train.parquet` holds {train} windows, `test.parquet` {test}, and `unlabelled.parquet` {unlabelled}
more of the same kind without their class.

What misleads: neither the way from first to last price, nor the range, nor the volatility says
anything about the class; it lies in the order of the legs. A few hundred labels are too few to
learn what a leg looks like in noise; the unlabelled windows show it.
"""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows with their truth.

    Args:
        series: [N, 105, 4] prices, float32.
        labels: [N] the class that stands in the file, as a place in `REGIMES`.
        regimes: [N] the class before labels were drawn anew.
        turns: [N, legs + 1] bars at which the legs begin and end.
    """

    series: np.ndarray
    labels: np.ndarray
    regimes: np.ndarray
    turns: np.ndarray


def regime_windows(seed: int, part: str, size: int) -> Windows:
    """Return windows of one part; parts of one seed have nothing in common.

    Args:
        seed: Seed of every draw.
        part: Name of the part, such as `train`.
        size: Number of windows, at least 20.

    Raises:
        InputError: Fewer than 20 windows.

    Example:
        >>> windows = regime_windows(seed=1, part="train", size=20)
        >>> windows.series.shape, windows.labels.shape
        ((20, 105, 4), (20,))
    """
    if size < 20:
        problem = Problem(f"regime_windows, {part}", f"is {size}", "ask for 20 or more")
        raise InputError("synthetic data", [problem])
    rng = generator(seed, "regimes", part)
    regimes = rng.permutation(np.arange(size) % len(REGIMES))
    legs, turns = _legs(regimes, rng)
    prices = _prices(legs + _weather(size, rng), rng)
    drawn = rng.integers(len(REGIMES), size=size)
    labels = np.where(rng.random(size) < NOISE, drawn, regimes)
    return Windows(prices, labels, regimes, turns)


def write_regimes(folder: Path, seed: int) -> tuple[Path, Path, Path]:
    """Write `train.parquet`, `test.parquet`, `unlabelled.parquet` and `TRUTH.md` into `folder`.

    Args:
        folder: Folder to write into; made if missing.
        seed: Seed of the generator.

    Returns:
        The three data files. A row is a window: a column of lists for each of open, high, low and
        close, and `regime` where it is labelled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    train, test, unlabelled = (folder / f"{part}.parquet" for part in SIZES)
    for path in (train, test, unlabelled):
        windows = regime_windows(seed, path.stem, SIZES[path.stem])
        columns = {name: _lists(windows.series[:, :, at]) for at, name in enumerate(CHANNELS)}
        if path is not unlabelled:
            columns["regime"] = pa.array([REGIMES[place] for place in windows.labels])
        pq.write_table(pa.table(columns), path)
    write_text(folder / "TRUTH.md", truth())
    return train, test, unlabelled


def truth() -> str:
    """Return the rules of the generator as Markdown.

    Example:
        >>> "The class is the rhythm" in truth()
        True
    """
    rhythms = "\n".join(
        f"| {name} | {count} | {('f' * count + 's' * count) * (5 - count)}… |"
        for name, count in RHYTHMS.items()
    )
    return TRUTH.format(
        steps=STEPS, channels=", ".join(CHANNELS), rhythms=rhythms, onset=ONSET, fast=FAST,
        slow=SLOW, uneven=UNEVEN, height=HEIGHT, echo=ECHO, walk=WALK, level=LEVEL, unit=UNIT,
        noise=NOISE, best=best_accuracy(), **SIZES,
    )  # fmt: skip


def best_accuracy() -> float:
    """Return the accuracy of a reader who knows every regime: what is left is drawn labels.

    Example:
        >>> round(best_accuracy(), 3)
        0.978
    """
    return 1 - NOISE * (1 - 1 / len(REGIMES))


def _legs(regimes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return [N, ticks] the way up and down, and [N, legs + 1] the bars at which it turns."""
    size, count = len(regimes), int(2 * STEPS / (FAST[0] + SLOW[0])) + 8
    kept = np.array(list(RHYTHMS.values()))[regimes][:, None]
    place = rng.integers(2 * kept) + np.arange(count)
    fast, slow = (rng.uniform(*bounds, (size, 1)) for bounds in (FAST, SLOW))
    lengths = np.where(place // kept % 2 == 0, fast, slow)
    lengths = lengths * np.exp(UNEVEN * rng.normal(size=(size, count)))
    onset = rng.uniform(*ONSET, (size, 1))
    first = onset - rng.random((size, 1)) * lengths[:, :1]
    turns = first + np.concatenate([np.zeros((size, 1)), lengths.cumsum(axis=1)], axis=1)
    edges = np.where(np.arange(count + 1) % 2 == 0, -1.0, 1.0) * rng.choice((-1, 1), (size, 1))
    time = np.arange(STEPS * TICKS) / TICKS
    ways = np.stack([np.interp(time, *knots) for knots in zip(turns, edges, strict=True)])
    # A way between -1 and 1 at an even pace has a spread of one over the root of three.
    heights = np.sqrt(3) * rng.uniform(*HEIGHT, (size, 1))
    return heights * ways * np.clip((time - onset) / RAMP, 0, 1), turns


def _weather(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return [size, ticks] what lies over the swings, in units of noise."""
    ticks = STEPS * TICKS
    keep = ECHO ** (1 / TICKS)
    fresh = rng.normal(size=(size, ticks))
    fresh[:, 0] /= np.sqrt(1 - keep**2)
    noise = lfilter([np.sqrt(1 - keep**2)], [1, -keep], fresh, axis=1)
    bars = rng.normal(size=(2, size, STEPS)).cumsum(axis=2)
    walk, gusts = np.repeat(bars, TICKS, axis=2)
    drift = rng.normal(0, DRIFT, (size, 1)) * (np.arange(ticks) / ticks - 0.5)
    return np.asarray(noise * np.exp(GUSTS * gusts / np.sqrt(STEPS)) + WALK * walk + drift)


def _prices(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return [N, steps, 4] prices, float32, of a path [N, ticks] in units of noise."""
    ticks = path.reshape(len(path), STEPS, TICKS)
    bars = np.stack([ticks[..., 0], ticks.max(-1), ticks.min(-1), ticks[..., -1]], axis=-1)
    level, unit = (
        np.exp(rng.uniform(np.log(low), np.log(high), (len(path), 1, 1)))
        for low, high in (LEVEL, UNIT)
    )
    return np.asarray(level * np.exp(unit * bars), dtype=np.float32)


def _lists(values: np.ndarray) -> pa.Array:
    starts = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(starts), pa.array(values.ravel(), pa.float32()))
