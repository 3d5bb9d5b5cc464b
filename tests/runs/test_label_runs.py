"""Several labels a row, numbers, and a table alone: from rows to report and prediction."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from faults.graft_runs import encoder, in_this_process
from faults.healthy import ALARMS
from faults.zoo import told
from graft.core.facts import MULTI_LABEL, REGRESSION
from graft.core.findings import Status
from graft.core.roles import Split
from graft.core.verdicts import Verdict
from graft.report.card import card_text
from graft.report.chart import Chart
from graft.report.evidence import Evidence, read_evidence
from graft.report.explanation import explanation
from graft.report.mistakes import mistakes
from graft.report.page import charts
from graft.report.usage import loading_code
from graft.runs.classifier import Classifier
from graft.runs.loading import load
from graft.runs.pipeline import run
from graft.runs.prediction import predict_file
from graft.runs.result import Result
from tiny_models import colour_rows, priced_rows, tagged_rows, write_jsonl

pytestmark = pytest.mark.slow

NAMES = ("red", "blue", "green")
TRAINING = {
    "num_train_epochs": 8,
    "learning_rate": 3e-3,
    "head_learning_rate": 2e-2,
    "per_device_train_batch_size": 8,
    "precision": "fp32",
}


@dataclass(frozen=True)
class Done:
    """A finished experiment and its rows."""

    kind: str
    rows: dict[str, pd.DataFrame]
    result: Result

    @property
    def evidence(self) -> Evidence:
        return read_evidence(self.result.folder)

    def value(self, name: str, metric: str = "") -> float:
        found = self.evidence.run(name)
        assert found is not None
        score = found.score(metric or self.evidence.comparison.primary)
        assert score is not None
        assert score.value is not None
        return score.value


def experiment(kind: str, rows: dict[str, pd.DataFrame], root: Path, **more: Any) -> Result:
    recipe = {
        "name": "tiny",
        "task": "classification",
        "base": {"model": str(encoder())},
        "data": {
            "problem_type": kind,
            "texts": ["title", "note"],
            "table": ["size", "shop"],
            "slices": ["shop"],
        },
        "evaluation": {"clusters": False, "bootstrap_resamples": 200},
        "training": TRAINING,
        "arms": {
            "plain": {},
            "lora": {
                "method": "lora",
                "lora": {"lora_alpha": 32},
                "classifier": {"texts": "towers", "table": True},
            },
            "noise": {"control": "shuffled_labels"},
        },
        **more,
    }
    with in_this_process():
        return run(recipe, root=root, frames=rows)


@pytest.fixture(scope="module", params=[MULTI_LABEL, REGRESSION])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Done:
    make: Callable[[int, int], pd.DataFrame] = (
        tagged_rows if request.param == MULTI_LABEL else priced_rows
    )
    sizes = {"train": 200, "validation": 80, "test": 100}
    rows = {split: make(count, seed) for seed, (split, count) in enumerate(sizes.items())}
    return Done(request.param, rows, experiment(request.param, rows, tmp_path_factory.mktemp("x")))


def test_a_healthy_run_raises_no_alarm_and_every_check_answers(done: Done) -> None:
    alarms = [finding for finding in done.result.findings.items if finding.status in ALARMS]
    assert not alarms, told(alarms)
    assert done.result.exit_code == 0
    of_plain = {f.name: f for f in done.result.findings.items if f.where == "plain"}
    for name in ("supervision", "artefact_equivalence", "kept_checkpoint", "differs_from_base"):
        assert of_plain[name].status is Status.passed, of_plain[name].summary
    for name in ("varied_predictions", "label_order", "beyond_chance", "row_alone"):
        assert of_plain[name].status is Status.passed, of_plain[name].summary


def test_what_reads_the_text_beats_the_dummy_and_shuffled_labels_do_not(done: Done) -> None:
    error = "log_loss" if done.kind == MULTI_LABEL else "rmse"
    dummy = done.value("majority", error)
    assert done.value("plain", error) < 0.8 * dummy
    assert done.value("tfidf", error) < 0.8 * dummy
    assert done.value("noise", error) > 0.95 * dummy
    assert done.result.verdicts["noise"] is Verdict.worse


def test_every_run_has_every_metric_with_an_interval(done: Done) -> None:
    for name in ("majority", "tfidf", "table", "tfidf_table", "base", "plain", "lora", "noise"):
        found = done.evidence.run(name)
        assert found is not None
        scores = found.on_test()
        assert scores is not None
        judged = [s for s in scores.items if s.value is not None]
        assert len(judged) >= 3
        assert all(s.low is not None and s.low <= s.high for s in judged if s.high is not None)


def test_the_report_draws_what_applies_and_nothing_else(done: Done) -> None:
    found = {item.id: item for item in charts(done.evidence)}
    own = {"predicted", "residuals"} if done.kind == REGRESSION else {"classes", "reliability"}
    other = {"confusion", "roc", "distributions", "decision", "effects", "false-positives"}
    assert own <= set(found)
    assert not other & set(found)
    for name in (*own, "heatmap", "comparison-bars"):
        item = found[name]
        assert isinstance(item, Chart), item
        assert item.panels
        assert len(item.table)
        for panel in item.panels:
            text = json.dumps(panel.figure, allow_nan=False).replace("@", "#")
            assert "<" not in text.replace("<br>", "")
    if done.kind == REGRESSION:
        for panel in found["predicted"].panels:  # type: ignore[union-attr]
            go.Figure({"data": panel.figure["data"][:1]}, skip_invalid=True)


def test_the_page_and_the_card_read_well(done: Done) -> None:
    html = done.result.report.read_text(encoding="utf-8")
    evidence = done.evidence
    plain = evidence.run("plain")
    assert plain is not None
    text = explanation(evidence, plain)
    if done.kind == REGRESSION:
        assert "On average its predictions lie " in text
        assert "furthest first" in html
        assert "decisions" not in text
    else:
        assert "get every label right" in text
        assert "the most wrong labels first" in html
    assert text.count("not measured") == 1  # no arm is the control without pretraining
    assert text[:40] in card_text(evidence, plain)
    assert "None" not in text
    assert "nan" not in text.lower()


def test_the_errors_are_told_row_by_row(done: Done) -> None:
    evidence = done.evidence
    plain = evidence.run("plain")
    assert plain is not None
    found = mistakes(plain, evidence.index.slices, evidence.facts)
    ((_, table),) = found.tables
    if done.kind == REGRESSION:
        place = table.columns.index("distance")
        apart = [float(row[place].replace(",", "")) for row in table.rows]
        assert apart == sorted(apart, reverse=True)
        assert table.total == 100
    else:
        assert {"labels", "decided", "wrong"} <= set(table.columns)
        right = done.value("plain", "exact_match")
        assert table.total == round(100 * (1 - right))


def test_a_loaded_model_gives_the_predictions_of_the_run(done: Done, tmp_path: Path) -> None:
    arm = done.result.folder / "lora"
    model = load(arm)
    assert isinstance(model, Classifier)
    found = model.predict(done.rows["test"])
    saved = pd.read_parquet(arm / "predictions" / f"{Split.test}.parquet")
    if done.kind == REGRESSION:
        assert list(found) == ["predicted"]
        np.testing.assert_allclose(found["predicted"], saved["score"], rtol=1e-4)
    else:
        assert list(found) == ["predicted", "p_blue", "p_green", "p_red"]
        np.testing.assert_allclose(found["p_red"], saved["p_2"], atol=1e-4)
        some = found["predicted"] != ""
        assert some.any()
        sets = [set(text.split("|")) for text in found["predicted"][some]]
        reached = found["p_red"][some] >= model.threshold
        assert ["red" in names for names in sets] == reached.tolist()
    source = write_jsonl(done.rows["test"].drop(columns="label"), tmp_path / "new.jsonl")
    for ending in ("parquet", "csv", "jsonl"):
        target = tmp_path / f"out.{ending}"
        done_file = predict_file(arm, source, target, {})
        assert (done_file.rows, done_file.kind) == (100, done.kind)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet")[list(found)], found)


def test_the_lines_of_the_card_load_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One text and no table: the folder needs no Graft."""
    rows = {"train": priced_rows(60, 1), "test": priced_rows(30, 2)}
    data = {"problem_type": REGRESSION, "texts": ["note"]}
    short = {**TRAINING, "num_train_epochs": 1}
    arms: dict[str, Any] = {"plain": {}}
    result = experiment(
        REGRESSION, rows, tmp_path, data=data, arms=arms, training=short, baselines=["base"]
    )
    evidence = read_evidence(result.folder)
    code = loading_code(evidence, evidence.arms[0]).replace("a text", rows["test"]["note"][0])
    assert "import graft" not in code
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    saved = pd.read_parquet(result.folder / "plain" / "predictions" / "test.parquet")
    assert float(capsys.readouterr().out.split()[-1]) == pytest.approx(saved["score"][0], rel=1e-3)


def test_a_table_alone_compares_its_baselines(tmp_path: Path) -> None:
    rows = {
        split: colour_rows(count, seed, 3)
        .drop(columns=["row", "title", "note"])
        .assign(label=lambda frame: [NAMES[int(k)] for k in frame["label"]])
        for split, count, seed in (("train", 240, 1), ("test", 90, 2))
    }
    data = {"table": ["size", "shop"], "on_bad_rows": "drop", "split": {"validation": 0.2}}
    unread = {"accept": {"leakage": "rows of two values are equal by chance"}}
    plain = {"base": {"model": "no-such-model"}, **unread}
    result = run(
        {
            "name": "alone",
            "task": "classification",
            "data": data,
            "arms": {},
            "evaluation": {"clusters": False, "bootstrap_resamples": 200},
            **plain,
        },
        root=tmp_path,
        frames=rows,
    )
    assert result.exit_code == 0
    assert result.verdicts == {"table": Verdict.better}
    html = result.report.read_text(encoding="utf-8")
    assert "Table + gradient boosting is better than class shares, on Balanced accuracy." in html
    found = {item.id: item for item in charts(read_evidence(result.folder))}
    assert len(found["confusion"].panels) == 2  # type: ignore[union-attr]
