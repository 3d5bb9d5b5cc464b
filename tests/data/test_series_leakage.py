"""What training series give away of others: repeats, repeats in dress, overlap, look-ahead."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.audits.evidence import DataEvidence
from graft.audits.rows import leakage as leakage_check
from graft.config.data import DataSection, LeakageSection
from graft.config.loading import load_recipe
from graft.core.errors import DataError
from graft.core.findings import Status
from graft.core.roles import Split
from graft.data.alike import SAME, alike_series, same_series
from graft.data.leakage import repaired_split
from graft.data.loading import dataset_from_frames, report_on
from graft.data.windows import overlaps

POLICY = ("exact", "normalised", "group", "overlap", "time")


def walk(seed: int, steps: int = 30, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(steps, channels)).cumsum(axis=0)


def rows(seeds: range, **more) -> pd.DataFrame:
    labels = [("a", "b")[seed % 2] for seed in seeds]
    return pd.DataFrame({"series": [walk(seed) for seed in seeds], "label": labels, **more})


def report(train: pd.DataFrame, test: pd.DataFrame | None, **changes):
    leakage = {"policy": POLICY, "near_threshold": 0.99, **changes.pop("leakage", {})}
    split = {"validation": 0, **changes.pop("split", {})}
    section = DataSection(train="memory", leakage=leakage, split=split, **changes)
    dataset, found = dataset_from_frames(train, section, 1, test=test, task="series")
    return dataset, found, section


def counts(leak) -> dict[str, int | None]:
    return {
        "exact": leak.exact, "normalised": leak.normalised, "near": leak.near,
        "groups": leak.groups, "overlap": leak.overlap, "time": leak.time,
    }  # fmt: skip


def test_series_of_their_own_are_given_away_by_none():
    _, found, _ = report(rows(range(40)), rows(range(100, 120)))
    assert counts(found.leakage[0]) == {
        "exact": 0, "normalised": 0, "near": 0, "groups": None, "overlap": None, "time": None,
    }  # fmt: skip
    assert (found.leakage[0].shared_any, found.leakage[0].shared_all) == (None, None)
    answer = leakage_check(DataEvidence(found, None, {}))[0]
    assert answer.status is Status.passed
    assert answer.evidence["no_column_for"] == ["groups", "overlap", "time"]


def test_each_kind_of_repeat_is_found_where_it_is():
    test = rows(range(100, 120))
    test.at[0, "series"] = walk(3)
    test.at[1, "series"] = 7 + walk(4) * np.array([3.0, 0.1])
    noise = np.random.default_rng(9).normal(size=(30, 2))
    test.at[2, "series"] = walk(5) + 0.05 * walk(5).std(axis=0) * noise
    test.at[3, "series"] = -walk(6)
    _, found, _ = report(rows(range(40)), test)
    leak = found.leakage[0]
    assert (leak.exact, leak.normalised, leak.near) == (1, 2, 3)
    assert [row.row for row in leak.leaked] == ["test:1", "test:2"]
    assert leak.leaked[1].kinds == ("normalised", "near")
    assert leak.leaked[1].train_rows == ("train:5",)
    assert leakage_check(DataEvidence(found, None, {}))[0].status is Status.failed


@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-100, 100), st.integers(16, 60))
@settings(max_examples=40, deadline=None)
def test_offset_and_scale_change_nothing(seed, scale, offset, steps):
    one = walk(seed, steps, 1).astype("f4")
    other = (offset + scale * one).astype("f4")
    assert [
        len(found) for found in alike_series([one, walk(seed + 1, steps, 1)], [other], SAME)
    ] == [1]
    assert same_series([one, other]).tolist() == [0, 0]


def test_candidates_miss_no_pair_that_brute_force_finds():
    rng = np.random.default_rng(5)
    base = [walk(seed, 40, 1) for seed in range(150)]
    other = [one + rng.normal(size=one.shape) * one.std() * rng.uniform(0, 0.3) for one in base]
    found = alike_series(base, other, 0.99)
    flat = [
        np.stack([(one - one.mean()) / one.std() for one in part])[..., 0] for part in (base, other)
    ]
    brute = flat[1] @ flat[0].T / 40 >= 0.99
    assert brute.sum() > 30
    assert [positions.tolist() for positions in found] == [
        np.flatnonzero(row).tolist() for row in brute
    ]


def test_constant_and_very_short_series_are_like_none():
    still = [np.ones((20, 1)), np.full((20, 1), 5.0)]
    short = [np.array([[1.0], [2.0]]), np.array([[3.0], [9.0]])]
    for pair in (still, short):
        assert [len(found) for found in alike_series(pair[:1], pair[1:], SAME)] == [0]
        assert len(set(same_series(pair))) == 2
        assert len(set(same_series([pair[0], pair[0].copy()]))) == 1


def test_equal_series_are_dealt_out_together():
    frame = pd.concat([rows(range(30)), rows(range(30)), rows(range(30))], ignore_index=True)
    frame["series"] = [cell * (1 + place // 30) for place, cell in enumerate(frame["series"])]
    _, found, _ = report(frame, None, split={"validation": 0.2})
    assert [leak.normalised for leak in found.leakage] == [0, 0]


def windows(count: int = 40, step: int = 10, length: int = 30, **more) -> pd.DataFrame:
    starts = np.arange(count) * step
    return rows(range(count), start=starts, end=starts + length - 1, **more)


def test_windows_that_overlap_across_splits_are_found():
    _, found, _ = report(windows(), None, leakage={"policy": ("overlap",)})
    leak = found.leakage[0]
    assert leak.overlap > 0
    assert {row.kinds for row in leak.leaked} <= {("overlap", "time"), ("overlap",)}
    answer = leakage_check(DataEvidence(found, None, {}))[0]
    assert answer.status is Status.failed
    assert f"overlap {leak.overlap}" in answer.summary


def test_windows_apart_or_of_other_sources_overlap_with_none():
    _, found, _ = report(windows(step=30), None)
    assert found.leakage[0].overlap == 0
    train = windows(group=["one"] * 40)
    _, found, _ = report(train, windows(group=["other"] * 40))
    assert (found.leakage[0].overlap, found.leakage[0].groups) == (0, 0)


def test_windows_by_time_are_held_out_youngest_first_and_only_touch():
    dataset, found, section = report(windows(), None, split={"method": "by_time"})
    leak = found.leakage[0]
    assert (leak.time, leak.overlap) == (0, 2)
    assert dataset.rows(Split.train)["end"].max() < dataset.rows(Split.test)["end"].min()
    repaired, removed = repaired_split(dataset, section.leakage)
    assert removed == 2
    assert report_on(repaired, section).leakage[0].overlap == 0


def test_a_look_ahead_is_a_younger_training_window():
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(40), "D")
    spans = {"start": dates, "end": dates}
    late = {role: values + pd.Timedelta(30, "D") for role, values in spans.items()}
    _, found, _ = report(rows(range(40), **late), rows(range(50, 90), **spans))
    assert found.leakage[0].time == 40
    _, found, _ = report(rows(range(40), **spans), rows(range(50, 90), **late))
    assert found.leakage[0].time == 9
    assert "time" not in found.columns


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9), st.booleans()), min_size=2))
@settings(max_examples=60, deadline=None)
def test_overlaps_are_those_of_brute_force(spans):
    frame = pd.DataFrame(spans, columns=["start", "end", "group"])
    frame["end"] += frame["start"]
    train, other = frame[::2].reset_index(drop=True), frame[1::2].reset_index(drop=True)
    found = overlaps(train, other)
    for place, row in other.iterrows():
        shared = (train["start"] <= row["end"]) & (train["end"] >= row["start"])
        assert (
            found[place].tolist() == train.index[shared & (train["group"] == row["group"])].tolist()
        )


def test_windows_that_end_before_they_begin_are_refused():
    frame = windows()
    frame.loc[4, "end"] = frame.loc[4, "start"] - 1
    with pytest.raises(DataError, match=r"row 5: the end 39\.0 lies before the start 40\.0"):
        report(frame, None)
    mixed = windows().assign(end=["2024-05-31"] * 40)
    with pytest.raises(DataError, match="column 'start' or 'end' holds numbers in"):
        report(mixed, None)


def test_the_recipe_knows_what_gives_series_away():
    plain = {"name": "x", "task": "series", "arms": {"a": {}}, "data": {"train": "t.ts"}}
    assert load_recipe(plain).recipe.data.leakage == LeakageSection(
        policy=POLICY, near_threshold=0.99
    )
    plain["data"]["leakage"] = {"policy": ["exact"]}
    assert load_recipe(plain).recipe.data.leakage.policy == ("exact",)


def test_the_report_says_what_series_are_like():
    frame = rows(range(20))
    frame.at[0, "series"] = np.ones((10, 2))
    frame.at[2, "series"] = np.where(np.arange(60).reshape(30, 2) == 7, np.nan, walk(2))
    _, found, _ = report(frame, rows(range(50, 60)))
    shape = found.splits[0].series
    assert (shape.shortest, shape.median, shape.longest) == (10, 30.0, 30)
    assert (shape.gaps, shape.rows_with_gaps, shape.constant) == (1, 1, 1)
    assert "train: 1 values are missing, in 1 of 20 series" in found.notes
    assert "train: 1 of 20 series are constant" in found.notes
