"""Market regimes: how a price swings decides the class, not where it stands or how far it goes.

Windows of 105 bars, each with its open, high, low and close. Somewhere in the window the price
begins to swing, and each regime has a swing of its own form. Height, length, direction and onset
of the swings are drawn alike for all regimes; drift, a random walk and noise lie over them.
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
# One swing as (share of its length, level); made free of level and height below.
SWINGS = {
    "consolidation": ((0.0, -1), (0.06, 1), (0.5, 1), (0.56, -1), (1.0, -1)),
    "retracement": ((0.0, -1), (0.3, 1), (0.45, 0), (0.65, 0), (0.8, 1), (1.0, -1)),
    "expansion": ((0.0, -1), (0.5, -0.7), (0.75, -0.1), (0.92, 1), (1.0, -1)),
    "reversal": ((0.0, -1), (0.5, 1), (1.0, -1)),
}
REGIMES = tuple(SWINGS)
# Bars, or spreads of the noise; TRUTH.md tells them.
ONSET, LENGTH, RAMP = (10.0, 40.0), (12.0, 18.0), 3.0
HEIGHT, WOBBLE = (1.4, 2.3), 0.2
DRIFT, WALK, ECHO, GUSTS = 2.0, 0.1, 0.4, 0.4
LEVEL, VOLATILITY = (5.0, 500.0), (0.001, 0.01)
NOISE = 0.04
SIZES = {"train": 300, "test": 1000, "unlabelled": 4000}
_POINTS = 1024

TRUTH = """\
# The truth behind the windows

A window is {steps} bars of {channels}. **The class is the form of the swings**
that begin somewhere in it and go on to its end:

| class | one swing |
|---|---|
| consolidation | jumps from one edge of a range to the other, holds it, jumps back, holds |
| retracement | goes, gives half back, rests, goes again, and returns |
| expansion | goes ever faster, then collapses |
| reversal | goes evenly and returns evenly |

All forms have the same mean and the same spread, so level and range tell nothing. Every
class has a quarter of the windows. Drawn alike for all of them, each evenly between two bounds:

- first swing: bar {onset[0]:.0f} to {onset[1]:.0f}, from anywhere within a swing;
- length of a swing: {length[0]:.0f} to {length[1]:.0f} bars, and it wanders a little;
- half of the windows are upside down;
- height of the swings: {height[0]} to {height[1]} times the noise.

What lies over them, the same for every class: noise that carries over from bar to bar
(correlation {echo}), gusts of it (its size wanders), a random walk ({walk} a bar), and a drift of
up to a few times the noise over the window. Prices lie around {level[0]:.0f} to {level[1]:.0f},
and one unit of noise is {volatility[0]:.1%} to {volatility[1]:.1%} of the price.

Then {noise:.0%} of the labels are drawn anew at random, so the best accuracy that anything can
reach is **{best:.1%}**. A reader that is told where in a swing every bar stands, how high the
swings are and which way up the window is, and has only to pick the form, reaches that. One that
must find all of this in the noise, but learns from 4,000 labelled windows, reaches about 93%.

`train.parquet` holds {train} windows, `test.parquet` {test}, and `unlabelled.parquet`
{unlabelled} more of the same kind without their class.

What misleads: neither the way from first to last price, nor the range, nor the volatility of a part
of the window says much about the class. A few hundred labels are too few to learn what a swing
looks like in noise; the unlabelled windows show it.
"""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows with their truth.

    Args:
        series: [N, 105, 4] prices, float32.
        labels: [N] the class that stands in the file, as a place in `REGIMES`.
        regimes: [N] the class before labels were drawn anew.
        swings: [N, 105] where in a swing the close of a bar stands, in 0..1.
        heights: [N, 105] height of the swings, negative upside down, 0 before the first.
        units: [N] one unit of noise as a share of the price.
    """

    series: np.ndarray
    labels: np.ndarray
    regimes: np.ndarray
    swings: np.ndarray
    heights: np.ndarray
    units: np.ndarray


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
    swings, heights = _swings(size, rng)
    wave = forms()[regimes[:, None], (swings * _POINTS).astype(int)]
    prices, units = _prices(heights * wave + _weather(size, rng), rng)
    drawn = rng.integers(len(REGIMES), size=size)
    labels = np.where(rng.random(size) < NOISE, drawn, regimes)
    last = slice(TICKS - 1, None, TICKS)
    return Windows(prices, labels, regimes, swings[:, last], heights[:, last], units)


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
        >>> "The class is the form of the swings" in truth()
        True
    """
    return TRUTH.format(
        steps=STEPS, channels=", ".join(CHANNELS), onset=ONSET, length=LENGTH, height=HEIGHT,
        echo=ECHO, walk=WALK, level=LEVEL, volatility=VOLATILITY, noise=NOISE,
        best=best_accuracy(), **SIZES,
    )  # fmt: skip


def best_accuracy() -> float:
    """Return the accuracy of a reader who knows every regime: what is left is drawn labels.

    Example:
        >>> round(best_accuracy(), 3)
        0.97
    """
    return 1 - NOISE * (1 - 1 / len(REGIMES))


def forms() -> np.ndarray:
    """Return [regimes, points] one swing of each, with mean 0 and spread 1, back at its beginning.

    Example:
        >>> bool(np.allclose(forms()[:, :-1].std(axis=1), 1))
        True
    """
    points = np.arange(_POINTS) / _POINTS
    knots = [np.array(swing).T for swing in SWINGS.values()]
    found = np.stack([np.interp(points, shares, levels) for shares, levels in knots])
    centred = found - found.mean(axis=1, keepdims=True)
    even = centred / centred.std(axis=1, keepdims=True)
    return np.concatenate([even, even[:, :1]], axis=1)


def _swings(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return [size, ticks] where in a swing a tick stands, and how high the swing is there."""
    time = np.arange(STEPS * TICKS) / TICKS
    onset, length = (rng.uniform(*bounds, (size, 1)) for bounds in (ONSET, LENGTH))
    wandering = rng.normal(size=(size, len(time))).cumsum(axis=1) / np.sqrt(len(time))
    swings = ((time - onset) / length + rng.random((size, 1)) + WOBBLE * wandering) % 1
    heights = rng.uniform(*HEIGHT, (size, 1)) * rng.choice((-1, 1), (size, 1))
    return swings, heights * np.clip((time - onset) / RAMP, 0, 1)


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


def _prices(path: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return [size, steps, 4] prices, float32, and [size] the unit of noise of each window."""
    ticks = path.reshape(len(path), STEPS, TICKS)
    bars = np.stack([ticks[..., 0], ticks.max(-1), ticks.min(-1), ticks[..., -1]], axis=-1)
    level, units = (
        np.exp(rng.uniform(np.log(low), np.log(high), len(path)))
        for low, high in (LEVEL, VOLATILITY)
    )
    prices = level[:, None, None] * np.exp(units[:, None, None] * bars)
    return prices.astype(np.float32), units


def _lists(values: np.ndarray) -> pa.Array:
    starts = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(starts), pa.array(values.ravel(), pa.float32()))
