"""Masks hide the share that was asked for, in the shape that was asked for, and never all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from graft.config.pretraining import MaskSection
from graft.models.series.masks import draw_mask, last_steps
from graft.report.charts_pretraining import stretches

KINDS = ("random", "block", "patch")


@given(
    kind=some.sampled_from(KINDS),
    share=some.floats(0.01, 0.99),
    length=some.integers(1, 30),
    time=some.integers(2, 60),
    channels=some.integers(1, 4),
    seed=some.integers(0, 1000),
)
def test_something_is_hidden_and_something_is_seen(kind, share, length, time, channels, seed):
    section = MaskSection(kind=kind, share=share, length=length)
    hidden = draw_mask(section, time, channels, np.random.default_rng(seed))
    assert hidden.shape == (time, channels)
    assert hidden.any()
    assert not hidden.all()
    again = draw_mask(section, time, channels, np.random.default_rng(seed))
    assert (hidden == again).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.15, 0.3, 0.5])
def test_the_share_is_what_was_asked_for(kind, share):
    section = MaskSection(kind=kind, share=share, length=4)
    drawn = [draw_mask(section, 200, 3, np.random.default_rng(seed)).mean() for seed in range(20)]
    assert np.mean(drawn) == pytest.approx(share, abs=0.02)


def test_blocks_are_stretches_of_one_channel():
    section = MaskSection(kind="block", share=0.2, length=5)
    hidden = draw_mask(section, 100, 4, np.random.default_rng(3))
    places = {tuple(np.flatnonzero(channel)) for channel in hidden.T}
    assert len(places) == 4
    for channel in hidden.T:
        for first, last in stretches(np.arange(100), channel):
            assert (last - first + 1) % 5 == 0


def test_patches_hide_all_channels_at_once():
    section = MaskSection(kind="patch", share=0.5, length=10)
    hidden = draw_mask(section, 100, 4, np.random.default_rng(3))
    assert (hidden == hidden[:, :1]).all()
    assert hidden[:, 0].reshape(10, 10).all(axis=1).sum() == 5


def test_a_series_of_one_step_hides_nothing_of_one_channel():
    assert not draw_mask(MaskSection(kind="block"), 1, 1, np.random.default_rng(0)).any()
    assert not last_steps(4, 1, 2).any()


def test_a_forecast_is_of_half_a_short_series_at_most():
    assert last_steps(8, 6, 1)[:, 0].tolist() == [False] * 3 + [True] * 3
