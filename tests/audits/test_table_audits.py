"""K6 on table columns: what tells the label alone, and what only names the row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graft.audits.contract import run_checks
from graft.audits.evidence import DataEvidence
from graft.audits.registry import DATA_CHECKS
from graft.config.data import DataSection
from graft.core.findings import Finding, Status
from graft.data.loading import dataset_from_frames, load_dataset, report_on

REAL = Path(__file__).parents[3] / "shared" / "data" / "womens_clothing"
COUNT = 240


def rows(classes: int = 2, **more) -> pd.DataFrame:
    """Reviews whose age and unit say a little about the verdict."""
    rng = np.random.default_rng(7)
    verdict = rng.integers(classes, size=COUNT)
    return pd.DataFrame(
        {
            "review": [f"review number {i} has enough words" for i in range(COUNT)],
            "age": rng.integers(20, 80, size=COUNT) + 2 * verdict,
            "unit": [f"unit {n}" for n in rng.integers(5, size=COUNT)],
            "verdict": [f"c{n}" for n in verdict],
            **more,
        }
    )


def asked(frame: pd.DataFrame, table=("age", "unit"), task="classification", **changes):
    """What the checks of the data say."""
    if task == "classification":
        changes |= {"texts": ("review",), "table": table}
        changes["columns"] = {"label": "verdict"} | changes.get("columns", {})
    section = DataSection(train="memory", **changes)
    dataset, report = dataset_from_frames(frame, section, 1, task=task)
    findings = run_checks(DATA_CHECKS, DataEvidence(report, dataset.frame, {}), {})
    return {finding.name: finding for finding in findings}


def target(frame: pd.DataFrame, *columns: str) -> Finding:
    return asked(frame, ("age", "unit", *columns))["target_leakage"]


def identifiers(frame: pd.DataFrame, *columns: str) -> Finding:
    return asked(frame, ("age", "unit", *columns))["identifier_columns"]


@pytest.mark.parametrize("classes", [2, 6])
def test_an_honest_table_is_left_in_peace(classes):
    found = asked(rows(classes))
    assert {f.status for f in found.values()} == {Status.passed}
    summary = found["target_leakage"].summary
    assert summary.startswith("None of 2 table columns alone predicts the label; the strongest, ")
    assert ("ROC-AUC 0." in summary) == (classes == 2)
    assert found["target_leakage"].evidence["columns"]["total"] == 2
    assert found["identifier_columns"].summary == "No identifier among 2 table columns."


@pytest.mark.parametrize("classes", [2, 6])
@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_column_that_tells_the_label_fails(classes, kind):
    frame = rows(classes)
    place = frame["verdict"].str[1:].astype(int)
    noise = np.random.default_rng(1).random(COUNT)
    stars = pd.Series(np.where(noise < 0.02, 0, place), index=frame.index)
    answer = stars + 0.3 * noise if kind == "number" else stars.map("star {}".format)
    finding = target(frame.assign(stars=answer), "stars")
    assert finding.status == Status.failed
    assert finding.blocks
    assert finding.summary.startswith("stars alone predicts the label with ")
    assert "probably known only after the outcome" in finding.summary
    assert finding.fix.startswith("Take it out of data.table, or accept `target_leakage`")
    assert finding.evidence["columns"]["first"][0]["column"] == "stars"


def test_all_columns_that_tell_the_label_are_named():
    frame = rows()
    finding = target(frame.assign(one=frame["verdict"], other=frame["verdict"] + "!"),
                     "one", "other")  # fmt: skip
    assert "one alone predicts the label with ROC-AUC 1.00, and so do other (1.00)" in (
        finding.summary
    )


def test_that_a_number_is_missing_tells_the_label_too():
    frame = rows()
    found = target(frame.assign(paid=np.where(frame["verdict"] == "c1", 7.0, np.nan)), "paid")
    assert found.status == Status.failed


def test_a_category_of_its_own_for_each_row_tells_nothing():
    frame = rows(name=[f"name {i}" for i in range(COUNT)])
    assert target(frame, "name").status == Status.passed


def test_noise_is_at_chance():
    frame = rows()
    frame["verdict"] = np.random.default_rng(3).permutation(frame["verdict"])
    first = target(frame).evidence["columns"]["first"]
    assert all(0.35 < entry["alone"] < 0.65 for entry in first)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([f"name {i}" for i in range(COUNT)], "different names in"),
        (list(range(1000, 1000 + COUNT)), "counts the rows"),
        ([5000.5 - i for i in range(COUNT)], "counts the rows"),
        (np.random.default_rng(2).permutation(COUNT).tolist(), "counts the rows"),
    ],
)
def test_a_column_that_names_the_row_is_a_warning(values, words):
    finding = identifiers(rows(key=values), "key")
    assert finding.status == Status.warned
    assert f"Looks like an identifier: key {words}" in finding.summary or words in finding.summary
    assert finding.fix == "Take key out of data.table if that is so."


@pytest.mark.parametrize(
    "values",
    [
        [f"name {i % 60}" for i in range(COUNT)],
        np.random.default_rng(2).random(COUNT).tolist(),
        np.random.default_rng(2).integers(10_000, size=COUNT).tolist(),
        [i // 2 for i in range(COUNT)],
    ],
)
def test_a_measurement_is_no_identifier(values):
    assert identifiers(rows(key=values), "key").status == Status.passed


def test_numbers_of_two_files_each_count_from_one():
    frame = rows(key=[i % 120 for i in range(COUNT)])
    section = DataSection(
        train="memory", texts=("review",), table=("key",), columns={"label": "verdict"}
    )
    dataset, _ = dataset_from_frames(frame, section, 1, task="classification")
    first = dataset.frame["source_row"] <= 120
    dataset.frame["source"] = np.where(first, "one.csv", "two.csv")
    assert report_on(dataset, section).table[0].counting


def test_without_a_table_there_is_nothing_to_look_at():
    pairs = pd.DataFrame({"text1": [f"a{i}" for i in range(60)], "label": [0, 1] * 30})
    pairs["text2"] = "b" + pairs["text1"]
    for found in (asked(rows(), ()), asked(pairs, task="pairs")):
        for name in ("target_leakage", "identifier_columns"):
            assert found[name].status == Status.not_applicable
            assert found[name].summary == "The task reads no table columns."


def test_too_few_rows_to_try_a_column_alone():
    found = asked(rows().head(24))
    assert found["target_leakage"].status == Status.not_applicable
    assert (
        found["target_leakage"].summary == "The 17 training rows are too few to try a column alone."
    )
    assert found["identifier_columns"].status == Status.passed


def test_classes_of_few_rows_are_left_out_of_the_trial():
    frame = rows()
    frame.loc[:3, "verdict"] = ["c5", "c6", "c7", "c8"]
    assert target(frame.assign(answer=frame["verdict"]), "answer").status == Status.failed


def test_groups_time_and_copies_across_splits_are_found_in_a_classification():
    frame = rows(company=[f"g{i % 40}" for i in range(COUNT)], day=list(range(COUNT)))
    columns = {"group": "company", "time": "day"}
    leak = asked(frame, columns=columns)["leakage"]
    assert leak.status == Status.failed
    assert leak.evidence["groups"] > 0
    assert leak.evidence["time"] > 0
    grouped = asked(frame, columns={"group": "company"}, split={"method": "grouped"})
    assert grouped["leakage"].status == Status.passed
    copies = pd.concat([frame, frame.head(20)], ignore_index=True)
    found = asked(copies, split={"validation": 0})
    assert found["duplicates"].status == Status.warned
    assert found["leakage"].status == Status.passed
    copies.loc[COUNT:, "verdict"] = "c9"
    assert asked(copies, split={"validation": 0})["contradictions"].status == Status.warned


def test_accepting_needs_the_name_of_the_finding():
    frame = rows()
    section = DataSection(train="memory", texts=("review",), table=("answer",),
                          columns={"label": "verdict"})  # fmt: skip
    frame = frame.assign(answer=frame["verdict"])
    dataset, report = dataset_from_frames(frame, section, 1, task="classification")
    evidence = DataEvidence(report, dataset.frame, {})
    findings = run_checks(DATA_CHECKS, evidence, {"target_leakage": "asked before the outcome"})
    found = next(finding for finding in findings if finding.name == "target_leakage")
    assert (found.status, found.blocks) == (Status.failed, False)


def test_the_limit_is_at_95_hundredths(healthy_data):
    (entry,) = healthy_data.report.table
    for alone, status in ((0.9499, Status.passed), (0.95, Status.failed)):
        table = (replace(entry, alone=alone), replace(entry, column="unit", alone=None))
        evidence = replace(healthy_data, report=replace(healthy_data.report, table=table))
        found = {finding.name: finding for finding in run_checks(DATA_CHECKS, evidence, {})}
        assert found["target_leakage"].status == status


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not here")
def test_the_rating_of_real_reviews_is_named_and_the_age_is_not():
    section = DataSection(
        train="reviews.csv.gz",
        texts=("Title", "Review Text"),
        table=("Age", "Rating", "Division Name", "Department Name", "Class Name"),
        columns={"label": "Recommended IND"},
        max_rows=6000,
    )
    dataset, report = load_dataset(section, REAL, 42, "classification")
    findings = run_checks(DATA_CHECKS, DataEvidence(report, dataset.frame, {}), {})
    found = {finding.name: finding for finding in findings}
    assert found["target_leakage"].status == Status.failed
    assert found["target_leakage"].summary.startswith(
        "Rating alone predicts the label with ROC-AUC 0.97; it is probably"
    )
    rating, *others = found["target_leakage"].evidence["columns"]["first"]
    assert rating["column"] == "Rating"
    assert len(others) == 4
    assert all(entry["alone"] < 0.6 for entry in others)
    assert found["identifier_columns"].status == Status.passed
