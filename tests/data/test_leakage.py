"""What training rows give away: by hand, on real data, and gone after the repair."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.config.data import DataSection, LeakageSection
from graft.core.errors import DataError
from graft.core.jsonable import to_plain
from graft.core.roles import Split
from graft.data.leakage import leakage_report, leaked_ids, repaired_split
from graft.data.loading import dataset_from_frames, load_dataset, report_on

REAL = Path(__file__).parents[3] / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not here")
ALL = ("exact", "normalised", "near", "shared_text", "shared_texts_all", "group", "time")


def pairs(*rows, prefix="train", **more):
    frame = pd.DataFrame(rows, columns=["sentence1", "sentence2"])
    return frame.assign(row=[f"{prefix}:{i + 1}" for i in range(len(rows))], **more)


def report(train, test, policy=ALL, threshold=0.9):
    section = LeakageSection(policy=policy, near_threshold=threshold)
    return leakage_report(train, test, Split.test, section)


LONG = "the quick brown fox jumps over the lazy dog near the old mill by the river every day"


def test_each_kind_by_hand():
    train = pairs(("a b", "c d"), ("E f!", "g h"), (LONG, LONG), ("k", "l"))
    test = pairs(
        ("c d", "a b"),  # exact, turned round
        ("e F", "g, h"),  # normalised only
        (LONG.replace("every", "each"), LONG),  # near, and one text shared
        ("k", "c d"),  # both texts stand there, in two rows
        ("k", "new"),  # one text
        ("new", "newer"),
        prefix="test",
    )
    found = report(train, test, threshold=0.8)
    assert (found.exact, found.normalised, found.near) == (1, 2, 3)
    assert (found.shared_any, found.shared_all) == (5, 3)
    assert (found.groups, found.time) == (None, None)
    assert found.clean_rows == 1
    kinds = {row.row: row.kinds for row in found.leaked}
    assert kinds["test:1"] == ("exact", "normalised", "near", "shared_text", "shared_texts_all")
    assert kinds["test:3"] == ("near", "shared_text")
    assert kinds["test:4"] == ("shared_text", "shared_texts_all")
    givers = {row.row: row.train_rows for row in found.leaked}
    assert givers["test:1"] == ("train:1",)
    assert set(givers["test:4"]) == {"train:1", "train:4"}


def test_the_policy_decides_what_counts():
    train, test = pairs(("a", "b")), pairs(("a", "c"), prefix="test")
    assert report(train, test, policy=("exact",)).clean_rows == 1
    assert leaked_ids(report(train, test, policy=("shared_text",))) == {"test:1"}


def test_groups_and_time():
    train = pairs(("a", "b"), ("c", "d"), group=["x", "y"], time=[1.0, 5.0])
    test = pairs(("e", "f"), ("g", "h"), prefix="test", group=["y", "z"], time=[5.0, 4.0])
    found = report(train, test)
    assert (found.groups, found.time) == (1, 1)
    assert {row.row: (row.kinds, row.train_rows) for row in found.leaked} == {
        "test:1": (("group",), ("train:2",)),
        "test:2": (("time",), ("train:2",)),
    }


def test_evidence_is_bounded():
    train = pairs(*[("a" * 500, "b")] * 50)
    (row,) = report(train, pairs(("a" * 500, "b"), prefix="test")).leaked
    assert len(row.train_rows) == 5
    assert max(map(len, row.texts)) == 200


def test_the_report_is_plain_data():
    assert to_plain(report(pairs(("a", "b")), pairs(("a", "b"), prefix="test")))["exact"] == 1


letter = st.sampled_from(list("abcdefgh"))
row = st.tuples(letter, letter)


@given(
    train=st.lists(row, min_size=8, max_size=30),
    test=st.lists(row, min_size=1, max_size=6),
    policy=st.sets(st.sampled_from(ALL), min_size=1),
)
@settings(max_examples=80, deadline=None)
def test_repair_leaves_no_leak_and_no_test_row_changed(train, test, policy):
    def frame(rows, old):
        made = pd.DataFrame(rows, columns=["sentence1", "sentence2"])
        numbers = np.arange(len(rows), dtype=float)
        return made.assign(
            label=0.5, group=[f"g{i % 7}" for i in range(len(rows))], time=numbers + old
        )

    section = DataSection(train="memory", leakage=LeakageSection(policy=tuple(sorted(policy))))
    section = section.model_copy(
        update={"split": section.split.model_copy(update={"validation": 0})}
    )
    dataset, before = dataset_from_frames(frame(train, 0), section, 1, test=frame(test, 4))
    try:
        repaired, count = repaired_split(dataset, section.leakage)
    except DataError as error:
        assert "would be empty" in str(error)
        return
    assert repaired.rows(Split.test).equals(dataset.rows(Split.test))
    assert len(repaired.rows(Split.train)) == len(train) - count
    assert (count > 0) == bool(before.leakage[0].leaked)
    assert not report_on(repaired, section).leakage[0].leaked


@needs_real
def test_dating_pairs_known_truth():
    section = DataSection(train="train.jsonl", test="eval.jsonl", split={"validation": 0})
    dataset, known = load_dataset(section, REAL / "dating_pairs", 42)
    (leak,) = known.leakage
    assert (leak.rows, leak.exact, leak.shared_any, leak.shared_all) == (295, 42, 190, 100)
    assert leak.clean_rows == 195
    train, _ = known.splits
    assert (train.rows, train.duplicates, train.contradictions) == (1195, 91, 0)
    repaired, count = repaired_split(dataset, section.leakage)
    assert count > 0
    assert report_on(repaired, section).leakage[0].clean_rows == 295


@needs_real
def test_banking77_known_truth():
    section = DataSection(
        train="train.csv",
        test="test.csv",
        texts=("text",),
        columns={"label": "category"},
        split={"validation": 0},
    )
    dataset, known = load_dataset(section, REAL / "banking77", 42, "classification")
    (leak,) = known.leakage
    assert (leak.rows, leak.exact, leak.normalised, leak.clean_rows) == (3080, 0, 25, 3055)
    train, test = dataset.rows(Split.train), dataset.rows(Split.test)
    words = {tuple(re.findall(r"\w+", text.lower())) for text in train["text"]}
    stand = [tuple(re.findall(r"\w+", text.lower())) in words for text in test["text"]]
    assert leaked_ids(leak) == set(test["row"][stand])
