"""From recipe to data set: paths, ids, several files, frames, notes, storage."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graft.config.data import DataSection
from graft.core.errors import DataError
from graft.core.jsonable import dumps, from_plain, to_plain
from graft.core.roles import Split
from graft.core.tables import DataReport
from graft.data.loading import dataset_from_frames, load_dataset
from graft.data.storage import load_splits, save_splits


def rows(count: int, start: int = 0, **more) -> pd.DataFrame:
    numbers = range(start, start + count)
    return pd.DataFrame(
        {
            "text_1": [f"left {i}" for i in numbers],
            "text_2": [f"right {i}" for i in numbers],
            "label": [i % 2 for i in numbers],
            "kind": [f"k{i % 3}" for i in numbers],
            "colour": "red",
            **more,
        }
    )


def write(path: Path, frame: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    records = frame.to_dict("records")
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def test_files_become_a_data_set_and_a_report(tmp_path):
    write(tmp_path / "a.jsonl", rows(40))
    write(tmp_path / "b.jsonl", rows(20, 100))
    write(tmp_path / "test.jsonl", rows(10, 200))
    section = DataSection(train=("a.jsonl", "b.jsonl"), test="test.jsonl", slices=("kind",))
    dataset, report = load_dataset(section, tmp_path, 7)
    frame = dataset.frame
    assert list(frame.columns) == [
        *("row", "split", "source", "source_row", "sentence1", "sentence2", "label", "kind"),
    ]
    assert frame["row"].is_unique
    assert frame["row"].iloc[[0, 40, 60]].tolist() == ["train:1", "train-2:1", "test:1"]
    assert {split.split: split.rows for split in report.splits} == {
        "train": 54,
        "validation": 6,
        "test": 10,
    }
    assert report.splits[0].sources == ("a.jsonl", "b.jsonl")
    assert report.columns == {"sentence1": "text_1", "sentence2": "text_2", "label": "label"}
    assert report.ignored_columns == ("colour",)
    assert report.split_method == (
        "train, test from files; validation: 0.1 of the training rows, stratified by label, "
        "equal inputs kept together (seed 7)"
    )
    assert from_plain(DataReport, to_plain(report)) == report


def test_two_folders_give_identical_reports(tmp_path):
    found = []
    for name in ("one", "two"):
        write(tmp_path / name / "a.jsonl", rows(40))
        dataset, report = load_dataset(DataSection(train="a.jsonl"), tmp_path / name, 7)
        found.append((dumps(report), dataset.frame.to_csv()))
    assert found[0] == found[1]
    assert str(tmp_path) not in found[0][0]


def test_paths_count_from_the_recipe_then_from_here(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    write(tmp_path / "here.jsonl", rows(40))
    monkeypatch.chdir(tmp_path)
    section = DataSection(train="here.jsonl")
    assert len(load_dataset(section, tmp_path / "recipes", 1)[0].frame) == 40
    write(tmp_path / "recipes" / "here.jsonl", rows(30))
    assert len(load_dataset(section, tmp_path / "recipes", 1)[0].frame) == 30


def test_problems_of_all_files_are_told_at_once(tmp_path):
    (tmp_path / "bad.jsonl").write_text("{broken\n")
    write(tmp_path / "other.jsonl", rows(5).drop(columns="label"))
    section = DataSection(train=("gone.jsonl", "bad.jsonl"), test="other.jsonl", slices=("kind",))
    with pytest.raises(DataError) as caught:
        load_dataset(section, tmp_path, 1)
    told = str(caught.value)
    assert "'gone.jsonl' does not exist" in told
    assert str(tmp_path / "gone.jsonl") in told
    assert str(Path.cwd() / "gone.jsonl") in told
    assert "bad.jsonl row 1" in told
    assert "other.jsonl: no column is known to be 'label'" in told


def test_bad_values_of_two_files_are_told_together(tmp_path):
    write(tmp_path / "a.jsonl", rows(20).assign(label="yes"))
    write(tmp_path / "b.jsonl", rows(3).assign(text_1=""))
    with pytest.raises(DataError) as caught:
        load_dataset(DataSection(train="a.jsonl", test="b.jsonl"), tmp_path, 1)
    where = [problem.where for problem in caught.value.problems]
    assert where[:2] == ["a.jsonl row 1", "a.jsonl row 2"]
    assert where[-1] == "b.jsonl row 3"


def test_drop_goes_on_and_ids_stay(tmp_path):
    frame = rows(40)
    section = DataSection(train="memory", on_bad_rows="drop")
    whole, _ = dataset_from_frames(frame, section, 1)
    dented, report = dataset_from_frames(
        frame.assign(label=["yes", *frame["label"][1:]]), section, 1
    )
    assert set(whole.frame["row"]) - set(dented.frame["row"]) == {"train:1"}
    assert "train frame: 1 row left out (on_bad_rows is 'drop')" in report.notes
    with pytest.raises(DataError, match="none of its 40 rows can be used"):
        dataset_from_frames(frame.assign(label="yes"), section, 1)


def test_frames_are_not_changed():
    frame = rows(40)
    before = frame.copy()
    dataset_from_frames(frame, DataSection(train="memory", slices=("kind",)), 1)
    pd.testing.assert_frame_equal(frame, before)


def test_customary_group_and_time_are_noted_or_left_aside():
    frame = rows(
        40, group=[f"g{i}" for i in range(40)], date=[f"2024-01-{i % 28 + 1:02}" for i in range(40)]
    )
    _, report = dataset_from_frames(frame, DataSection(train="memory"), 1)
    assert "column 'date' is taken as time because of its name" in report.notes
    assert report.leakage[0].groups == 0
    test = rows(10, 100, group="new")
    dataset, report = dataset_from_frames(frame, DataSection(train="memory"), 1, test=test)
    assert "time" not in dataset.frame
    assert any("'date' is not used as time" in note for note in report.notes)
    with pytest.raises(DataError, match="test frame: has no column 'date'"):
        section = DataSection(train="memory", columns={"time": "date"})
        dataset_from_frames(frame, section, 1, test=test)


def test_times_must_be_written_in_one_way():
    section = DataSection(train="memory")
    with pytest.raises(DataError, match="numbers in one file and dates in another"):
        dataset_from_frames(rows(40, time=1), section, 1, test=rows(9, 99, time="2024-01-01"))


def test_slices_must_exist_and_not_collide():
    with pytest.raises(DataError, match="has no column 'kinds'"):
        dataset_from_frames(rows(40), DataSection(train="memory", slices=("kinds",)), 1)
    with pytest.raises(DataError, match="'row' is a name that the data set itself uses"):
        dataset_from_frames(rows(40, row=1), DataSection(train="memory", slices=("row",)), 1)


def test_no_validation_is_said():
    section = DataSection(train="memory", split={"validation": 0})
    dataset, report = dataset_from_frames(rows(40), section, 1)
    assert dataset.rows(Split.validation).empty
    assert any(note.startswith("there are no validation rows") for note in report.notes)
    assert "validation: none" in report.split_method


def test_rows_of_an_empty_test_split_are_an_error():
    dataset, _ = dataset_from_frames(rows(40), DataSection(train="memory"), 1)
    dataset.frame.loc[dataset.frame["split"] == "test", "split"] = "train"
    with pytest.raises(DataError, match="split 'test': holds no rows"):
        dataset.rows(Split.test)


def test_saved_and_loaded_is_the_same(tmp_path):
    frame = rows(40, date=[f"2024-01-{i % 28 + 1:02}" for i in range(40)])
    section = DataSection(train="memory", slices=("kind",))
    dataset, _ = dataset_from_frames(frame, section, 1)
    save_splits(dataset, tmp_path / "data" / "splits.parquet")
    again = load_splits(tmp_path / "data" / "splits.parquet")
    assert again.columns == dataset.columns
    assert (again.slices, again.ignored) == (("kind",), ("colour",))
    assert again.split_method == dataset.split_method
    assert again.frame.to_dict("records") == dataset.frame.to_dict("records")
    assert again.frame["label"].dtype == np.float64
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["splits.parquet"]


def test_a_file_that_is_no_data_set_is_refused(tmp_path):
    rows(3).to_parquet(tmp_path / "other.parquet")
    for name in ("other.parquet", "none.parquet"):
        with pytest.raises(DataError, match=r"run the data stage again"):
            load_splits(tmp_path / name)
