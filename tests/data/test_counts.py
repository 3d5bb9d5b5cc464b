"""Duplicates, contradictions and counts against a count by hand."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from graft.core.roles import Split
from graft.core.tables import DataReport
from graft.data.counts import label_counts, split_report, with_token_lengths

FRAME = pd.DataFrame(
    {
        "row": [f"train:{i}" for i in range(1, 7)],
        "split": "train",
        "source": ["a", "a", "a", "b", "b", "b"],
        "source_row": [1, 2, 3, 1, 2, 3],
        "sentence1": ["x", "y", "x", "p", "q", "p"],
        "sentence2": ["y", "x", "y", "q", "p", "r"],
        "label": [1.0, 1.0, 0.0, 1.0, 1.0, 0.0],
        "kind": ["k", "k", "l", "k", "l", "k"],
    }
)


def test_by_hand():
    report = split_report(FRAME, Split.train, ("kind",))
    assert report.rows == 6
    assert report.sources == ("a", "b")
    assert report.duplicates == 2  # row 2 repeats row 1 turned round, row 5 repeats row 4
    assert report.contradictions == 1
    assert report.contradiction_rows == (1,)
    assert report.labels == {"0": 2, "1": 4}
    assert report.slices == {"kind": {"k": 4, "l": 2}}
    assert [entry.column for entry in report.lengths] == ["sentence1", "sentence2"]
    assert report.lengths[0].tokens_mean is None


@given(labels=st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_labels_are_all_counted(labels):
    counts = label_counts(np.array(labels))
    assert sum(counts.values()) == len(labels)
    assert len(counts) in (2, 10)


def test_fingerprint_depends_on_content_and_order_not_on_file_names():
    def print_of(frame):
        return split_report(frame, Split.train, ()).fingerprint

    own = print_of(FRAME)
    assert own == print_of(FRAME.assign(source="elsewhere"))
    assert own != print_of(FRAME.iloc[::-1])
    assert own != print_of(FRAME.assign(label=0.0))
    assert own != print_of(FRAME.assign(kind="k"))


def test_token_lengths_fill_only_what_is_named():
    report = DataReport((split_report(FRAME, Split.train, ()),), (), "given", {}, ())
    filled = with_token_lengths(report, {("train", "sentence1"): [1, 2, 3, 4, 5, 9]}, limit=4)
    first, second = filled.splits[0].lengths
    assert (first.tokens_mean, first.tokens_max, first.limit, first.truncated) == (4.0, 9, 4, 2)
    assert second.tokens_mean is None
    assert report.splits[0].lengths[0].limit is None
