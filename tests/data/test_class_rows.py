"""Rows of a classification: labels, texts and table columns from files to facts."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.config.data import DataSection, LeakageSection
from graft.core.errors import DataError
from graft.core.facts import RowFacts
from graft.core.jsonable import from_plain, to_plain
from graft.core.roles import Split
from graft.core.tables import DataReport
from graft.data.leakage import leakage_report, leaked_ids, repaired_split
from graft.data.loading import dataset_from_frames, load_dataset, report_on
from graft.data.storage import load_splits, save_splits


def rows(count: int = 60, start: int = 0, **more) -> pd.DataFrame:
    """Reviews: a title that some lack, a text, a number, a category, three classes."""
    numbers = range(start, start + count)
    return pd.DataFrame(
        {
            "title": [f"title {i}" if i % 4 else None for i in numbers],
            "review": [f"review number {i} has enough words" for i in numbers],
            "age": [20 + i % 37 if i % 5 else None for i in numbers],
            "unit": [("ICU", "ER", None)[i % 3] for i in numbers],
            "verdict": [("bad", "fair", "good")[i % 3] for i in numbers],
            **more,
        }
    )


def section(**changes) -> DataSection:
    given = {
        "train": "memory",
        "texts": ("title", "review"),
        "table": ("age", "unit"),
        "columns": {"label": "verdict"},
        **changes,
    }
    return DataSection(**given)


def loaded(frame: pd.DataFrame, seed: int = 1, test: pd.DataFrame | None = None, **changes):
    return dataset_from_frames(frame, section(**changes), seed, test=test, task="classification")


def problems(frame: pd.DataFrame, test: pd.DataFrame | None = None, **changes) -> str:
    with pytest.raises(DataError) as caught:
        loaded(frame, test=test, **changes)
    return str(caught.value)


def test_columns_keep_their_names_and_get_clean_types():
    dataset, report = loaded(rows(), slices=("unit",))
    assert dataset.facts == RowFacts(
        ("title", "review"), ("age",), ("unit",), ("bad", "fair", "good")
    )
    assert dataset.facts == report.facts
    frame = dataset.frame
    assert list(frame.columns) == [
        *("row", "split", "source", "source_row", "label", "title", "review", "age", "unit"),
    ]
    assert frame["label"].dtype == frame["age"].dtype == np.float64
    assert frame["label"].tolist()[:4] == [0, 1, 2, 0]
    assert frame["title"].tolist()[:2] == ["", "title 1"]
    assert math.isnan(frame["age"][0])
    assert frame["unit"].tolist()[:3] == ["ICU", "ER", "(missing)"]
    assert report.columns == {"label": "verdict"}
    assert report.ignored_columns == ()
    assert from_plain(DataReport, to_plain(report)) == report


def test_what_a_split_holds_is_counted_by_name():
    _, report = loaded(rows(), split={"validation": 0})
    train, test = report.splits
    assert train.labels == {"bad": 16, "fair": 16, "good": 16}
    assert test.labels == {"bad": 4, "fair": 4, "good": 4}
    assert train.missing["title"] + test.missing["title"] == 15
    assert train.missing["age"] + test.missing["age"] == 12
    assert train.missing["unit"] + test.missing["unit"] == 20
    assert train.missing["review"] == 0
    assert [entry.column for entry in train.lengths] == ["title", "review"]


@pytest.mark.parametrize("name", ["label", "class", "Category", "target", "intent"])
def test_customary_names_of_the_label(name):
    dataset, _ = loaded(rows().rename(columns={"verdict": name}), columns={})
    assert dataset.columns == {"label": name}


def test_a_column_named_for_something_else_is_no_candidate():
    frame = rows(category="x", label=[f"c{i % 2}" for i in range(60)])
    dataset, _ = loaded(frame, columns={}, slices=("category",))
    assert dataset.columns == {"label": "label"}
    assert "could each be 'label'" in problems(frame, columns={})


def test_all_missing_columns_are_named_at_once():
    told = problems(
        rows(),
        texts=("title", "reviev"),
        table=("aeg", "unit"),
        slices=("colour",),
        columns={"label": "verdikt"},
    )
    assert "has no column 'reviev'. Fix: did you mean 'review'?" in told
    assert "has no column 'aeg'. Fix: did you mean 'age'?" in told
    assert "has no column 'verdikt'. Fix: did you mean 'verdict'?" in told
    assert "has no column 'colour'. Fix: it has" in told


@pytest.mark.parametrize(
    "name",
    ["row", "split", "source", "source_row", "group", "time", "score", "predicted", "threshold",
     "leaked", "p_0", "p_76"],
)  # fmt: skip
@pytest.mark.parametrize("key", ["texts", "table", "slices"])
def test_names_of_the_data_set_are_refused(name, key):
    if key == "slices" and name in ("group", "time"):
        return  # taken as group or time because of its name, see the next test
    frame = rows().assign(**{name: "x y"})
    before = getattr(section(), key)
    told = problems(frame, **{key: (*before, name)})
    assert f"data.{key}: '{name}' is a name that the data set itself uses" in told


def test_a_group_may_be_a_slice_under_its_own_name():
    frame = rows(group=[f"g{i % 20}" for i in range(60)])
    dataset, _ = loaded(frame, slices=("group",), split={"method": "grouped"})
    assert dataset.slices == ("group",)


def test_what_contradicts_itself_is_refused():
    told = problems(rows(), texts=("title", "review", "title"), table=("age", "review", "verdict"))
    assert "data.texts: names ['title'] twice" in told
    assert "data.table: 'verdict' is the label: the model would read the answer" in told
    assert "data.table: ['title', 'review', 'title']" not in told
    assert "data.table: ['review'] are text columns too" in told
    told = problems(rows(), categorical=("aeg",), slices=("title",))
    assert "data.categorical: 'aeg' is no column of data.table. Fix: did you mean 'age'?" in told
    assert "data.slices: ['title'] are text columns too" in told


def test_numbers_and_names_are_told_apart_over_all_files():
    frame = rows()
    assert loaded(frame)[0].facts.numbers == ("age",)
    assert loaded(frame, categorical=("age",))[0].facts.categories == ("age", "unit")
    test = rows(9, 100).astype(object)
    test.loc[0, "age"] = "NA"
    dataset, report = loaded(frame, test=test)
    assert dataset.facts.categories == ("age", "unit")
    assert dataset.frame["age"].tolist()[:2] == ["(missing)", "21"]
    (note,) = [note for note in report.notes if "'age'" in note and "names" in note]
    assert "1 of 56 values are no numbers, such as 'NA' (test frame row 1)" in note
    assert "data.table: 'age' holds no value in any file" in problems(rows(age=None))


def test_a_number_column_is_no_slice():
    told = problems(rows(), slices=("age",))
    assert "data.slices: 'age' is a table column of numbers" in told
    assert "data.categorical" in told
    dataset, _ = loaded(rows(), slices=("age",), categorical=("age",))
    assert dataset.frame["age"].tolist()[0] == "(missing)"


def test_bad_rows_are_named_with_their_values():
    frame = rows().astype(object)
    frame.loc[0, "verdict"] = None
    frame.loc[1, "verdict"] = " "
    frame.at[2, "verdict"] = ["bad"]
    frame.loc[3, "age"] = math.inf
    frame.loc[4, "review"] = 7
    frame.at[5, "unit"] = {"a": 1}
    frame.loc[6, ["title", "review", "age", "unit"]] = [None, " ", None, ""]
    told = problems(frame)
    for row, what in (
        (1, "label is missing"),
        (2, "label is missing"),
        (3, "label is ['bad'], a list, not the name of a class"),
        (4, "age is inf, which is infinite"),
        (5, "review is 7, a int, not text"),
        (6, "unit is {'a': 1}, a dict, not a name"),
        (7, "holds no text in ['title', 'review'] and no value in ['age', 'unit']"),
    ):
        assert f"train frame row {row}: {what}" in told
    dataset, report = loaded(frame, on_bad_rows="drop")
    assert len(dataset.frame) == 53
    assert any(note.startswith("train frame: 7 rows left out") for note in report.notes)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ((0, 1), ("0", "1")),
        ((10.0, 9.0), ("9", "10")),
        (("10", "9.5"), ("9.5", "10")),
        ((False, True), ("false", "true")),
        (("yes", "no"), ("no", "yes")),
        ((1, "one"), ("1", "one")),
        ((np.int64(3), np.float32(4)), ("3", "4")),
    ],
)
def test_labels_become_names_in_order(values, classes):
    frame = rows().assign(verdict=pd.Series([values[i % 2] for i in range(60)], dtype=object))
    assert loaded(frame)[0].facts.classes == classes


def test_the_positive_class_is_the_second():
    frame = rows(verdict=["no" if i % 2 else "yes" for i in range(60)])
    for positive, classes in (("no", ("yes", "no")), ("yes", ("no", "yes"))):
        dataset, report = loaded(frame, positive=positive)
        assert report.facts.classes == classes
        assert report.facts.binary
        named = [classes[int(place)] for place in dataset.frame["label"]]
        assert named == frame["verdict"].tolist()
    assert "'ye' is no class. Fix: did you mean 'yes'?" in problems(frame, positive="ye")
    assert "there are 3 classes and not two" in problems(rows(), positive="bad")


def test_what_is_no_column_of_classes_is_refused():
    assert "holds one class only, ['bad']" in problems(rows(verdict="bad"))
    graded = rows(verdict=[i / 7 for i in range(60)])
    assert "60 different labels in 60 rows: these look like graded labels" in problems(graded)
    named = rows(2400, verdict=[f"user {i % 1001}" for i in range(2400)])
    assert "1,001 different labels in 2,400 rows: these look like ident" in problems(named)


def test_a_class_without_training_rows_is_named():
    told = problems(rows(), test=rows(9, 100, verdict=["worst", *["bad"] * 7, "worst"]))
    assert "test frame row 1: class 'worst' stands in 2 test rows and in no training row" in told


def test_a_class_of_one_row_stays_in_training_and_is_told():
    frame = rows(verdict=["rare", *["bad", "good"] * 29, "good"])
    for seed in range(8):
        dataset, report = loaded(frame, seed=seed)
        assert (dataset.rows(Split.train)["label"] == dataset.facts.classes.index("rare")).any()
        told = [note for note in report.notes if "('rare')" in note]
        assert [note.partition(":")[0] for note in told] == ["validation", "test"]


def test_names_that_differ_in_dress_only_are_noted():
    frame = rows(verdict=[("Yes", "yes ", "no")[i % 3] for i in range(60)])
    _, report = loaded(frame)
    assert "classes ['Yes', 'yes '] differ in letter case or spaces only" in report.notes


def test_categories_that_no_training_row_has_are_counted():
    test = rows(9, 100, unit=["new", "ER", "newer", *["ICU"] * 6])
    _, report = loaded(rows(), test=test)
    assert report.splits[-1].unseen == {"unit": 2}
    assert report.splits[0].unseen == {}
    assert "test: 2 rows have a 'unit' that no training row has" in report.notes


def test_the_fingerprint_knows_values_columns_and_classes():
    def prints(frame, **changes):
        return [split.fingerprint for split in loaded(frame, **changes)[1].splits]

    own = prints(rows())
    assert own == prints(rows())
    age = rows().assign(age=rows()["age"].fillna(3))
    for other in (
        prints(age),
        prints(rows(), categorical=("age",)),
        prints(rows(), table=("age",)),
        prints(rows().replace({"verdict": {"good": "great"}})),
    ):
        assert not set(own) & set(other)


def test_max_rows_draws_by_the_seed_and_keeps_the_shares():
    frame = rows(300)
    dataset, report = loaded(frame, max_rows=90)
    assert "90 of 300 rows, drawn by seed 1 (data.max_rows)" in report.notes
    assert dataset.frame["label"].value_counts().tolist() == [30, 30, 30]
    again, other = loaded(frame, max_rows=90)[0], loaded(frame, seed=2, max_rows=90)[0]
    assert dataset.frame.equals(again.frame)
    assert set(dataset.frame["row"]) != set(other.frame["row"])
    assert loaded(frame, max_rows=300)[1].notes == loaded(frame)[1].notes


def test_max_rows_leaves_files_for_test_alone_and_takes_whole_groups():
    frame = rows(300, group=[f"g{i % 50}" for i in range(300)])
    test = rows(30, 500, group="new")
    dataset, _ = loaded(frame, test=test, max_rows=100, split={"method": "grouped"})
    assert (dataset.frame["split"] == "test").sum() == 30
    drawn = dataset.frame[dataset.frame["split"] != "test"]
    assert set(drawn["group"].value_counts()) == {6}
    assert len(drawn) == 96
    told = problems(frame.assign(group="one"), max_rows=100, split={"method": "grouped"})
    assert "data.max_rows: is 100, and the smallest group has 300 rows" in told


def test_max_rows_keeps_every_class_or_says_that_it_cannot():
    frame = rows(400, verdict=[f"c{i % 20}" if i < 200 else "often" for i in range(400)])
    dataset, _ = loaded(frame, max_rows=60, split={"validation": 0})
    assert len(dataset.facts.classes) == 21
    assert "is 10, and there are 21 classes" in problems(frame, max_rows=10)


def test_max_rows_of_pairs():
    frame = pd.DataFrame({"text1": [f"a{i}" for i in range(50)], "label": [0, 1] * 25})
    frame["text2"] = "b" + frame["text1"]
    dataset, report = dataset_from_frames(frame, DataSection(train="memory", max_rows=20), 3)
    assert len(dataset.frame) == 20
    assert report.notes[0] == "20 of 50 rows, drawn by seed 3 (data.max_rows)"


cell = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(data=st.data(), count=st.integers(12, 25))
@settings(max_examples=60, deadline=None)
def test_no_row_is_lost_in_silence(data, count):
    frame = pd.DataFrame(
        {
            name: pd.Series(data.draw(st.lists(cell, min_size=count, max_size=count)), dtype=object)
            for name in ("title", "review", "age", "unit")
        }
    ).assign(verdict=[("bad", "good")[i % 2] for i in range(count)])
    try:
        dataset, report = loaded(frame, on_bad_rows="drop", split={"validation": 0, "test": 0.3})
    except DataError as error:
        assert error.problems
        return
    left_out = {
        int(note.partition("row ")[2].partition(":")[0])
        for note in report.notes
        if note.startswith("train frame row ")
    }
    more = any("not listed" in note for note in report.notes)
    kept = set(dataset.frame["source_row"])
    assert kept.isdisjoint(left_out)
    assert more or kept | left_out == set(range(1, count + 1))
    assert np.isfinite(dataset.frame[list(dataset.facts.numbers)].fillna(0)).all(axis=None)


@given(order=st.permutations(["title", "review", "age", "unit", "verdict", "more"]))
@settings(max_examples=6, deadline=None)
def test_the_order_of_the_columns_plays_no_part(order):
    frame = rows(more=1)
    own, other = loaded(frame), loaded(frame[order])
    assert own[0].frame.equals(other[0].frame)
    assert own[1] == other[1]


def test_saved_and_loaded_is_the_same(tmp_path):
    dataset, _ = loaded(rows(), slices=("unit",))
    save_splits(dataset, tmp_path / "splits.parquet")
    again = load_splits(tmp_path / "splits.parquet")
    pd.testing.assert_frame_equal(again.frame, dataset.frame, check_dtype=False)
    assert (again.facts, again.notes) == (dataset.facts, dataset.notes)


def test_rows_written_as_they_were_read_give_the_same_data_set(tmp_path):
    dataset, report = loaded(rows(), slices=("unit",), positive=None)
    names = {}
    for split in Split:
        frame = dataset.as_read(split)
        names[split.value] = f"{split}.jsonl"
        records = [json.dumps(record, allow_nan=False) for record in frame.to_dict("records")]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(records), encoding="utf-8")
    again, other = load_dataset(
        section(slices=("unit",), **names), tmp_path, 1, task="classification"
    )
    assert [split.labels for split in other.splits] == [split.labels for split in report.splits]
    assert again.facts == dataset.facts
    own = ["title", "review", "age", "unit", "label"]
    for split in Split:
        assert again.rows(split)[own].equals(dataset.rows(split)[own])


FACTS = RowFacts(("title", "review"), ("age",), ("unit",), ("bad", "good"))
LONG = "a text of quite enough words"


def leaks(train: dict, test: dict, facts: RowFacts = FACTS, **section):
    def frame(values, name):
        one = {"row": [f"{name}:1"], "title": [""], "review": [""], "age": [30.0], "unit": ["ICU"]}
        return pd.DataFrame({**one, **{key: [value] for key, value in values.items()}})

    found = leakage_report(
        frame(train, "train"), frame(test, "test"), Split.test, LeakageSection(**section), facts
    )
    kinds = found.leaked[0].kinds if found.leaked else ()
    return (found.exact, found.normalised, found.near, found.shared_any, found.shared_all), kinds


@pytest.mark.parametrize(
    ("train", "test", "counts"),
    [
        # A long text gives away, whatever the table says.
        ({"review": LONG, "age": 30.0}, {"review": LONG, "age": 40.0}, (1, 1, 1, 1, 1)),
        ({"review": LONG}, {"review": LONG.upper() + "!"}, (0, 1, 1, 1, 1)),
        # All texts together are the input: another title is another input.
        ({"title": "One", "review": LONG}, {"title": "Two", "review": LONG}, (0, 0, 0, 1, 0)),
        # A title is equal by chance, unless the whole row is equal.
        ({"title": "Love it", "age": 1.0}, {"title": "Love it", "age": 2.0}, (0, 0, 0, 1, 0)),
        ({"title": "Love it"}, {"title": "Love it"}, (1, 1, 0, 1, 0)),
        ({"title": "Love it"}, {"title": "love it!"}, (0, 1, 0, 1, 0)),
        # Without any text the table row is the input.
        ({"age": 3.0}, {"age": 3.0}, (1, 1, 0, 0, 0)),
        ({"age": 3.0}, {"age": 4.0}, (0, 0, 0, 0, 0)),
        ({"age": 3.0, "unit": "ER"}, {"age": 3.0, "unit": "ICU"}, (0, 0, 0, 0, 0)),
        # Words stay apart.
        ({"review": "i want to top up"}, {"review": "i want to topup"}, (0, 0, 0, 0, 0)),
        ({"review": "i want to top up"}, {"review": "I want to top-up."}, (0, 1, 1, 1, 1)),
    ],
)
def test_each_kind_of_leak_by_hand(train, test, counts):
    assert leaks(train, test)[0] == counts


def test_a_short_text_that_is_the_whole_input_gives_away():
    alone = RowFacts(("review",), classes=("bad", "good"))
    assert leaks({"review": "topup"}, {"review": "Topup?"}, alone)[0] == (0, 1, 1, 1, 1)


def test_rows_without_texts_are_near_to_nobody():
    empty = {"title": "", "review": ""}
    assert leaks(empty, {**empty, "age": 5.0}, policy=("near",))[1] == ()


def test_duplicates_and_contradictions_are_of_texts_and_table():
    frame = pd.concat([rows(30), rows(30)], ignore_index=True)
    frame.loc[30, "age"] = 99.0  # of the same text, but another input
    frame.loc[31, "verdict"] = "bad"  # was fair
    dataset, _ = loaded(frame, split={"validation": 0, "test": 0.2, "method": "by_text"})
    dataset.frame["split"] = "train"
    dataset.frame.loc[59, "split"] = "test"
    train = report_on(dataset, section()).splits[0]
    assert (train.duplicates, train.contradictions, train.contradiction_rows) == (27, 1, (2,))


letter = st.sampled_from(["", "aaa", "bbb", "i have had enough of it", "this is long enough too"])
place = st.tuples(letter, letter, st.sampled_from([1.0, 2.0]), st.sampled_from(["ICU", None]))


@given(
    train=st.lists(place, min_size=10, max_size=30), test=st.lists(place, min_size=1, max_size=6)
)
@settings(max_examples=40, deadline=None)
def test_a_repair_leaves_no_leak_and_no_test_row_changed(train, test):
    def frame(values):
        made = pd.DataFrame(values, columns=["title", "review", "age", "unit"])
        return made.assign(verdict=[("bad", "good")[i % 2] for i in range(len(values))])

    clean = section(split={"validation": 0})
    dataset, before = loaded(frame(train), test=frame(test), split={"validation": 0})
    try:
        repaired, count = repaired_split(dataset, clean.leakage)
    except DataError as error:
        assert "would be empty" in str(error)
        return
    assert repaired.rows(Split.test).equals(dataset.rows(Split.test))
    assert (count > 0) == bool(leaked_ids(before.leakage[0]))
    assert not report_on(repaired, clean).leakage[0].leaked


@given(
    values=st.lists(place, min_size=30, max_size=60),
    method=st.sampled_from(["stratified", "by_text"]),
)
@settings(max_examples=30, deadline=None)
def test_what_is_dealt_out_here_does_not_leak(values, method):
    frame = pd.DataFrame(values, columns=["title", "review", "age", "unit"])
    frame["verdict"] = [("bad", "good")[i % 2] for i in range(len(values))]
    told = [f"{text} and the number is {i % 23}" for i, text in enumerate(frame["review"])]
    frame["review"] = [text if i % 4 else "" for i, text in enumerate(told)]
    try:
        _, report = loaded(frame, split={"method": method, "validation": 0})
    except DataError as error:
        told = str(error)
        assert any(word in told for word in ("cannot hold out", "no training row", "one class"))
        return
    (leak,) = report.leakage
    assert (leak.exact, leak.normalised) == (0, 0)
    assert method == "stratified" or leak.shared_any == 0
