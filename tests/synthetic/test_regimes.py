"""The windows hold what their truth promises."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from graft.config.data import DataSection
from graft.core.errors import InputError
from graft.data.loading import load_dataset
from graft.data.unlabelled import unlabelled_rows
from graft.synthetic import regimes
from graft.synthetic.regimes import (
    CHANNELS,
    REGIMES,
    SIZES,
    best_accuracy,
    regime_windows,
    truth,
    write_regimes,
)

WINDOWS = regime_windows(42, "test", 1000)


def told(windows):
    """The answer of a reader who is told where the legs end: how many keep their pace."""
    answers = []
    for turns in windows.turns:
        ended = turns[turns < regimes.STEPS]
        slow = np.diff(ended) > np.sqrt(regimes.FAST[1] * regimes.SLOW[0])
        changes = np.flatnonzero(np.diff(slow))
        # The first and the last pace may have begun before, and go on after.
        runs = np.diff(changes) if len(changes) > 1 else [max(*changes, len(slow) - 2) + 1]
        answers.append(min(max(round(np.mean(runs)), 1), 4) - 1)
    return np.array(answers)


def summaries(windows):
    """What a person would measure of a window: its way, range and volatility, by quarters."""
    logs = np.log(windows.series)
    moves = np.diff(logs[:, :, -1], axis=1)
    unit = moves.std(axis=1)
    parts = [(logs[:, -1, -1] - logs[:, 0, -1]) / unit, np.ptp(logs[:, :, -1], axis=1) / unit]
    for part in np.array_split(np.arange(regimes.STEPS), 4):
        quarter = logs[:, part]
        parts += [
            (quarter[:, -1, -1] - quarter[:, 0, -1]) / unit,
            (quarter[:, :, 1] - quarter[:, :, 2]).mean(axis=1) / unit,
            np.diff(quarter[:, :, -1], axis=1).std(axis=1) / unit,
        ]
    return np.stack(parts, axis=1)


def test_bars_are_bars():
    opening, high, low, close = np.moveaxis(WINDOWS.series, 2, 0)
    assert WINDOWS.series.shape == (1000, 105, 4)
    assert (low <= np.minimum(opening, close)).all()
    assert (high >= np.maximum(opening, close)).all()
    assert (low > 0).all()


def test_who_is_told_where_the_legs_end_reads_the_rhythm():
    assert (told(WINDOWS) == WINDOWS.regimes).mean() > 0.9


def test_the_labels_are_as_good_as_the_truth_says():
    many = regime_windows(7, "test", 4000)
    right = (many.labels == many.regimes).mean()
    assert right == pytest.approx(best_accuracy(), abs=0.01)
    assert f"{best_accuracy():.1%}" in truth()


def test_regimes_are_equally_frequent_and_have_the_same_legs():
    counts = np.bincount(WINDOWS.regimes)
    assert counts.tolist() == [len(WINDOWS.regimes) // len(REGIMES)] * len(REGIMES)
    lengths = np.diff(WINDOWS.turns[:, :17], axis=1)
    means = [lengths[WINDOWS.regimes == place].mean() for place in range(len(REGIMES))]
    assert np.ptp(means) < 0.6


def test_way_range_and_volatility_say_little():
    train = regime_windows(42, "train", 1000)
    model = HistGradientBoostingClassifier(random_state=0).fit(summaries(train), train.labels)
    assert (model.predict(summaries(WINDOWS)) == WINDOWS.labels).mean() < 0.5


def test_level_and_scale_are_independent_of_the_regime():
    logs = np.log(WINDOWS.series[:, :, -1])
    for value in (logs.mean(axis=1), np.log(np.ptp(logs, axis=1))):
        means = [value[WINDOWS.regimes == place].mean() for place in range(len(REGIMES))]
        assert np.ptp(means) < 0.5 * value.std()


def test_parts_and_seeds_have_nothing_in_common_and_repeat():
    again = regime_windows(42, "test", 1000)
    assert np.array_equal(again.series, WINDOWS.series)
    for other in (regime_windows(42, "train", 1000), regime_windows(43, "test", 1000)):
        assert not np.isin(other.series[:, 0, 0], WINDOWS.series[:, 0, 0]).any()


def test_too_few_windows_are_refused():
    with pytest.raises(InputError, match="ask for 20 or more"):
        regime_windows(1, "train", 19)


def test_the_files_are_read_as_series(tmp_path, monkeypatch):
    monkeypatch.setattr(regimes, "SIZES", dict.fromkeys(SIZES, 60))
    train, test, unlabelled = write_regimes(tmp_path / "new", 42)
    assert "regime" not in pq.read_schema(unlabelled).names
    section = DataSection(
        train=train.name,
        test=test.name,
        columns={"label": "regime"},
        series={"channels": list(CHANNELS)},
    )
    dataset, report = load_dataset(section, tmp_path / "new", 1, "series")
    assert dataset.facts.classes == tuple(sorted(REGIMES))
    assert dataset.facts.channels == CHANNELS
    assert report.leakage[-1].clean_rows == 60
    found = unlabelled_rows([unlabelled.name], section, tmp_path / "new")
    assert (len(found.frame), found.shape.longest) == (60, 105)
    assert "60 windows" in (tmp_path / "new" / "TRUTH.md").read_text(encoding="utf-8")
