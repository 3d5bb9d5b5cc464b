"""Series from files: `.ts`, NumPy, long tables, wide tables; strictly, and with all problems."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graft.config.data import DataSection
from graft.core.errors import DataError
from graft.data.loading import load_dataset
from graft.data.readers import read_table
from graft.data.series_columns import series_table
from graft.data.unlabelled import unlabelled_rows

SHARED = Path(__file__).parents[3] / "shared" / "data" / "aeon_ts"
TS = """#A made-up set
@problemName Tides
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true ebb flow
@data
1,2,3:4,?,6:flow
% a comment
7,8:NaN,10:ebb
"""


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def read(path: Path, **changes):
    section = DataSection(**{"train": path.name, **changes})
    return series_table(read_table(path, on_bad_rows=section.on_bad_rows), section)


def problems(path: Path, **changes) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **changes)
    return str(caught.value)


def values(table) -> list[list]:
    return [np.where(np.isnan(cell), -1, cell).tolist() for cell in table.frame["series"]]


def test_a_ts_file_is_read_with_gaps_and_its_own_lengths(tmp_path):
    table = read(write(tmp_path / "a.ts", TS))
    assert values(table) == [[[1, 4], [2, -1], [3, 6]], [[7, -1], [8, 10]]]
    assert table.frame["label"].tolist() == ["flow", "ebb"]
    assert table.source_rows.tolist() == [10, 12]


def test_a_ts_file_without_classes_has_no_labels(tmp_path):
    text = "@classLabel false\n@univariate true\n@data\n1,2,3\n"
    table = read(write(tmp_path / "a.ts", text))
    assert list(table.frame) == ["series"]
    assert values(table) == [[[1], [2], [3]]]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1,2:flow", "row 10: has 1 channels, the header says 2"),
        ("1,2:3,4:5,6:flow", "row 10: has 3 channels, the header says 2"),
        ("1,2:3,4:calm", "row 10: ends in the class 'calm', which @classLabel does not name"),
        ("1,x:3,4:ebb", "row 10: channel 1 holds 'x'. Fix: write a number, or ?"),
        ("1,2:3:ebb", "row 10: has channels of different lengths"),
    ],
)
def test_lines_of_a_ts_file_that_cannot_be_read_are_named(tmp_path, line, told):
    path = write(tmp_path / "a.ts", TS.replace("1,2,3:4,?,6:flow", line))
    assert told in problems(path)
    table = read(path, on_bad_rows="drop")
    assert len(table.frame) == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("@data", "", "stands before @data and is no directive: '1,2,3:4,?,6:flow'"),
        ("timeStamps false", "timeStamps true", "write it as a long table"),
        ("timeStamps false", "timeStamps maybe", "@timestamps says 'maybe', not true or false"),
        ("univariate false", "univariate true", "has @univariate true and 2 dimensions"),
        ("classLabel true ebb flow", "targetLabel true", "a number to predict"),
        ("dimensions 2", "dimensions two", "@dimensions says 'two', not a whole number"),
    ],
)
def test_a_ts_header_that_misleads_is_refused(tmp_path, old, new, told):
    assert told in problems(write(tmp_path / "a.ts", TS.replace(old, new)))


def test_equal_lengths_are_held_to(tmp_path):
    text = TS.replace("equalLength false", "equalLength true\n@seriesLength 3")
    assert "has 2 time steps, the header says 3" in problems(write(tmp_path / "a.ts", text))


@pytest.mark.parametrize(
    ("name", "rows", "steps", "channels", "classes"),
    [
        ("JapaneseVowels", (270, 370), (7, 29), 12, 9),
        ("ItalyPowerDemand", (67, 1029), (24, 24), 1, 2),
        ("GunPoint", (50, 150), (150, 150), 1, 2),
    ],
)
@pytest.mark.skipif(not SHARED.is_dir(), reason="the archive's files are not at hand")
def test_sets_of_the_archive_are_read(name, rows, steps, channels, classes):
    files = {"train": f"{name}_TRAIN.ts", "test": f"{name}_TEST.ts"}
    dataset, report = load_dataset(DataSection(**files), SHARED, 1, "series")
    lengths = [len(cell) for cell in dataset.frame["series"]]
    assert sum(rows) == len(dataset.frame)
    assert report.splits[-1].rows == rows[1]
    assert (min(lengths), max(lengths)) == steps
    assert len(dataset.facts.channels) == channels
    assert len(dataset.facts.classes) == classes
    assert not any(np.isnan(cell).any() for cell in dataset.frame["series"])


@pytest.mark.parametrize("key", ["series", "X", "x"])
def test_an_npz_file_holds_series_and_columns(tmp_path, key):
    cube = np.arange(24, dtype=float).reshape(3, 4, 2)
    cube[1, 2:] = np.nan
    np.savez(tmp_path / "a.npz", **{key: cube}, y=[1, 0, 1], group=["a", "b", "b"])
    table = read(tmp_path / "a.npz")
    assert [len(cell) for cell in table.frame["series"]] == [4, 2, 4]
    assert table.frame["series"][2].tolist() == cube[2].tolist()
    assert table.frame["y"].tolist() == [1, 0, 1]
    assert table.frame["group"].tolist() == ["a", "b", "b"]
    assert table.source_rows.tolist() == [1, 2, 3]


def test_an_npy_file_is_series_alone(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 7), np.int16))
    table = read(tmp_path / "a.npy")
    assert [cell.shape for cell in table.frame["series"]] == [(7, 1)] * 5


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"X": np.zeros((2, 3)), "x": np.zeros((2, 3))}, "['X', 'x'] could be the series"),
        ({"data": np.zeros((2, 3))}, "of which none could be the series"),
        ({"X": np.zeros(3)}, "holds series of shape [3]"),
        ({"X": np.array([["a"]])}, "type <U1"),
        ({"X": np.zeros((2, 3)), "y": [1]}, "other arrays of the shapes {'y': [1]}"),
    ],
)
def test_npz_files_of_other_shapes_are_refused(tmp_path, arrays, told):
    np.savez(tmp_path / "a.npz", **arrays)
    assert told in problems(tmp_path / "a.npz")


def test_pickled_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1], [2, 3]], dtype=object), allow_pickle=True)
    assert "is no NumPy file of numbers and texts" in problems(tmp_path / "a.npy")
    write(tmp_path / "b.npz", "no zip")
    assert "is no NumPy file" in problems(tmp_path / "b.npz")


def test_a_column_for_each_step_is_a_series(tmp_path):
    text = "label,t_10,t_9,t_8\na,3,2,1\nb,,5,4\nc,6,,\nd,7,,8\n"
    path = write(tmp_path / "a.csv", text)
    table = read(path, series={"steps": ["t_*"]})
    assert values(table) == [[[1], [2], [3]], [[4], [5]], [[-1], [-1], [6]], [[8], [-1], [7]]]
    assert list(table.frame) == ["label", "series"]


def test_channels_of_a_wide_table_have_a_pattern_each(tmp_path):
    path = write(tmp_path / "a.csv", "x1,y1,x2,y2\n1,2,3,4\n")
    assert values(read(path, series={"steps": ["x*", "y*"]})) == [[[1, 2], [3, 4]]]


@pytest.mark.parametrize(
    ("header", "steps", "told"),
    [
        ("t1,t2,t4", ["t*"], "the columns t* do not count up: 4 comes after 2"),
        ("t1,t01,t2", ["t*"], "the columns t* do not count up: 1 comes after 1"),
        ("x1,x2,y1", ["x*", "y*"], "the channels have different first and last steps"),
        ("x1,x2,y1", ["x*", "z*"], "no column is called as data.series.steps 'z*' says"),
    ],
)
def test_steps_that_do_not_count_up_are_refused(tmp_path, header, steps, told):
    path = write(tmp_path / "a.csv", f"{header}\n1,2,3\n")
    assert told in problems(path, series={"steps": steps})


def dataset(path: Path, **changes):
    section = DataSection(**{"train": path.name, **changes})
    return load_dataset(section, path.parent, 1, "series")


def dataset_problems(path: Path, **changes) -> str:
    with pytest.raises(DataError) as caught:
        dataset(path, **changes)
    return str(caught.value)


def test_a_cell_that_is_no_number_is_named(tmp_path):
    text = "label,t1,t2\n" + "a,1,2\nb,3,4\n" * 10 + "a,1,x\n"
    told = dataset_problems(write(tmp_path / "a.csv", text), series={"steps": ["t*"]})
    assert "a.csv row 22: series holds 'x' in 't2', no number" in told


LONG = {"series": {"channels": ["x", "y"]}}


def long(items: int = 20, steps: int = 4, start: str = "") -> pd.DataFrame:
    """A line for each step of each item, shuffled."""
    lines = [
        {
            "item_id": f"i{item}",
            "timestamp": step
            if not start
            else pd.Timestamp(start) + pd.Timedelta(item + step, "h"),
            "x": item + step / 10,
            "y": -step,
            "label": ("a", "b")[item % 2],
        }
        for item in range(items)
        for step in range(steps)
    ]
    return pd.DataFrame(lines).sample(frac=1, random_state=1)


def saved(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "long.csv", index=False)
    return folder / "long.csv"


def test_the_lines_of_an_item_make_a_series_by_time(tmp_path):
    table = read(saved(long(), tmp_path), **LONG)
    assert len(table.frame) == 20
    for item, cell in zip(table.frame["item_id"], table.frame["series"], strict=True):
        assert cell[:, 1].tolist() == [0, -1, -2, -3]
        assert np.allclose(cell[:, 0], int(item[1:]) + np.arange(4) / 10)
    assert list(table.frame) == ["item_id", "label", "series"]
    found, report = dataset(saved(long(), tmp_path), **LONG)
    assert "long.csv: 80 lines of 20 items" in report.notes
    assert found.columns["item"] == "item_id"
    # The row is known by the first line of its item.
    assert found.frame["source_row"].is_monotonic_increasing


def test_lines_that_lack_on_the_grid_are_gaps_and_counted(tmp_path):
    frame = long()
    frame = frame[~((frame["item_id"] == "i3") & (frame["timestamp"] == 2))]
    table = read(saved(frame, tmp_path), **LONG)
    cell = dict(zip(table.frame["item_id"], table.frame["series"], strict=True))["i3"]
    assert np.isnan(cell).all(axis=1).tolist() == [False, False, True, False]
    assert "1 lines that lack on the grid of 1 items are gaps" in table.notes[1]


def test_a_grid_of_dates_has_gaps_too_and_gives_the_span(tmp_path):
    frame = long(start="2024-03-01").assign(group="one source")
    hole = frame[(frame["item_id"] != "i3") | (frame["timestamp"].dt.hour != 4)]
    table = read(saved(hole, tmp_path), **LONG)
    where = table.frame["item_id"].tolist().index("i3")
    assert np.isnan(table.frame["series"][where][1]).all()
    row = table.frame.iloc[where]
    assert (row["start"].hour, row["end"].hour, row["time"]) == (3, 6, row["end"])


def test_without_groups_dates_say_nothing_of_overlap(tmp_path):
    table = read(saved(long(start="2024-03-01"), tmp_path), **LONG)
    assert "start" not in table.frame
    assert "time" in table.frame


def test_timestamps_without_a_grid_are_told(tmp_path):
    frame = long().astype({"timestamp": float})
    frame.loc[(frame["item_id"] == "i5") & (frame["timestamp"] == 3), "timestamp"] = 2.7
    table = read(saved(frame, tmp_path), **LONG)
    assert all(len(cell) == 4 for cell in table.frame["series"])
    assert "of 1 items the timestamps stand on no regular grid" in table.notes[1]


def test_a_far_timestamp_makes_no_endless_series(tmp_path):
    frame = long()
    frame.loc[(frame["item_id"] == "i5") & (frame["timestamp"] == 3), "timestamp"] = 10**9
    assert max(len(cell) for cell in read(saved(frame, tmp_path), **LONG).frame["series"]) == 4


def test_all_that_is_wrong_with_items_is_told_at_once(tmp_path):
    frame = long().reset_index(drop=True).astype(object)

    def at(item: str, step: int) -> int:
        return frame.index[(frame["item_id"] == item) & (frame["timestamp"] == step)][0]

    frame.loc[at("i1", 2), "timestamp"] = 1
    frame.loc[at("i2", 2), "label"] = "b"
    frame.loc[at("i3", 2), "x"] = "high"
    frame.loc[at("i4", 2), "timestamp"] = "noon"
    told = dataset_problems(saved(frame, tmp_path), **LONG)
    assert "series of item 'i1' has a timestamp twice (rows" in told
    assert "label of item 'i2' is 'a' (row" in told
    assert f"series of item 'i3' x is 'high', not a number (row {at('i3', 2) + 2})" in told
    assert "series of item 'i4' timestamp is 'noon', which cannot be read" in told
    found, report = dataset(saved(frame, tmp_path), **LONG, on_bad_rows="drop")
    assert len(found.frame) == 16
    assert any("4 rows left out" in note for note in report.notes)


def test_a_line_without_an_item_is_told(tmp_path):
    frame = long()
    frame.iloc[7, 0] = None
    assert "item_id is empty (row 9)" in dataset_problems(saved(frame, tmp_path), **LONG)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"item_id": "who"}, "no column is known to be the item of a long table"),
        ({"timestamp": "when"}, "add to the recipe: data: {series: {timestamp: …}}"),
        ({"y": "item"}, "has no column 'y'"),
    ],
)
def test_roles_of_a_long_table_are_asked_for(tmp_path, change, told):
    assert told in problems(saved(long().rename(columns=change), tmp_path), **LONG)


def test_two_columns_that_could_order_the_lines_are_an_error(tmp_path):
    told = problems(saved(long().assign(time=1), tmp_path), **LONG)
    assert "the columns ['timestamp', 'time'] could each be the timestamp" in told
    asked = {"series": {**LONG["series"], "timestamp": "timestamp"}}
    assert len(read(saved(long().assign(time=1), tmp_path), **asked).frame) == 20


def test_a_table_without_series_says_what_to_write(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n1,2\n")
    told = problems(path)
    assert "no column is called 'series'; the columns are ['a', 'b']" in told
    assert "data: {series: {channels: […]}} of a long table" in told


def test_series_without_labels_are_read(tmp_path):
    frame = pd.DataFrame({"x": [[1.0, 2.0], [3.0]] * 4, "outcome": ["a", None] * 4})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.drop(columns="outcome").to_json(tmp_path / "b.jsonl", orient="records", lines=True)
    section = DataSection(
        train="t", series={"channels": ["x"]}, columns={"label": "outcome", "group": "firm"}
    )
    found = unlabelled_rows(["a.parquet", "b.jsonl"], section, tmp_path)
    assert found.frame["row"].tolist()[::8] == ["unlabelled:1", "unlabelled-2:1"]
    assert list(found.frame) == ["row", "source", "source_row", "series"]
    assert found.channels == ("x",)
    assert (found.shape.shortest, found.shape.longest) == (1, 2)


def test_all_files_without_labels_are_told_of_at_once(tmp_path):
    write(tmp_path / "a.jsonl", '{"series": [1, 2]}\n{"series": "x"}\n')
    with pytest.raises(DataError) as caught:
        unlabelled_rows(["a.jsonl", "b.npz"], DataSection(train="t"), tmp_path, "pretrain.rows")
    told = str(caught.value)
    assert "a.jsonl row 2: series is 'x', not a list of numbers" in told
    assert "recipe, pretrain.rows: 'b.npz' does not exist" in told
