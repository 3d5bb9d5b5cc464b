"""Rows of series: from columns of files to arrays, facts, fingerprints and back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.config.data import DataSection
from graft.config.loading import load_recipe
from graft.core.errors import DataError, RecipeError
from graft.core.facts import RowFacts
from graft.core.roles import Split
from graft.data.dataset import Dataset, fingerprint
from graft.data.loading import dataset_from_frames, load_dataset
from graft.data.storage import load_splits, save_splits
from graft.evaluate.predictions import write_predictions
from graft.runs.splitting import write_splits


def rows(count: int = 40, channels: int = 2, seed: int = 1, **more) -> pd.DataFrame:
    """Series of 5 to 8 steps with a missing value here and there, of two classes."""
    rng = np.random.default_rng(seed)
    series = [rng.normal(size=(rng.integers(5, 9), channels)) for _ in range(count)]
    for place in range(0, count, 7):
        series[place][2, 0] = np.nan
    labels = [("down", "up")[place % 2] for place in range(count)]
    return pd.DataFrame({"series": series, "label": labels, **more})


def loaded(frame: pd.DataFrame, test: pd.DataFrame | None = None, **changes):
    section = DataSection(**{"train": "memory", **changes})
    return dataset_from_frames(frame, section, 1, test=test, task="series")


def problems(frame: pd.DataFrame, **changes) -> str:
    with pytest.raises(DataError) as caught:
        loaded(frame, **changes)
    return str(caught.value)


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    pairs = zip(one["series"], other["series"], strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def test_rows_hold_arrays_and_the_facts_say_what_they_are():
    frame = rows()
    dataset, report = loaded(frame, series={"channels": ["left", "right"]})
    assert dataset.facts == report.facts
    assert dataset.facts == RowFacts(classes=("down", "up"), channels=("left", "right"))
    assert [cell.shape for cell in dataset.frame["series"]] == [c.shape for c in frame["series"]]
    assert {cell.dtype for cell in dataset.frame["series"]} == {np.dtype(np.float32)}
    assert dataset.frame["label"].tolist()[:3] == [0.0, 1.0, 0.0]
    assert dataset.columns == {"series": "series", "label": "label"}
    assert {split.split: split.rows for split in report.splits} == {
        "train": 29, "validation": 3, "test": 8,
    }  # fmt: skip


def test_a_list_for_each_channel_is_the_same_as_whole_series():
    whole = rows()
    lists = pd.DataFrame(
        {
            "low": [cell[:, 0].tolist() for cell in whole["series"]],
            "high": [cell[:, 1].tolist() for cell in whole["series"]],
            "label": whole["label"],
        }
    )
    channels = {"channels": ["low", "high"]}
    one, other = loaded(whole, series=channels)[0], loaded(lists, series=channels)[0]
    assert same(one.frame, other.frame)
    assert fingerprint(one.frame, one.facts) == fingerprint(other.frame, other.facts)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_files_with_lists_are_read(name, tmp_path):
    frame = rows().assign(series=lambda found: [cell.tolist() for cell in found["series"]])
    if name.endswith("parquet"):
        frame.to_parquet(tmp_path / name)
    else:
        frame.to_json(tmp_path / name, orient="records", lines=True, double_precision=15)
    dataset, _ = load_dataset(DataSection(train=name), tmp_path, 1, "series")
    assert same(dataset.frame, loaded(rows())[0].frame)


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    channels=st.integers(1, 4),
    holes=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_what_is_saved_comes_back(tmp_path_factory, lengths, channels, holes):
    cells = [np.random.default_rng(n).normal(size=(n, channels)).astype("f4") for n in lengths]
    if holes:
        cells[0][0, 0] = np.nan
    frame = pd.DataFrame({"row": [f"train:{i}" for i in range(len(cells))], "split": "train"})
    frame["series"] = pd.Series(cells, dtype=object)
    facts = RowFacts(classes=("a", "b"), channels=tuple("wxyz"[:channels]))
    path = tmp_path_factory.mktemp("saved") / "splits.parquet"
    save_splits(Dataset(frame, {}, (), (), "given", facts), path)
    back = load_splits(path)
    assert back.facts == facts
    assert same(back.frame, frame)
    assert all(cell.flags.writeable for cell in back.frame["series"])


def test_a_value_more_or_less_changes_the_fingerprint():
    dataset, _ = loaded(rows())
    before = fingerprint(dataset.frame, dataset.facts)
    for change in (np.float32(0.1), np.float32(np.nan)):
        other = dataset.frame.copy()
        other["series"] = [cell.copy() for cell in other["series"]]
        other["series"].iloc[3][1, 1] += change
        assert fingerprint(other, dataset.facts) != before


def test_what_a_split_writes_is_read_back(tmp_path):
    dataset, report = loaded(rows())
    write_splits(dataset, report, tmp_path / "out")
    names = {split.value: f"out/{split}.jsonl" for split in Split}
    back, _ = load_dataset(DataSection(**names), tmp_path, 1, "series")
    for split in Split:
        assert same(back.rows(split), dataset.rows(split))
        assert back.rows(split)["label"].tolist() == dataset.rows(split)["label"].tolist()


def test_predictions_leave_the_series_out(tmp_path):
    class Undecided:
        def decide(self, frame: pd.DataFrame) -> None:
            return None

    frame = loaded(rows())[0].frame
    columns = {"predicted": np.zeros(len(frame))}
    write_predictions(Undecided(), frame, columns, {Split.test: tmp_path / "p"}, frozenset())
    found = pd.read_parquet(tmp_path / "p")
    assert "series" not in found
    assert len(found) == 8


def test_all_that_is_wrong_with_rows_is_told_at_once():
    frame = rows()
    frame["series"] = frame["series"].astype(object)
    frame.at[1, "series"] = "1,2"
    frame.at[2, "series"] = np.full((3, 2), np.nan)
    frame.at[3, "series"] = np.array([[1.0, np.inf], [2.0, 3.0]])
    frame.at[4, "series"] = [[1.0, 2.0], [3.0]]
    frame.at[5, "label"] = None
    told = problems(frame)
    assert "row 2: series is '1,2', not a list of numbers" in told
    assert "row 3: series holds no value" in told
    assert "row 4: series holds 1 infinite value, the first at step 1" in told
    assert "row 5: series is no list of numbers" in told
    assert "row 6: label is missing" in told
    dataset, _ = loaded(frame, on_bad_rows="drop")
    assert len(dataset.frame) == len(frame) - 5
    assert "5 rows left out" in dataset.notes[0]


def test_every_row_has_the_same_channels():
    frame = rows()
    frame.at[6, "series"] = np.zeros((4, 3))
    assert "row 7: has 3 channels, not 2. Fix: give every row the same channels" in problems(frame)
    told = problems(rows(), series={"channels": ["x", "y", "z"]})
    assert "row 1: has 2 channels, not 3 as data.series.channels names" in told


def test_channels_of_one_row_are_of_one_length():
    frame = pd.DataFrame({"x": [[1, 2]] * 20, "y": [[1, 2]] * 20, "label": ["a", "b"] * 10})
    frame.at[3, "y"] = [1]
    told = problems(frame, series={"channels": ["x", "y"]})
    assert "row 4: series has channels of different lengths: {'x': 2, 'y': 1}" in told


def test_where_the_series_are_is_asked_not_guessed():
    frame = rows().rename(columns={"series": "signal"})
    assert "write: data: {series: {channels: [signal]}}" in problems(frame)
    dataset, _ = loaded(frame, series={"column": "signal"})
    assert dataset.columns["series"] == "signal"
    assert list(dataset.as_read(Split.test).columns) == ["signal", "label"]
    assert "has no column 'sginal'. Fix: did you mean 'signal'?" in problems(
        frame, series={"column": "sginal"}
    )


def recipe(**data):
    plain = {"name": "x", "task": "series", "arms": {"a": {}}, "data": {"train": "t.ts", **data}}
    return load_recipe(plain).recipe


def test_a_recipe_of_series_has_the_values_of_a_classification():
    found = recipe()
    assert found.evaluation.primary == "balanced_accuracy"
    assert found.arms["a"].loss == "cross_entropy"
    assert "base" in found.baselines


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"texts": ["review"]}, "data.texts: is given, but nothing reads it"),
        ({"table": ["age"]}, "data.table: is given, but nothing reads it"),
        ({"split": {"method": "by_text"}}, "a series has no texts"),
    ],
)
def test_texts_and_tables_are_refused(data, told):
    with pytest.raises(RecipeError, match=told):
        recipe(**data)


def test_only_series_read_the_section_of_series():
    data = {"train": "t.csv", "texts": ["review"], "series": {"channels": ["x"]}}
    plain = {"name": "x", "task": "classification", "arms": {"a": {}}, "data": data}
    with pytest.raises(RecipeError, match=r"data\.series\.channels: is given, but nothing reads"):
        load_recipe(plain)
