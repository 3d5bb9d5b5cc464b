"""K6 of an arm that adds altered copies: they are counted, and come of training rows alone."""

from dataclasses import replace

import pytest

from graft.audits.evidence import EvidenceMissingError
from graft.audits.rows import row_sets, rows_seen
from graft.core.augmentation import Augmentation
from graft.core.findings import Status


@pytest.fixture
def augmented(healthy):
    """A healthy run of which half of the training rows are copies of the other half."""
    evidence = healthy("lora")
    splits = evidence.splits
    training = splits.index[splits["split"].astype(str) == "train"]
    half = len(training) // 2
    train, *others = evidence.data.splits
    added = Augmentation(
        {"jitter": 0.1}, {"a": half}, {"a": half}, tuple(splits.loc[training[:half], "row"])
    )
    return replace(
        evidence,
        splits=splits.drop(index=training[half:]),
        data=replace(evidence.data, splits=(replace(train, rows=half), *others)),
        augments=True,
        augmentation=added,
    )


def test_rows_and_their_copies_are_shown_once_per_epoch(augmented):
    answer = rows_seen(augmented)
    assert answer.status is Status.passed
    assert "all 10 training rows and 10 altered copies of them" in answer.summary
    assert answer.evidence["altered_copies"] == {"of": {"jitter": 0.1}, "copies": {"a": 10}}


def test_rows_that_nobody_copied_are_too_many(augmented):
    assert rows_seen(replace(augmented, augments=False)).status is Status.failed


def test_a_copy_of_a_test_row_fails(augmented):
    splits = augmented.splits
    test = splits.loc[splits["split"].astype(str) == "test", "row"].iloc[0]
    sources = (*augmented.augmentation.sources[1:], test)
    answer = rows_seen(
        replace(augmented, augmentation=replace(augmented.augmentation, sources=sources))
    )
    assert answer.status is Status.failed
    assert "1 rows of elsewhere were copied and altered" in answer.summary
    assert answer.evidence["copied_from_elsewhere"]["first"] == [test]


def test_a_missing_record_is_not_passed_over(augmented):
    with pytest.raises(EvidenceMissingError):
        rows_seen(replace(augmented, augmentation=None))


def test_copies_are_no_rows_of_another_split(healthy_data):
    report = healthy_data.report
    train, *others = report.splits
    splits = healthy_data.splits
    training = splits.index[splits["split"].astype(str) == "train"]
    half = len(training) // 2
    fewer = replace(
        healthy_data,
        report=replace(report, splits=(replace(train, rows=half), *others)),
        splits=splits.drop(index=training[half:]),
    )
    assert row_sets(fewer).status is Status.failed
    assert row_sets(replace(fewer, added=dict.fromkeys(fewer.seen, half))).status is Status.passed
