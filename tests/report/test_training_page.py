from __future__ import annotations

import json
from dataclasses import replace

import pytest

from graft.core.errors import RunFolderError
from graft.core.files import read_json, write_json
from graft.core.findings import Finding, Findings, Status
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger
from graft.core.plan import ResolvedPlan
from graft.report.charts_rates import rate_gap
from graft.report.charts_training import loss, validation
from graft.report.evidence import read_training
from graft.report.palette import run_styles
from graft.report.training import training_charts
from graft.report.training_page import write_training_report

FILES = ("plan", "ledger", "history", "load", "supervision", "options", "saves", "audits", "probes")


def text_of(root):
    return " ".join(write_training_report(root).read_text("utf-8").split())


@pytest.fixture(scope="module")
def page(trained):
    return text_of(trained)


def test_the_page_is_whole_and_fetches_nothing(page):
    assert page.count("plotly.js v") == 1 and "default-src 'none'" in page
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page
    assert "/somewhere/out" not in page


def test_the_same_files_give_the_same_bytes(training_folder):
    first = write_training_report(training_folder).read_bytes()
    assert write_training_report(training_folder).read_bytes() == first
    assert str(training_folder).encode() not in first


def test_what_failed_stands_in_the_banner_and_in_the_headline(page):
    assert "Do not rely on this training yet: 1 check did not pass" in page
    assert page.index("K3 movement failed: 2 tensors did not move") < page.index(
        'class="verdict-line"'
    )
    assert "1 check did not pass: 1 failed, 1 warned, 23 passed, 1 not applicable." in page


def test_every_part_is_there(page):
    titles = ("Asked and done", "What the loss saw", "Probes", "Saved folders", "Plan and ledger")
    facts = (
        "checkpoint-200",
        "encoder.layer.2.attention.query.weight and 3 more",
        "lower is better",
    )
    for part in (*titles, *facts, "Nothing read training.warmup_ration."):
        assert part in page
    assert "not measured.</b>" not in page


def test_a_healthy_training_has_no_banner(training_folder):
    paths = RunPaths(training_folder)
    items = tuple(
        replace(finding, status=Status.passed, fix="")
        for finding in read_json(paths.audits, Findings).items
    )
    write_json(paths.audits, Findings(items))
    text = text_of(training_folder)
    assert "Every check that applies passed: 26 passed." in text
    assert "Do not rely on" not in text


def test_an_accepted_failure_is_named_with_its_reason(training_folder):
    finding = Finding("K3", "movement", "?", Status.failed, "Stuck.", {}, "x").accept("known")
    write_json(RunPaths(training_folder).audits, Findings((finding,)))
    text = text_of(training_folder)
    assert "What did not pass was accepted: 1 failed, accepted." in text
    assert "Reason given: known" in text and "Do not rely on" not in text


def test_an_empty_folder_says_of_everything_that_it_was_not_measured(tmp_path):
    text = text_of(tmp_path)
    assert "Nothing was checked." in text and "Audits: not run" in text
    parts = ("Findings", "Plan", "Ledger", "Asked and done", "What the loss saw", "Probes")
    for part in (*parts, "Saved folders", "Training loss", "Learning rates, planned and applied"):
        assert f"<b>{part}: not measured.</b>" in text


@pytest.mark.parametrize("name", FILES)
def test_any_file_may_be_missing(training_folder, name):
    getattr(RunPaths(training_folder), name).unlink()
    assert "not measured" in text_of(training_folder)


def test_damaged_files_are_named_all_at_once(training_folder):
    paths = RunPaths(training_folder)
    for path in (paths.saves, paths.options, paths.history):
        path.write_text("{\n")
    with pytest.raises(RunFolderError) as caught:
        write_training_report(training_folder)
    assert len(caught.value.problems) == 3


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="is no folder"):
        write_training_report(tmp_path / "none")


def test_only_steps_with_a_loss_are_drawn(trained):
    run = read_training(trained)
    styles = run_styles([run.entry])
    assert loss({run.name: run.steps}, styles).table["step"].tolist() == list(range(10, 301, 10))
    without = [{key: value for key, value in step.items() if key != "loss"} for step in run.steps]
    assert "no run has" in loss({run.name: without}, styles).reason


def test_evaluations_without_an_epoch_are_drawn_by_step_and_clocks_are_left_out(trained):
    run = read_training(trained)
    chart = validation({run.name: run.evaluations}, run_styles([run.entry]))
    assert [panel.title for panel in chart.panels] == ["eval loss"]
    assert chart.panels[0].figure["data"][0]["x"] == [100.0, 200.0, 300.0]
    assert "star" not in chart.reading


def test_rates_that_nobody_planned_are_drawn_all_the_same(training_folder):
    paths = RunPaths(training_folder)
    write_json(paths.plan, replace(read_json(paths.plan, ResolvedPlan), rates={}))
    run = read_training(training_folder)
    chart = training_charts([run], run_styles([run.entry]))[2]
    assert [line["legendgroup"] for line in chart.panels[0].figure["data"][:2]] == [
        "upper",
        "lower",
    ]
    assert json.loads(chart.table.to_json(orient="records"))[0]["largest difference"] is None


def test_a_resumed_training_is_compared_at_its_own_steps(trained):
    run = read_training(trained)
    later = replace(run.ledger, phases=run.ledger.phases[1:])
    assert isinstance(later, Ledger) and later.phases[0].first_step == 150
    assert rate_gap(run.plan, later, "upper") == (150, 0.0)
