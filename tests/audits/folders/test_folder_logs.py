"""K2, K4 and K8 from logs of several trainers."""

from __future__ import annotations

import csv
import math

import pytest

import diagnosis_models as models
from diagnosis_models import causes, copied, finding, status
from graft.audits.folders.logs import read_log
from graft.core.errors import DataError
from graft.core.findings import Status


@pytest.fixture
def asked(folders, look, tmp_path):
    """Diagnose a healthy model with a log of these records."""

    def ask(records, **state):
        log = models.write_trainer_state(tmp_path / "log", records, **state)
        return look(folders.classifier, folders.tuned_classifier, log=log)

    return ask


def changed(**values):
    """A healthy log with values that each depend on the record's place."""
    log = models.healthy_log()
    for place, record in enumerate(log):
        record |= {name: value(place) for name, value in values.items()}
    return log


def rates(*values):
    return [{"step": n, "loss": 1 / (n + 1), "learning_rate": v} for n, v in enumerate(values)]


@pytest.mark.parametrize(
    ("records", "cause"),
    [
        (changed(loss=lambda n: math.nan if n > 8 else 1.0 / (n + 1)), "loss_not_finite"),
        (changed(loss=lambda n: 0.0), "loss_zero"),
        (changed(loss=lambda n: 0.693147), "loss_flat"),
        (changed(grad_norm=lambda n: 0.0), "gradient_zero"),
        (changed(learning_rate=lambda n: 0.0), "rate_zero"),
        (changed(learning_rate=lambda n: 1e-6 * (n + 1)), "rate_never_peaks"),
        (rates(0.1, 0.2, 1.0, 0.8, 0.6, 0.4, 0.9, 0.8, 0.6), "rate_jumps"),
    ],
)
def test_faults_of_a_log(asked, records, cause):
    assert causes(asked(records)) == [cause]


@pytest.mark.parametrize(
    "records",
    [
        models.healthy_log(),
        rates(*[5e-5] * 20),
        rates(*(0.5 * (1 + math.cos(math.pi * (n % 10) / 10)) for n in range(40))),
        rates(*(n / 5 if n < 5 else 1 - abs(n - 5) / 20 for n in range(24))),
        rates(*(abs((n % 10) - 5) / 5 for n in range(60))),
        rates(1.0, 0.6, 0.2, 0.0, 0.3, 0.6, 0.3, 0.0),
        changed(grad_norm=lambda n: math.nan if n < 3 else 1.0),
        [{"step": 1, "loss": 0.5}],
    ],
    ids=["linear", "constant", "restarts", "warm", "cyclic", "two phases", "scaler", "one"],
)
def test_healthy_logs(asked, records):
    found = asked(records)
    assert found.healthy, found.causes


def test_a_loss_of_zero_late_is_a_note(asked):
    found = asked(changed(loss=lambda n: max(0.0, 1 - n / 10)))
    assert found.healthy
    assert status(found, "loss_log") == Status.warned


def test_fewer_steps_than_planned_are_a_note(asked):
    found = asked(models.healthy_log(), max_steps=100)
    assert found.healthy
    assert "20 of 100 planned steps" in finding(found, "rate_log").summary


def evaluations(name, *values):
    return [{"step": 10 * n, name: value} for n, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("name", "best", "expected"),
    [
        ("eval_accuracy", 0.6, ["worst_kept"]),
        ("eval_accuracy", 0.9, []),
        ("eval_loss", 0.9, ["worst_kept"]),
        ("eval_loss", 0.6, []),
    ],
)
def test_the_kept_checkpoint(asked, name, best, expected):
    log = [*models.healthy_log(), *evaluations(name, 0.6, 0.9, 0.7)]
    step = 10 if best == 0.6 else 20
    found = asked(log, best_metric=best, best_model_checkpoint=f"out/checkpoint-{step}")
    assert causes(found) == expected


def test_a_metric_that_was_never_logged_is_a_note(asked):
    found = asked(models.healthy_log(), best_metric=0.8, best_model_checkpoint="out/checkpoint-5")
    assert found.healthy
    assert status(found, "kept_checkpoint") == Status.warned


def test_a_log_is_found_with_the_folder(folders, look, tmp_path):
    tuned = copied(folders.tuned_classifier, tmp_path / "out")
    assert status(look(folders.classifier, tuned), "loss_log") == Status.not_applicable
    zero = changed(loss=lambda n: 0.0)
    models.write_trainer_state(tuned / "checkpoint-9", models.healthy_log())
    models.write_trainer_state(tuned / "checkpoint-20", zero)
    assert causes(look(folders.classifier, tuned)) == ["loss_zero"]
    models.write_trainer_state(tuned, models.healthy_log())
    assert look(folders.classifier, tuned).healthy


def test_tables_of_other_trainers(tmp_path):
    lightning = tmp_path / "metrics.csv"
    with lightning.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["step", "epoch", "train_loss", "lr-AdamW", "val_loss"])
        writer.writeheader()
        writer.writerow({"step": 0, "epoch": 0, "lr-AdamW": 0.1})
        writer.writerow({"step": 9, "epoch": 0, "train_loss": 0.5})
        writer.writerow({"step": 9, "epoch": 0, "val_loss": 0.6})
    log = read_log(lightning)
    assert log.series("loss") == [(9, 0.5)]
    assert log.series("rate") == [(0, 0.1)]
    assert log.metric("val_loss") == [(9, 0.6)]


def test_a_torn_line_is_left_out_and_a_found_log_that_is_none_is_named(folders, look, tmp_path):
    torn = tmp_path / "log.jsonl"
    torn.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "lo', encoding="utf-8")
    assert read_log(torn).series("loss") == [(1, 0.5)]
    tuned = copied(folders.tuned_classifier, tmp_path / "out")
    (tuned / "history.jsonl").write_text("not a log\n", encoding="utf-8")
    found = finding(look(folders.classifier, tuned), "loss_log")
    assert found.status == Status.not_applicable
    assert "history.jsonl cannot be read as a log" in found.summary.replace("History", "history")


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", "{"), ("a.jsonl", "[1]\n"), ("a.csv", "a,b\n1,2\n"), ("a.txt", "loss 0.5")],
)
def test_what_is_no_log_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_log(tmp_path / name)
    assert "trainer_state.json" in str(caught.value)
