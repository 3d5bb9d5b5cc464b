"""K8, K9 and K13: what comes out of both models, and whether it is what was logged."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

import diagnosis_models as models
from diagnosis_models import causes, change_json, change_tensors, copied, finding, status
from graft.core.errors import DataError
from graft.core.findings import Status


@pytest.fixture
def tuned(folders, tmp_path):
    return copied(folders.tuned_classifier, tmp_path / "tuned")


def accuracy(folder, rows):
    model, words = models.load(models.CLASSIFIERS, folder), models.tokenizer()
    texts = [json.loads(line) for line in rows.read_text().splitlines()]
    hits = []
    for row in texts:
        with torch.inference_mode():
            logits = model(**words(row["text"], return_tensors="pt")).logits
        hits.append(models.LABELS[int(logits.argmax())] == row["label"])
    return float(np.mean(hits))


def logged(folder, value, name="eval_accuracy"):
    return models.write_trainer_state(
        folder, [*models.healthy_log(), {"step": 20, name: value, "eval_loss": 0.4}]
    )


def test_a_folder_that_the_library_cannot_load(folders, look, tuned):
    change_json(tuned, "config.json", hidden_size=48)
    found = look(folders.classifier, tuned)
    assert "cannot_load" in causes(found)


def test_outputs_that_are_no_numbers(folders, look, tuned):
    change_tensors(tuned, lambda old: {n: t * float("nan") for n, t in old.items()})
    found = look(folders.classifier, tuned)
    assert status(found, "outputs_differ") == Status.failed
    assert set(causes(found)) == {"not_finite"}


def test_embeddings_that_are_no_numbers(folders, look, tmp_path, pairs):
    tuned = copied(folders.tuned_encoder, tmp_path / "tuned")
    change_tensors(tuned, lambda old: {n: t * float("nan") for n, t in old.items()})
    found = look(folders.encoder, tuned, data=pairs)
    assert set(causes(found)) == {"not_finite"}
    for name in ("agreement", "texts_apart"):
        assert status(found, name) == Status.not_applicable


def test_a_pooler_that_no_output_reads_may_be_new(folders, look, tmp_path):
    tuned = copied(folders.tuned_encoder, tmp_path / "tuned")
    change_tensors(tuned, lambda old: {n: t for n, t in old.items() if "pooler" not in n})
    shutil.rmtree(tmp_path / "base", ignore_errors=True)
    base = copied(folders.encoder, tmp_path / "base")
    change_tensors(base, lambda old: {n: t for n, t in old.items() if "pooler" not in n})
    found = look(base, tuned)
    assert found.healthy, found.causes
    assert status(found, "outputs_differ") == Status.warned
    assert "no output reads them" in finding(found, "outputs_differ").summary


def test_identical_models_and_the_probability_of_agreement(folders, look, texts, tmp_path):
    same = copied(folders.tuned_classifier, tmp_path / "same")
    found = look(folders.tuned_classifier, same, data=texts)
    assert causes(found) == ["nothing_moved", "outputs_equal", "predictions_equal"]


def test_two_tuned_models_that_agree_by_right(folders, look, texts, tmp_path):
    near = copied(folders.tuned_classifier, tmp_path / "near")
    change_tensors(near, lambda old: {n: t * (1 + 1e-4) for n, t in old.items()})
    found = look(folders.tuned_classifier, near, data=texts)
    assert found.healthy, found.causes
    shown = finding(found, "agreement").evidence
    assert shown["flipped"] == 0
    assert shown["probability"] == pytest.approx((1 - shown["flip"]) ** 60)
    assert 0 < shown["tie"] <= 1


def test_pairs_are_compared_by_their_scores(folders, look, pairs):
    found = look(folders.encoder, folders.tuned_encoder, data=pairs)
    assert finding(found, "agreement").evidence["flipped"] > 30


def test_the_logged_metric_is_found_again(folders, look, texts, tmp_path):
    value = accuracy(folders.tuned_classifier, texts)
    good = logged(tmp_path / "good", value)
    found = look(folders.classifier, folders.tuned_classifier, data=texts, log=good)
    assert found.healthy, found.causes
    assert status(found, "metrics_reloaded") == Status.passed
    bad = logged(tmp_path / "bad", value - 0.1)
    found = look(folders.classifier, folders.tuned_classifier, data=texts, log=bad)
    assert causes(found) == ["metric_not_reproduced"]


def test_f1_is_found_again_however_it_was_averaged(folders, look, texts, tmp_path):
    value = accuracy(folders.tuned_classifier, texts)
    log = logged(tmp_path, value, "eval_f1")  # the micro average is the accuracy
    found = look(folders.classifier, folders.tuned_classifier, data=texts, log=log)
    assert status(found, "metrics_reloaded") == Status.passed


def test_a_correlation_is_found_again(folders, look, pairs, tmp_path):
    log = logged(tmp_path / "first", 0.0, "eval_spearman_cosine")
    found = look(folders.encoder, folders.tuned_encoder, data=pairs, log=log)
    shown = finding(found, "metrics_reloaded")
    assert shown.status == Status.failed
    value = shown.evidence["metrics"]["eval_spearman_cosine"]["reloaded"][0]
    log = logged(tmp_path / "second", value, "eval_spearman_cosine")
    assert look(folders.encoder, folders.tuned_encoder, data=pairs, log=log).healthy


def test_labels_turned_round(folders, look, tuned, texts):
    order = [1, 2, 0]
    change_tensors(
        tuned, lambda old: {n: t[order] if "classifier" in n else t for n, t in old.items()}
    )
    found = look(folders.classifier, tuned, data=texts)
    assert causes(found) == ["labels_permuted"]
    assert "with the labels in another order" in found.causes[0].evidence


def test_one_answer_for_everything(folders, look, tuned, texts):
    bias = {"classifier.bias": torch.tensor([100.0, 0.0, 0.0])}
    change_tensors(tuned, lambda old: {**old, **bias})
    found = look(folders.classifier, tuned, data=texts)
    assert causes(found) == ["one_class"]
    assert "all 60 rows are 'red'" in found.causes[0].evidence.casefold()


def test_rows_nearly_all_of_one_label_prove_nothing(folders, look, tmp_path):
    rows = [row for row in models.colour_texts(90, 9) if row["label"] == "red"]
    data = models.write_rows(tmp_path / "red.jsonl", rows)
    found = look(folders.classifier, folders.tuned_classifier, data=data)
    assert status(found, "varied_answers") == Status.not_applicable


def test_embeddings_that_collapsed(folders, look, tmp_path, pairs):
    tuned = copied(folders.tuned_encoder, tmp_path / "tuned")

    def collapse(old):
        last = "encoder.layer.1.output.LayerNorm"
        return {**old, f"{last}.weight": old[f"{last}.weight"] * 1e-3,
                f"{last}.bias": torch.ones(32)}  # fmt: skip

    change_tensors(tuned, collapse)
    for data in (None, pairs):
        found = look(folders.encoder, tuned, data=data)
        assert "collapsed" in causes(found)


def test_labels_of_another_data_set_are_named(folders, look, tmp_path):
    rows = [{**row, "label": "sour"} for row in models.colour_texts(30, 1)]
    data = models.write_rows(tmp_path / "rows.jsonl", rows)
    found = look(folders.classifier, folders.tuned_classifier, data=data)
    assert "not among red, blue, green" in finding(found, "varied_answers").summary


def test_rows_without_texts_are_refused(folders, look, tmp_path):
    data = models.write_rows(tmp_path / "rows.jsonl", [{"a": 1, "b": 2}])
    with pytest.raises(DataError):
        look(folders.classifier, folders.tuned_classifier, data=data)
