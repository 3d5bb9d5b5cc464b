"""K11: tokenizer, template, labels, architecture, pooling and prompts against the base's."""

from __future__ import annotations

import json

import pytest

import diagnosis_models as models
from diagnosis_models import causes, change_json, copied, finding, status
from graft.core.findings import Status


@pytest.fixture
def tuned(folders, tmp_path):
    return copied(folders.tuned_classifier, tmp_path / "tuned")


@pytest.fixture
def encoder(folders, tmp_path):
    return copied(folders.tuned_encoder, tmp_path / "encoder")


def permuted_vocabulary(folder):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    words = content["model"]["vocab"]
    words["red0"], words["blue0"] = words["blue0"], words["red0"]
    path.write_text(json.dumps(content))


def test_a_tokenizer_of_other_ids(folders, look, tuned):
    permuted_vocabulary(tuned)
    found = look(folders.classifier, tuned)
    assert causes(found) == ["tokens_changed"]
    shown = finding(found, "reading_unchanged").evidence
    assert shown["tokens_moved"]["first"] == ["blue0", "red0"]


def test_no_tokenizer_is_a_note_and_the_base_reads(folders, look, tuned):
    for file in tuned.glob("token*"):
        file.unlink()
    found = look(folders.classifier, tuned)
    assert found.healthy
    assert status(found, "reading_unchanged") == Status.warned
    assert status(found, "outputs_differ") == Status.passed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_max_length": 16}, "16 tokens of a text are read, the base reads 32"),
        ({"padding_side": "left"}, "padding side was right, is left"),
        ({"sep_token": "[MASK]"}, "sep_token was '[SEP]', is '[MASK]'"),
    ],
)
def test_other_settings_are_a_note(folders, look, tuned, changes, words):
    change_json(tuned, "tokenizer_config.json", **changes)
    found = look(folders.classifier, tuned)
    assert found.healthy, found.causes
    assert status(found, "reading_unchanged") == Status.warned
    assert words in finding(found, "reading_unchanged").summary


TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (TEMPLATE.replace("<", "["), ["template_changed"]),
        (None, ["template_changed"]),
        ("{# said otherwise #}" + TEMPLATE, []),
        (TEMPLATE, []),
    ],
)
def test_chat_templates_are_compared_by_what_they_render(
    folders, look, tmp_path, template, expected
):
    places = {"base": folders.language, "tuned": folders.tuned_language}
    for name, text in (("base", TEMPLATE), ("tuned", template)):
        copied(places[name], tmp_path / name)
        words = models.tokenizer()
        words.chat_template = text
        words.save_pretrained(tmp_path / name)
    assert causes(look(tmp_path / "base", tmp_path / "tuned")) == expected


def test_a_template_that_the_base_never_had_is_no_fault(folders, look, tmp_path):
    tuned = copied(folders.tuned_language, tmp_path / "tuned")
    words = models.tokenizer()
    words.chat_template = TEMPLATE
    words.save_pretrained(tuned)
    found = look(folders.language, tuned)
    assert found.healthy, found.causes
    assert status(found, "reading_unchanged") == Status.passed


@pytest.mark.parametrize("names", [["blue", "red", "green"], ["GREEN", "RED", "BLUE"]])
def test_labels_in_another_order(folders, look, tuned, names):
    maps = {str(i): name for i, name in enumerate(names)}
    inverse = {name: i for i, name in enumerate(names)}
    change_json(tuned, "config.json", id2label=maps, label2id=inverse)
    found = look(folders.classifier, tuned)
    assert causes(found) == ["labels_permuted"]


def test_maps_that_contradict_each_other(folders, look, tuned):
    change_json(tuned, "config.json", label2id={"red": 1, "blue": 0, "green": 2})
    assert causes(look(folders.classifier, tuned)) == ["labels_permuted"]


def test_new_labels_and_lost_names(folders, look, tuned, tmp_path):
    assert status(look(folders.body, folders.tuned_body), "label_order") == Status.passed
    names = {str(i): f"LABEL_{i}" for i in range(3)}
    inverse = {name: int(i) for i, name in names.items()}
    change_json(tuned, "config.json", id2label=names, label2id=inverse)
    assert status(look(folders.classifier, tuned), "label_order") == Status.warned


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_attention_heads": 4}, ["architecture_changed"]),
        ({"hidden_act": "relu"}, ["architecture_changed"]),
        ({"transformers_version": "4.0.0", "use_cache": False, "_name_or_path": "x"}, []),
    ],
)
def test_fields_of_the_config(folders, look, tuned, changes, expected):
    change_json(tuned, "config.json", **changes)
    assert causes(look(folders.classifier, tuned)) == expected


def test_rotary_positions_on_purpose_are_a_note(folders, look, tmp_path):
    tuned = copied(folders.tuned_language, tmp_path / "tuned")
    parameters = {"rope_type": "default", "rope_theta": 500000.0}
    change_json(tuned, "config.json", rope_parameters=parameters)
    found = look(folders.language, tuned)
    assert found.healthy
    assert status(found, "architecture_unchanged") == Status.warned


def test_another_pooling(folders, look, encoder):
    change_json(encoder / "1_Pooling", "config.json", pooling_mode="cls")
    found = look(folders.encoder, encoder)
    assert causes(found)[0] == "pooling_changed"
    assert "Pooling (mean) → Normalize, are" in found.causes[0].evidence


def test_flags_of_old_versions_name_the_same_pooling(folders, look, encoder):
    old = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    path = encoder / "1_Pooling" / "config.json"
    path.write_text(json.dumps({**old, "pooling_mode_cls_token": False}))
    assert look(folders.encoder, encoder).healthy


def test_a_normalisation_that_is_gone(folders, look, encoder):
    chain = json.loads((encoder / "modules.json").read_text())
    (encoder / "modules.json").write_text(json.dumps(chain[:-1]))
    assert causes(look(folders.encoder, encoder)) == ["pooling_changed"]


def test_an_encoder_saved_without_its_modules(folders, look, encoder):
    (encoder / "modules.json").unlink()
    found = look(folders.encoder, encoder)
    assert causes(found) == ["pooling_changed"]


def test_prompts_and_a_lower_limit_are_notes(folders, look, encoder):
    change_json(encoder, "config_sentence_transformers.json", prompts={"query": "query: "})
    change_json(encoder, "sentence_bert_config.json", max_seq_length=8)
    found = look(folders.encoder, encoder)
    assert "8 tokens of a text" in finding(found, "reading_unchanged").summary
    assert found.healthy
    assert "'query': 'query: '" in finding(found, "pooling_unchanged").summary


def test_a_classifier_made_from_an_encoder_has_no_pooling_to_keep(folders, look, tmp_path):
    tuned = models.tune_classifier(folders.encoder, tmp_path / "tuned")
    found = look(folders.encoder, tuned)
    assert status(found, "pooling_unchanged") == Status.not_applicable
