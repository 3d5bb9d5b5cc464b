"""What decides, as the report shows it: columns as a chart, words marked in their text."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.core.files import write_json
from graft.core.layout import ExperimentPaths
from graft.core.reasons import (
    ColumnImportance,
    ExplainedRow,
    FrequentWord,
    Importance,
    Reasons,
    WordEffect,
)
from graft.evaluate.reasons import words_of
from graft.report.chart import Chart, NotMeasured
from graft.report.charts_reasons import importance_words
from graft.report.evidence import read_evidence
from graft.report.explanation import explanation
from graft.report.page import charts, write_report
from graft.report.reasons import pieces, read_row, read_runs

COLUMNS = (
    ColumnImportance("bio", "text", 0.2, 0.1, 0.3, 150),
    ColumnImportance("distance", "number", 0.05, 0.01, 0.09, 400),
    ColumnImportance("unit", "category", 0.0, -0.01, 0.01, 400),
    ColumnImportance("note", "text", None, None, None, 0, "too long"),
)
TEXT = "I like nights <b> & days"
WORDS = (
    WordEffect("bio", 2, "like", -0.2),
    WordEffect("bio", 7, "nights", 1.4),
    WordEffect("bio", 20, "days", 0.01),
)
ROW = ExplainedRow(
    "test-1", "certain and right", "1", "1", 0.97, {"bio": TEXT, "note": ""}, WORDS, 3
)


@pytest.fixture
def explained(two, tmp_path):
    """The folder of two classes, with reasons of an arm and of a fusion."""
    folder = shutil.copytree(two, tmp_path / "match")
    paths = ExperimentPaths(folder)
    importance = Importance("roc_auc", 0.9, 400, 600, 10, COLUMNS)
    wrong = replace(ROW, chosen="certain and wrong", label="0")
    words = (FrequentWord("1", "nights", 1.4, 2, 2),)
    write_json(paths.run("transfer").reasons, Reasons("a" * 64, None, (ROW, wrong), words))
    write_json(paths.run("fused").reasons, Reasons("b" * 64, importance))
    return folder


def chart_of(folder):
    return next(item for item in charts(read_evidence(folder)) if item.id == "importance")


def test_the_chart_has_a_panel_for_each_run_that_was_asked(explained, two):
    found = chart_of(explained)
    assert isinstance(found, Chart)
    (panel,) = found.panels
    assert panel.title == "Text and table" and panel.note == "400 of 600 test rows"
    assert panel.figure["data"][0]["x"] == [0.2, 0.05, 0.0]
    assert list(found.table["column"]) == [item.column for item in COLUMNS]
    assert isinstance(chart_of(two), NotMeasured)


def test_the_page_marks_the_words_and_escapes_the_text(explained):
    html = write_report(explained).read_text("utf-8")
    assert (
        '<mark class="for" style="--strength: 1.0" title="+1.40: for the decision">nights</mark>'
        in html
    )
    assert '<mark class="against" style="--strength: 0.14"' in html
    assert "&lt;b&gt; &amp; days" in html and ">days</mark>" not in html
    assert "Decided 1 (97.0 %), but it is 0" in html
    assert "3 further words were not tried." in html
    assert "Words that count most over these rows" in html


def test_a_page_without_reasons_says_so(two):
    html = write_report(two).read_text("utf-8")
    assert "What each column counts: not measured" in html and "No arm has explained rows" in html


def test_pairs_have_no_section_of_words(folder):
    assert 'id="reasons"' not in write_report(folder).read_text("utf-8")


def test_the_paragraph_names_what_counts_and_what_does_not(explained):
    evidence = read_evidence(explained)
    text = explanation(evidence, evidence.run("fused"))
    assert (
        "It decides most by bio: shuffled between the rows, that column takes 0.200 of the "
        "ROC-AUC; distance 0.050. Not shown to count: unit." in text
    )
    none = Importance("roc_auc", 0.9, 400, 600, 10, COLUMNS[2:3])
    assert importance_words(none) == "No single column is shown to count."
    assert importance_words(replace(none, columns=COLUMNS[3:])) == ""


def test_rows_are_grouped_by_why_they_were_chosen(explained):
    (found,) = read_runs(read_evidence(explained))
    assert [(chosen, len(rows)) for chosen, rows in found.groups] == [
        ("certain and right", 1),
        ("certain and wrong", 1),
    ]
    assert read_row(ROW).summary == (
        "For it: nights +1.40. Against it: like −0.20. 3 further words were not tried."
    )
    assert read_row(replace(ROW, words=WORDS[2:], untried=0)).summary == (
        "No single word changes the log-odds by 0.1 or more."
    )


@given(st.text(max_size=50), st.integers(0, 99))
def test_the_pieces_together_are_the_text(text, seed):
    effects = [WordEffect("note", s, w, ((seed + s) % 7 - 3) / 3) for s, w in words_of(text)]
    found = pieces(text, effects, 1.0)
    assert "".join(piece.text for piece in found) == text
    assert sum(bool(p.side) for p in found) == sum(abs(word.effect) >= 0.1 for word in effects)
