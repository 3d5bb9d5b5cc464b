"""The report of a classification: two classes, and many, from files that hold planted numbers."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from class_report_folder import ROWS, RUNS
from graft.core.facts import RowFacts
from graft.core.files import read_json, write_json
from graft.core.layout import ExperimentPaths
from graft.core.scores import ScoreBook
from graft.core.tables import DataReport, SplitReport
from graft.core.verdicts import Verdict
from graft.report.card import write_card
from graft.report.chart import Chart, NotMeasured
from graft.report.charts_confusion import confusions
from graft.report.charts_decision import at_thresholds, decision
from graft.report.charts_reliability import reliability
from graft.report.evidence import read_evidence
from graft.report.explanation import adapted, certainty, cost, explanation, gains, made_of
from graft.report.mistakes import mistakes
from graft.report.page import charts, write_report
from graft.report.slices import slice_scores, weakest_sentence
from graft.report.usage import loading_code
from graft.report.wishes import wishes_of


@pytest.fixture(params=["two", "many"])
def evidence(request):
    return read_evidence(request.getfixturevalue(request.param))


def drawn(evidence):
    return {item.id: item for item in charts(evidence)}


def test_the_charts_follow_what_is_predicted(two, many):
    one, other = (drawn(read_evidence(folder)) for folder in (two, many))
    of_both = {"confusion", "classes", "reliability", "heatmap", "comparison-bars", "rates"}
    of_two = {"roc", "distributions", "decision", "false-positives"}
    assert of_both <= set(one) & set(other)
    assert of_two <= set(one) and not of_two & set(other)
    assert "effects" not in set(one) | set(other)
    for item in (*one.values(), *other.values()):
        if item.id not in ("maps", "loss", "validation", "importance"):
            assert isinstance(item, Chart), item
            assert item.reading.endswith(".") and len(item.table) and item.panels


def test_plotly_accepts_every_figure_and_labels_are_escaped(evidence):
    for item in drawn(evidence).values():
        for panel in getattr(item, "panels", ()):
            text = json.dumps(panel.figure, allow_nan=False)
            assert "<" not in text.replace("<br>", "")
            for token in ("ink", "muted", "line", "paper", "mid"):
                text = text.replace(f'"@{token}"', '"#888888"')
            go.Figure(json.loads(text))


def test_controls_stay_out_of_headline_charts_and_errors(two):
    evidence, html = read_evidence(two), write_report(two).read_text("utf-8")
    assert evidence.wishes.controls == {"noise": "random_init"}
    for ident in ("confusion", "reliability", "decision", "classes"):
        assert "Without pretraining" not in str(drawn(evidence)[ident].panels)
    verdict = html[html.index("verdict-line") : html.index('class="cards"')]
    assert "Head, then top layers and Text and table are better than TF-IDF" in verdict
    assert html.count("A control, meant to lose") == 1


def test_a_reference_that_is_not_the_base_is_called_by_its_title(two):
    html = write_report(two).read_text("utf-8")
    assert "difference to TF-IDF with" in html and "each arm minus TF-IDF on" in html
    assert "the untouched base" not in html
    assert "Text counts 1.1, table 0.4." in html and "What was merged" in html


def test_confusions_add_up(evidence):
    classes = evidence.facts.classes
    for run in evidence.runs:
        counts = confusions(run.predictions, len(classes))
        assert counts.sum() == ROWS
        assert np.trace(counts) == round(run.score("accuracy").value * ROWS)
        assert (counts.sum(axis=1) == np.bincount(run.predictions["label"].astype(int),
                                                  minlength=len(classes))).all()  # fmt: skip


def test_of_many_classes_the_most_confused_are_drawn_and_all_are_told(many):
    found = drawn(read_evidence(many))
    assert len(found["confusion"].panels[0].figure["data"][0]["z"]) == 20
    assert len(found["classes"].table) == 26
    f1 = found["classes"].table["Text and table: F1"]
    assert f1.is_monotonic_increasing
    table = found["confusion"].table
    assert (table["class"] != table["decided"]).all() and table["rows"].is_monotonic_decreasing


def test_reliability_counts_every_row_once(evidence):
    table = drawn(evidence)["reliability"].table
    assert (table.groupby("run")["rows"].sum() == ROWS).all()


def test_scores_that_are_no_probabilities_have_no_reliability(two):
    frame = pd.DataFrame({"score": [-0.2, 0.4], "label": [0.0, 1.0]})
    styles = {run.name: None for run in RUNS}
    assert isinstance(reliability({"transfer": frame}, styles), NotMeasured)
    assert isinstance(decision({"transfer": frame}, styles), NotMeasured)


def test_the_threshold_in_force_gives_what_was_scored(two):
    run = read_evidence(two).run("transfer")
    table = at_thresholds(run.predictions, (1.0, 5.0))
    chosen = table[table["in force"]].iloc[0]
    assert chosen["threshold"] == 0.45
    for name, column in (("f1", "F1"), ("precision", "precision"), ("recall", "recall"),
                         ("false_positives", "false positives")):  # fmt: skip
        assert chosen[column] == pytest.approx(run.score(name).value)
    paid = (chosen["false positives"] + 5 * chosen["false negatives"]) / ROWS
    assert chosen["cost"] == pytest.approx(paid)
    assert table["recall"].iloc[:-1].is_monotonic_decreasing


def test_mistakes_are_told_by_the_names_of_the_classes(many):
    evidence = read_evidence(many)
    found = mistakes(evidence.run("transfer"), ("agency",), evidence.facts)
    (kind, table), *rest = found.tables
    assert (kind, rest, found.threshold) == ("wrong decision", [], None)
    wrong = 1 - evidence.run("transfer").score("accuracy").value
    assert table.total == round(wrong * ROWS)
    place = table.columns.index("class")
    assert table.rows[0][place].startswith("intent_")
    assert {"bio", "note", "distance", "unit", "decided"} <= set(table.columns)


def test_the_weakest_slice_has_enough_rows_and_an_interval(two):
    run = read_evidence(two).run("transfer")
    found = slice_scores(run, "roc_auc", ("agency",))
    assert {item.value for item in found} == {"Alba", "Bell", "Rare"}
    assert not found[-1].enough and found[-1].value == "Rare"
    assert found[0].score.value <= found[1].score.value
    text = weakest_sentence(run, "roc_auc", ("agency",))
    assert found[0].value in text and "95 % interval" in text
    assert "1 value has too few rows" in text
    bare = replace(run, scores=ScoreBook(tuple(
        replace(part, items=tuple(replace(score, low=None, high=None) for score in part.items))
        for part in run.scores.items)))  # fmt: skip
    found = weakest_sentence(bare, "roc_auc", ("agency",), RowFacts(classes=("0", "1")))
    low, high = map(float, re.search(r"interval (\d\.\d+) to (\d\.\d+)", found).groups())
    assert low <= slice_scores(run, "roc_auc", ("agency",))[0].score.value <= high
    assert "no column was named" in weakest_sentence(run, "roc_auc", ())


def with_main(evidence, **changes):
    first, *others = evidence.comparison.headline
    comparison = replace(evidence.comparison, headline=(replace(first, **changes), *others))
    return replace(evidence, comparison=comparison)


def test_the_paragraph_tells_all_that_was_measured(two):
    evidence = read_evidence(two)
    text = explanation(evidence, evidence.run("transfer"))
    main = evidence.comparison.headline[0]
    for part in (
        "trained 40 of the 504 parameters of all-MiniLM-L6-v2 (7.94 %): the head and the top 2 of "
        "6 layers",
        f"against {main.reference_value:.3f} for TF-IDF",
        "The gain is shown",
        "in fewer than 1 of 1,000",
        "Training took 1 min 12 s",
        "It is weakest where agency is",
        "The same network without pretraining reaches ROC-AUC",
        "come from pretraining",
    ):
        assert part in text
    assert "  " not in text


def test_more_right_decisions_are_counted_in_a_thousand(two):
    evidence = read_evidence(two)
    arm = evidence.run("transfer")
    item = evidence.pair("transfer", "tfidf", "accuracy")
    text = gains(evidence, arm, evidence.comparison.headline[0])[1]
    more = round(1000 * item.difference)
    assert f"{more} more (95 % interval +{round(1000 * item.low)} to" in text
    unsure = replace(item, verdict=Verdict.not_shown, difference=-0.004, low=-0.02, high=0.012)
    pairs = [unsure if old is item else old for old in evidence.comparison.pairs]
    other = replace(evidence, comparison=replace(evidence.comparison, pairs=tuple(pairs)))
    text = gains(other, arm, evidence.comparison.headline[0])[1]
    assert "4 fewer (95 % interval −20 to +12), a difference that is not shown" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": Verdict.worse}, "The loss is shown"),
        ({"verdict": Verdict.not_shown, "p_holm": 0.4}, "Neither a gain nor a loss is shown: on "
         "400 rows, a difference below 0.050"),
        ({"verdict": Verdict.better, "p_holm": 0.03}, "in 30 of 1,000"),
        ({"verdict": Verdict.not_measured, "difference": None}, ""),
    ],
)  # fmt: skip
def test_certainty_follows_the_verdict(two, changes, words):
    main = replace(read_evidence(two).comparison.headline[0], **changes)
    text = certainty(main)
    assert words in text and bool(text) == bool(words)


def test_what_was_not_measured_is_said(two):
    evidence = read_evidence(two)
    arm = evidence.run("transfer")
    missing = with_main(
        evidence, verdict=Verdict.not_measured, difference=None, reason="One class only."
    )
    text = explanation(missing, arm)
    assert "against TF-IDF was not measured. One class only." in text
    assert "shown" not in text
    assert "not known" in adapted(evidence, replace(arm, plan=None))
    assert cost(replace(arm, cost=None)) == "What it costs was not measured."
    lone = replace(evidence, recipe=None)
    assert "no arm is the control random_init" in made_of(lone, arm, None)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.better, "come from pretraining"),
        (Verdict.worse, "pretraining did harm here"),
        (Verdict.not_shown, "that pretraining adds anything is not shown"),
        (Verdict.not_measured, "the control was not compared"),
    ],
)
def test_what_the_gain_is_made_of(two, verdict, words):
    evidence = read_evidence(two)
    pairs = tuple(
        replace(item, verdict=verdict) if item.reference == "noise" else item
        for item in evidence.comparison.pairs
    )
    other = replace(evidence, comparison=replace(evidence.comparison, pairs=pairs))
    assert words in made_of(other, evidence.run("transfer"), evidence.comparison.headline[0])


@pytest.mark.parametrize(
    ("by_seed", "words"),
    [
        ((), "in one training: such a number differs from training to training"),
        ((0.6, 0.5, 0.49, 0.52, 0.5), "in the mean of 5 trainings (95 % interval"),
    ],
)
def test_what_noise_teaches_is_told_with_its_doubt(two, by_seed, words):
    """One training of the control is no measure of chance, and nobody should take it for one."""
    evidence = read_evidence(two)
    dealt = replace(evidence, recipe="arms: {noise: {control: shuffled_labels}}")
    books = [
        replace(scores, items=tuple(replace(score, by_seed=by_seed) for score in scores.items))
        for scores in dealt.run("noise").scores.items
    ]
    noise = replace(dealt.run("noise"), scores=ScoreBook(tuple(books)))
    runs = tuple(noise if run.name == "noise" else run for run in dealt.runs)
    told = made_of(replace(dealt, runs=runs), dealt.run("transfer"), None)
    assert "Trained on labels dealt out at random it reaches" in told
    assert words in told


def test_a_fusion_is_told_as_what_it_is(two):
    evidence = read_evidence(two)
    text = explanation(evidence, evidence.run("fused"))
    assert "no weight of a model was changed" in text and "control" not in text
    assert "That merging adds anything to Head, then top layers is not shown" in text


def test_the_card_holds_the_paragraph_and_code_for_rows(two):
    evidence = read_evidence(two)
    text = write_card(two, "transfer").read_text("utf-8")
    assert "the head and the top 2 of 6 layers" in text
    assert 'graft.load("match/transfer/model").predict(rows)' in text
    assert "| Metric | Rows | TF-IDF | This model |" in text
    assert "text-classification" in text
    fused = write_card(two, "fused").read_text("utf-8")
    assert "merges the probabilities of Head, then top layers and table" in fused
    single = replace(
        evidence, data=replace(evidence.data, facts=RowFacts(("bio",), (), (), ("a", "b")))
    )
    assert "SentenceTransformer" in loading_code(single, evidence.run("transfer"))


@pytest.mark.parametrize("recipe", [None, "", "[1, 2", "a: b", "arms: 3", "evaluation: {costs: 1}"])
def test_a_recipe_that_says_nothing_wishes_nothing(recipe):
    found = wishes_of(recipe)
    assert (found.controls, found.costs) == ({}, None)


def test_missing_values_and_unseen_categories_are_counted_on_the_page(two, tmp_path):
    folder = shutil.copytree(two, tmp_path / "match")
    place = ExperimentPaths(folder).data_report
    splits = tuple(
        SplitReport(name, 40, (), 0, 0, (), {}, {}, (), "f", {"bio": 7, "unit": lacking}, unseen)
        for name, lacking, unseen in (("train", 0, {}), ("test", 3, {"unit": 5}))
    )
    write_json(place, replace(read_json(place, DataReport), splits=splits))
    html = write_report(folder).read_text("utf-8")
    table = html[html.index("<h3>Missing values</h3>") : html.index("<h3>Leakage</h3>")]
    cells = [re.sub("<[^>]*>", " ", row).split() for row in re.findall("<tr>.*?</tr>", table, re.S)]
    assert cells[1:] == [["bio", "7", "7"], ["unit", "0", "3", "5"]]
    assert "Missing values" not in write_report(two).read_text("utf-8")
