from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from graft.report import chart as parts
from graft.report.chart import Chart, NotMeasured
from graft.report.charts_distributions import distributions
from graft.report.charts_rates import rate_gap
from graft.report.charts_roc import roc
from graft.report.evidence import read_evidence
from graft.report.page import charts
from graft.report.palette import run_styles

EXPECTED = {
    "comparison-bars", "distributions", "roc", "effects", "false-positives", "heatmap", "maps",
    "loss", "validation", "rates",
}  # fmt: skip


@pytest.fixture(scope="module")
def evidence(written):
    return read_evidence(written)


@pytest.fixture(scope="module")
def drawn(evidence):
    return {item.id: item for item in charts(evidence)}


@pytest.fixture(scope="module")
def styles(evidence):
    return run_styles(evidence.index.runs, evidence.index.base_run)


def test_every_chart_is_drawn_with_a_reading_and_a_table(drawn):
    assert set(drawn) == EXPECTED
    for item in drawn.values():
        assert isinstance(item, Chart), item
        assert item.reading.endswith(".") and len(item.table) and item.panels and item.source


def test_plotly_accepts_every_figure(drawn):
    for item in drawn.values():
        for panel in item.panels:
            text = json.dumps(panel.figure, allow_nan=False)
            for token in ("ink", "muted", "line", "paper", "mid"):
                text = text.replace(f'"@{token}"', '"#888888"')
            go.Figure(json.loads(text))


def test_no_label_of_a_figure_holds_raw_markup(drawn):
    for item in drawn.values():
        text = json.dumps([panel.figure for panel in item.panels]).replace("<br>", "")
        assert "<" not in text


def test_hover_tells_which_texts_a_point_is(drawn):
    for ident in ("distributions", "maps"):
        traces = drawn[ident].panels[-1].figure["data"]
        assert any("boy: I" in text for trace in traces for text in trace.get("hovertext", []))


def test_every_key_stands_for_a_trace(drawn):
    for item in drawn.values():
        groups = {t.get("legendgroup") for p in item.panels for t in p.figure["data"]}
        assert {key.key for key in item.keys} <= groups, item.id


def test_charts_do_not_change_their_frames(evidence, styles):
    frames = {run.name: run.predictions for run in evidence.runs}
    before = {name: frame.copy() for name, frame in frames.items()}
    distributions(frames, styles, evidence.index.slices)
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_graded_labels_have_distributions_and_no_roc(styles):
    frame = pd.DataFrame({"row": list("abcd"), "text": list("wxyz"), "label": [0, 1.5, 3, 5.0],
                          "score": [0.1, 0.2, 0.7, 0.9]})  # fmt: skip
    result = distributions({"lora": frame}, styles, ())
    assert isinstance(result, Chart) and result.keys[0].label == "label ≥ 2.5"
    assert isinstance(roc({"lora": frame}, styles), NotMeasured)


@pytest.mark.parametrize(
    "frame", [pd.DataFrame({"row": []}), pd.DataFrame({"score": [np.nan], "label": [1.0]})]
)
def test_frames_without_scores_are_not_measured(frame, styles):
    assert isinstance(distributions({"lora": frame}, styles, ()), NotMeasured)


def test_a_rate_that_was_not_applied_shows_as_a_gap(evidence):
    run = next(run for run in evidence.runs if run.name == "lora")
    assert rate_gap(run.plan, run.ledger, "adapter") == (300, 0.0)
    other = next(run for run in evidence.runs if run.name == "standard")
    steps, gap = rate_gap(run.plan, other.ledger, "adapter")
    assert steps == 300 and gap == pytest.approx(max(run.plan.rates["adapter"]))


def test_more_points_than_can_be_drawn_are_thinned_evenly():
    chosen = parts.thinned(10_000, 300)
    assert len(chosen) == 300 and chosen[0] == 0 and chosen[-1] == 9_999
    assert set(np.diff(chosen)) <= {33, 34}
