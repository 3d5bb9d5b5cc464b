"""Faults of the rows, planted in the data that Graft's data stage reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from faults.graft_runs import frames, graft_run
from faults.zoo import Asked, Planted, Registry, sabotage
from graft.audits.evidence import DataEvidence
from graft.audits.registry import DATA_CHECKS
from graft.config.data import DataSection
from graft.config.loading import load_recipe
from graft.core.findings import Status
from graft.data import loading, sources
from graft.runs import pipeline
from tiny_models import colour_pairs, colour_rows, write_jsonl

fault = Registry()


@fault("DAT-14", "leakage")
def test_rows_among_the_training_rows(folder: Path) -> Planted:
    """Half of the test rows stand among the training rows, word for word."""
    rows = frames()
    rows["train"] = pd.concat([rows["train"], rows["test"][:20]], ignore_index=True)
    return graft_run(folder, rows=rows)


@fault("DAT-14", "leakage")
def near_copies_among_the_training_rows(folder: Path) -> Planted:
    """A third of the test rows stand among the training rows in capital letters."""
    rows = frames()
    copies = rows["test"][:14].copy()
    for side in ("sentence1", "sentence2"):
        copies[side] = copies[side].str.upper() + " !"
    rows["train"] = pd.concat([rows["train"], copies], ignore_index=True)
    return graft_run(folder, rows=rows)


@fault("DAT-15", "leakage")
def one_company_on_both_sides(folder: Path) -> Planted:
    """Rows of the same company stand in training and test, and are split row by row."""
    rows = {"train": colour_pairs(100, 1)}
    rows["train"]["company"] = [f"company {index % 12}" for index in range(100)]
    columns = {"group": "company"}
    return graft_run(folder, rows=rows, data={"columns": columns})


@fault("DAT-18", "leakage")
def test_file_never_read(folder: Path) -> Planted:
    """The second file that is asked for comes out of a cache with the rows of the first."""
    train = write_jsonl(colour_pairs(80, 1), folder / "train.jsonl")
    test = write_jsonl(colour_pairs(40, 2), folder / "test.jsonl")

    def cached(read: Any) -> Any:
        first: dict[str, Any] = {}
        return lambda *rest, **named: first.setdefault("it", read(*rest, **named))

    data = {"train": str(train), "test": str(test), "split": {"validation": 0}}
    with sabotage(sources, "read_table", cached):
        return graft_run(folder, data=data)


@fault("EMB-05", "duplicates", status=Status.warned)
def repeated_pairs(folder: Path) -> Planted:
    """A fifth of the pairs stands twice in the training rows, to be each other's negatives."""
    rows = frames()
    rows["train"] = pd.concat([rows["train"], rows["train"][:16]], ignore_index=True)
    return graft_run(folder, rows=rows, data={"split": {"validation": 0}})


@fault("EMB-05", "contradictions", status=Status.warned)
def positives_as_their_own_negatives(folder: Path) -> Planted:
    """Sampled negatives hit pairs that stand in the data as positives."""
    rows = frames()
    wrong = rows["train"][rows["train"]["label"] == 1][:12].assign(label=0)
    rows["train"] = pd.concat([rows["train"], wrong], ignore_index=True)
    return graft_run(folder, rows=rows, data={"split": {"validation": 0}})


@fault("DAT-22", "supervision")
def ids_as_text(folder: Path) -> Planted:
    """The column of ids is given as the second text."""
    rows = frames()
    for name, frame in rows.items():
        frame["key"] = [f"{name}-{index:05}" for index in range(len(frame))]
    columns = {"sentence1": "sentence1", "sentence2": "key"}
    for frame in rows.values():
        frame.drop(columns="sentence2", inplace=True)
    return graft_run(folder, rows=rows, data={"columns": columns})


@fault("DAT-18", "row_sets")
def split_of_an_earlier_run(folder: Path) -> Planted:
    """The table of the splits comes from a cache of another split, with other rows in the test."""

    def stale(save: Any) -> Any:
        def write(dataset: Any, place: Path) -> None:
            old = dataset.frame.copy()
            old.loc[old.index[:30], "split"] = "test"
            save(replace(dataset, frame=old), place)

        return write

    with sabotage(pipeline, "save_splits", stale):
        return graft_run(folder)


def table_run(*columns: str, **more: Any) -> Planted:
    """Return what the checks of the data say of colour rows with more table columns."""
    rows = colour_rows(120, 1).drop(columns="row").assign(**more)
    section = DataSection(
        train="memory",
        texts=("title", "note"),
        table=("size", "shop", *columns),
        columns={"label": "label"},
    )
    dataset, report = loading.dataset_from_frames(rows, section, 1, task="classification")
    return Planted((Asked(DATA_CHECKS, DataEvidence(report, dataset.frame, {})),))


@fault("DAT-27", "target_leakage")
def rating_given_with_the_outcome(folder: Path) -> Planted:
    """Stars that a customer gives together with the recommendation stand in the table."""
    labels = colour_rows(120, 1)["label"]
    return table_run(
        "stars", stars=[3 * int(label) + index % 3 for index, label in enumerate(labels)]
    )


@fault("DAT-22", "identifier_columns", status=Status.warned)
def number_of_the_order(folder: Path) -> Planted:
    """The number of the order is given as a table column."""
    return table_run("order", order=list(range(4000, 4120)))


def series_run(train: pd.DataFrame, test: pd.DataFrame | None = None) -> Planted:
    """Return what the checks of the data say of series."""
    plain = {"name": "x", "task": "series", "arms": {"a": {}}, "data": {"train": "memory"}}
    section = load_recipe(plain).recipe.data
    dataset, report = loading.dataset_from_frames(train, section, 1, test=test, task="series")
    return Planted((Asked(DATA_CHECKS, DataEvidence(report, dataset.frame, {})),))


def walks(seed: int, count: int) -> pd.DataFrame:
    steps = np.random.default_rng(seed).normal(size=(count, 40, 2))
    labels = [("calm", "wild")[index % 2] for index in range(count)]
    return pd.DataFrame({"series": list(steps.cumsum(axis=1)), "label": labels})


@fault("DAT-14", "leakage")
def series_in_other_units_among_the_training_rows(folder: Path) -> Planted:
    """A third of the test series stand among the training series in another unit."""
    train, test = walks(1, 60), walks(2, 30)
    copies = test[:10].assign(series=[32 + 1.8 * series for series in test["series"][:10]])
    return series_run(pd.concat([train, copies], ignore_index=True), test)


@fault("DAT-15", "leakage")
def windows_of_one_record_dealt_out(folder: Path) -> Planted:
    """Windows that overlap are cut from one record and dealt out at random."""
    record = np.random.default_rng(3).normal(size=(640, 2)).cumsum(axis=0)
    starts = np.arange(0, 600, 10)
    windows = walks(1, len(starts)).assign(
        series=[record[start : start + 40] for start in starts], start=starts, end=starts + 39
    )
    return series_run(windows)
