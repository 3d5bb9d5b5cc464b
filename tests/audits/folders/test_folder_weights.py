"""K3 and K7: weights that did not move, are not there, or do not fit each other."""

from __future__ import annotations

import pytest
import torch

import diagnosis_models as models
from diagnosis_models import causes, change_json, change_tensors, copied, finding, status
from graft.core.findings import Status

EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture
def tuned(folders, tmp_path):
    return copied(folders.tuned_classifier, tmp_path / "tuned")


def test_a_copy_of_the_base_has_not_moved(folders, look, tmp_path):
    found = look(folders.body, copied(folders.body, tmp_path / "tuned"))
    assert causes(found) == ["nothing_moved", "outputs_equal"]
    assert {layer.updated for layer in found.layers} == {0}


def test_movement_is_told_layer_by_layer(folders, look, tmp_path):
    tuned = copied(folders.body, tmp_path / "tuned")
    name = "encoder.layer.1.attention.self.query.weight"
    change_tensors(tuned, lambda old: {**old, name: old[name] * 1.5})
    layers = {layer.layer: layer for layer in look(folders.body, tuned).layers}
    assert [name for name, layer in layers.items() if layer.updated] == ["encoder.layer.1"]
    assert layers["encoder.layer.1"].updated == 1
    assert 0 < layers["encoder.layer.1"].relative_change < 0.5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(folders, look, tuned, value):
    change_tensors(tuned, lambda old: {**old, "classifier.bias": old["classifier.bias"] * value})
    assert causes(look(folders.classifier, tuned))[0] == "not_finite"


def test_a_head_alone_is_named_as_such(folders, look):
    found = finding(look(folders.body, folders.head_only), "weights_moved")
    assert found.status == Status.warned
    assert "classifier.bias, classifier.weight" in found.summary


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "base_model.model."])
def test_keys_of_a_wrapper(folders, look, tuned, prefix):
    models.prefix_keys(tuned, prefix)
    found = look(folders.classifier, tuned)
    assert causes(found)[0] == "prefixed_keys"
    assert f"41 of 41 keys carry '{prefix}'" in found.causes[0].evidence
    assert "random_at_load" in causes(found)
    assert status(found, "weights_moved") == Status.passed


def test_a_prefix_that_the_base_has_too_is_no_fault(folders, look, tuned, tmp_path):
    base = models.prefix_keys(copied(folders.classifier, tmp_path / "base"), "_orig_mod.")
    models.prefix_keys(tuned, "_orig_mod.")
    assert "prefixed_keys" not in causes(look(base, tuned))


def test_a_head_that_is_gone(folders, look, tuned):
    change_tensors(tuned, lambda old: {n: t for n, t in old.items() if "classifier" not in n})
    assert causes(look(folders.classifier, tuned))[:2] == ["head_lost", "random_at_load"]


def test_a_head_of_another_task_is_gone_with_reason(folders, look):
    assert status(look(folders.language, folders.tuned_language), "same_model") == Status.passed
    found = look(folders.classifier, folders.tuned_body)
    assert "head_lost" not in causes(found)


def test_a_layer_that_is_gone(folders, look, tuned):
    change_tensors(tuned, lambda old: {n: t for n, t in old.items() if "layer.1" not in n})
    found = look(folders.classifier, tuned)
    assert causes(found)[:2] == ["tensors_lost", "random_at_load"]


def test_weights_of_another_model(folders, look, tmp_path):
    other = models.write_language_model(tmp_path / "other", seed=5)
    assert causes(look(folders.language, other)) == ["unrelated"]


def test_tensors_of_another_shape(folders, look, tuned):
    name = "bert.encoder.layer.0.output.dense.weight"
    change_tensors(tuned, lambda old: {**old, name: old[name][:, :32].clone()})
    assert {"shapes_differ", "cannot_load"} <= set(causes(look(folders.classifier, tuned)))


def test_tied_weights_that_were_saved_apart(look, tmp_path):
    base = models.write_language_model(tmp_path / "base", tied=True)
    tuned = models.tune_language_model(base, tmp_path / "tuned")
    found = look(base, tuned)
    assert found.healthy
    assert status(found, "tied_weights") == Status.not_applicable
    head = {"lm_head.weight": torch.randn(77, 32)}
    change_tensors(tuned, lambda old: {**old, **head})
    assert "tied_apart" in causes(look(base, tuned))
    change_tensors(tuned, lambda old: {**old, "lm_head.weight": old[EMBEDDING].clone()})
    assert status(look(base, tuned), "tied_weights") == Status.passed


def test_more_tokens_than_rows(folders, look, tmp_path):
    tuned = copied(folders.tuned_language, tmp_path / "tuned")
    words = models.tokenizer()
    words.add_tokens(["purple0", "purple1"])
    words.save_pretrained(tuned)
    found = look(folders.language, tuned)
    assert causes(found) == ["vocabulary"]
    assert "highest token id is 78, the embedding has 77 rows" in found.causes[0].evidence


def test_rows_without_tokens_are_a_note(folders, look, tmp_path):
    tuned = tmp_path / "tuned"
    model = models.load(models.LANGUAGE, folders.tuned_language)
    model.resize_token_embeddings(79, mean_resizing=False)
    with models.quiet_transformers():
        model.save_pretrained(tuned)
    models.tokenizer().save_pretrained(tuned)
    found = look(folders.language, tuned)
    assert found.healthy, found.causes
    assert status(found, "vocabulary_size") == Status.warned


def test_a_vocabulary_that_the_config_does_not_know(folders, look, tmp_path):
    tuned = copied(folders.tuned_language, tmp_path / "tuned")
    change_json(tuned, "config.json", vocab_size=90)
    assert causes(look(folders.language, tuned))[:2] == ["vocabulary", "cannot_load"]


def test_a_quantisation_that_only_one_of_two_knows(folders, look, tmp_path):
    plain = copied(folders.tuned_language, tmp_path / "plain")
    change_json(plain, "config.json", quantization_config={"load_in_8bit": True})
    found = look(folders.language, plain)
    assert status(found, "number_formats") == Status.warned
    packed = copied(folders.tuned_language, tmp_path / "packed")
    change_tensors(packed, lambda old: {**old, "extra": torch.zeros(3, dtype=torch.uint8)})
    assert "formats" in causes(look(folders.language, packed))
