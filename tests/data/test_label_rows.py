"""Several labels a row, and numbers to predict: how they are read, dealt out and counted."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.config.data import DataSection
from graft.core.errors import DataError
from graft.core.facts import MULTI_LABEL, REGRESSION
from graft.core.roles import Split
from graft.data.counts import number_counts
from graft.data.loading import dataset_from_frames, load_dataset
from tiny_models import amount_rows, tagged_rows


def section(kind, **more):
    return DataSection(**{"train": "rows.jsonl", "problem_type": kind, "texts": ("note",), **more})


def tagged(count=200, seed=1):
    """Rows with the labels of `tag_rows` as lists."""
    return tagged_rows(count, seed).drop(columns="title")


def read(rows, kind, **more):
    return dataset_from_frames(rows, section(kind, **more), 1, task="classification")


def problems(rows, kind, **more):
    with pytest.raises(DataError) as caught:
        read(rows, kind, **more)
    return [str(problem) for problem in caught.value.problems]


class TestSeveralLabels:
    def test_a_list_and_a_text_with_separators_are_the_same(self):
        rows = tagged()
        texts = rows.assign(label=[" ; ".join(labels) for labels in rows["label"]])
        one, _ = read(rows, MULTI_LABEL)
        other, _ = read(texts, MULTI_LABEL, label_separator=";")
        pd.testing.assert_frame_equal(one.frame, other.frame)
        assert one.facts.classes == ("blue", "green", "red")

    def test_each_label_has_a_column_and_the_label_is_their_number(self):
        rows = tagged()
        dataset, _ = read(rows, MULTI_LABEL)
        frame = dataset.frame
        carried = frame[list(dataset.facts.label_columns)]
        assert set(np.unique(carried)) == {0.0, 1.0}
        np.testing.assert_array_equal(carried.sum(axis=1), frame["label"])
        red = frame["y_2"].to_numpy() == 1
        assert red.tolist() == ["red" in labels for labels in rows["label"]]

    def test_what_was_read_is_written_so_that_it_reads_the_same(self, tmp_path):
        dataset, _ = read(tagged(), MULTI_LABEL)
        files = {}
        for split in Split:
            records = dataset.as_read(split).to_dict("records")
            files[split.value] = f"{split}.jsonl"
            lines = "".join(f"{json.dumps(record)}\n" for record in records)
            (tmp_path / f"{split}.jsonl").write_text(lines)
        again, _ = load_dataset(section(MULTI_LABEL, **files), tmp_path, 1, "classification")
        wanted = ["note", "label", "y_0", "y_1", "y_2"]
        for split in Split:
            pd.testing.assert_frame_equal(again.rows(split)[wanted], dataset.rows(split)[wanted])

    @pytest.mark.parametrize(
        ("label", "what"),
        [
            (None, "label is missing. Fix: write an empty list"),
            (["red", "red"], "label names ['red'] twice"),
            (["red", ""], "one of its labels is empty"),
            (["red", {"a": 1}], "one of its labels is empty, or no name"),
            (3, "label is 3, a int, not a list of labels"),
            ("red||blue", "one of its labels is empty"),
        ],
    )
    def test_a_bad_label_is_named_with_its_row(self, tmp_path, label, what):
        rows = tagged(40).to_dict("records")
        rows[6]["label"] = label
        (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        with pytest.raises(DataError) as caught:
            load_dataset(section(MULTI_LABEL), tmp_path, 1, "classification")
        (problem,) = caught.value.problems
        assert problem.where == "rows.jsonl row 7"
        assert what in str(problem)

    def test_rows_without_labels_are_rows(self):
        dataset, report = read(tagged(), MULTI_LABEL)
        assert (dataset.frame["label"] == 0).sum() == 8
        assert sum(split.rows for split in report.splits) == 200

    def test_a_list_in_a_column_of_classes_is_told_what_to_do(self):
        found = problems(tagged(20), "single_label_classification")
        assert all(f"set data.problem_type: {MULTI_LABEL}" in problem for problem in found)

    @pytest.mark.parametrize(
        ("labels", "what"),
        [
            ([["a"], ["a"], []] * 5, "holds 1 different labels"),
            ([[f"own {k}"] for k in range(15)], "look like identifiers or texts"),
        ],
    )
    def test_a_column_that_holds_no_labels_is_refused(self, labels, what):
        rows = pd.DataFrame({"note": [f"n {k}" for k in range(15)], "label": labels})
        (problem,) = problems(rows, MULTI_LABEL)
        assert what in problem

    def test_the_splits_have_the_same_shares_of_each_label(self):
        dataset, _ = read(tagged(600), MULTI_LABEL)
        columns = list(dataset.facts.label_columns)
        whole = dataset.frame[columns].mean()
        for split in (Split.train, Split.test):
            assert (dataset.rows(split)[columns].mean() - whole).abs().max() < 0.02

    @pytest.mark.parametrize("seed", range(5))
    def test_what_teaches_a_rare_label_is_not_held_out(self, seed):
        rows = tagged(60)
        rows.at[7, "label"] = ["rare", "red"]
        rows.at[9, "label"] = ["odd"]
        given = section(MULTI_LABEL)
        dataset, _ = dataset_from_frames(rows, given, seed, task="classification")
        train = dataset.rows(Split.train)[list(dataset.facts.label_columns)]
        assert train.any().all()

    def test_a_label_that_no_training_row_has_is_named(self):
        rows, test = tagged(60), tagged(20, 2)
        test.at[3, "label"] = ["violet"]
        with pytest.raises(DataError, match=r"test frame row 4: class 'violet' stands in 1 test"):
            dataset_from_frames(rows, section(MULTI_LABEL), 1, test=test, task="classification")

    def test_the_report_counts_each_label_and_what_a_column_tells_of_it(self):
        rows = tagged(300)
        rows["leak"] = ["y" if "blue" in labels else "n" for labels in rows["label"]]
        dataset, report = read(rows, MULTI_LABEL, table=("size", "leak"))
        train = dataset.rows(Split.train)
        counts = dict(zip(dataset.facts.classes, train[["y_0", "y_1", "y_2"]].sum(), strict=True))
        assert report.splits[0].labels == counts
        size, leak = report.table
        assert (leak.label, leak.alone) == ("blue", 1.0)
        assert 0.5 < size.alone < 0.95

    def test_equal_inputs_with_other_labels_contradict(self):
        rows = tagged(60)
        twice = pd.concat([rows, rows.iloc[[5]], rows.iloc[[6]]], ignore_index=True)
        twice.at[60, "label"] = ["red", "blue"] if rows["label"][5] != ["red", "blue"] else []
        _, report = dataset_from_frames(
            twice, section(MULTI_LABEL), 1, test=tagged(20, 2), task="classification"
        )
        assert (report.splits[0].contradictions, report.splits[0].duplicates) == (1, 1)


class TestNumbers:
    def test_labels_stay_in_their_unit(self):
        rows = amount_rows(120, 1).drop(columns=["row", "title"])
        dataset, report = read(rows, REGRESSION)
        np.testing.assert_array_equal(dataset.frame["label"], rows["label"])
        assert (dataset.facts.classes, dataset.facts.regression) == ((), True)
        assert sum(report.splits[0].labels.values()) == report.splits[0].rows

    @pytest.mark.parametrize(
        ("label", "what"),
        [
            ("", "label is missing"),
            ("red", "label is 'red', not a number"),
            ("inf", "label is 'inf', which is infinite"),
            ("nan", "label is 'nan', not a number"),
            (True, "label is True, not a number"),
            ([1.0], "label is [1.0], not a number"),
        ],
    )
    def test_a_label_that_is_no_number_is_named_with_its_row(self, label, what):
        rows = pd.DataFrame({"note": [f"n {k}" for k in range(20)], "label": list(range(20))})
        rows["label"] = rows["label"].astype(object)
        rows.at[4, "label"] = label
        (problem,) = problems(rows, REGRESSION)
        assert problem.startswith(f"train frame row 5: {what}")

    def test_one_number_for_all_is_refused_and_a_few_are_noted(self):
        rows = pd.DataFrame({"note": [f"n {k}" for k in range(20)], "label": 3.0})
        (problem,) = problems(rows, REGRESSION)
        assert "holds the number 3 in all 20 rows" in problem
        dataset, _ = read(rows.assign(label=[1, 2] * 10), REGRESSION)
        assert any("2 different numbers" in note for note in dataset.notes)

    def test_the_splits_have_like_numbers(self):
        rows = amount_rows(600, 1).drop(columns=["row", "title"])
        dataset, _ = read(rows, REGRESSION)
        spread = rows["label"].std()
        for quantile in (0.1, 0.5, 0.9):
            parts = [dataset.rows(s)["label"].quantile(quantile) for s in (Split.train, Split.test)]
            assert abs(parts[0] - parts[1]) < 0.2 * spread

    def test_a_column_that_tells_the_order_alone_is_found(self):
        rows = amount_rows(300, 1)
        rows["leak"] = np.exp(rows["label"] / 300)
        rows["kind"] = pd.cut(rows["label"], 6, labels=list("abcdef")).astype(str)
        _, report = read(rows, REGRESSION, table=("size", "shop", "leak", "kind"))
        alone = {column.column: column.alone for column in report.table}
        assert alone["leak"] > 0.98
        assert alone["kind"] > 0.95
        assert alone["size"] < 0.75
        assert alone["shop"] < 0.65

    @given(
        st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=30).filter(lambda v: np.ptp(v) > 1e-6)
    )
    def test_every_number_is_counted_once(self, values):
        found = number_counts(np.array(values))
        assert len(found) == 5
        assert sum(found.values()) == len(values)
