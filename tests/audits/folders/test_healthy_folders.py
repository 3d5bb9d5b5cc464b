"""No alarm on what is right: every way to tune, each as its library saves it."""

from __future__ import annotations

import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

import diagnosis_models as models
from graft.audits.folders.diagnosis import diagnose
from graft.core.findings import Status
from graft.models.encoder import quiet_transformers

HEALTHY = [
    ("body", "tuned-body"),
    ("classifier", "tuned-classifier"),
    ("body", "head-only"),
    ("language", "tuned-language"),
    ("encoder", "tuned-encoder"),
    ("language", "lora"),
    ("body", "lora-classifier"),
    ("language", "merged"),
]


def statuses(diagnosis):
    return {f.name: f.status for f in diagnosis.findings}


@pytest.mark.parametrize(("base", "tuned"), HEALTHY, ids=lambda name: name)
def test_a_healthy_folder_has_no_cause(folders, look, base, tuned):
    found = look(folders.root / base, folders.root / tuned)
    assert found.healthy, found.causes
    warned = [name for name, status in statuses(found).items() if status == Status.warned]
    frozen = tuned == "head-only"
    assert warned == (["weights_moved", "outputs_differ"] if frozen else [])
    assert found.layers


@pytest.mark.parametrize(("base", "tuned"), [HEALTHY[0], HEALTHY[1], HEALTHY[6]])
def test_rows_and_a_log_bring_no_alarm(folders, look, texts, tmp_path, base, tuned):
    log = models.write_trainer_state(tmp_path, models.healthy_log())
    found = look(folders.root / base, folders.root / tuned, data=texts, log=log)
    assert found.healthy, found.causes
    assert statuses(found)["loss_log"] == statuses(found)["rate_log"] == Status.passed


def test_pairs_bring_no_alarm(folders, look, pairs):
    found = look(folders.encoder, folders.tuned_encoder, data=pairs)
    assert found.healthy, found.causes
    for name in ("agreement", "texts_apart", "outputs_differ", "pooling_unchanged"):
        assert statuses(found)[name] == Status.passed


def test_an_adapter_of_sentence_transformers(folders, look, tmp_path):
    with quiet_transformers():
        model = SentenceTransformer(str(folders.encoder), device="cpu")
        model.add_adapter(LoraConfig(r=2, target_modules=["query"], task_type="FEATURE_EXTRACTION"))
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter)
        for config in model[0].auto_model.peft_config.values():
            config.base_model_name_or_path = str(folders.encoder)
        model.save(str(tmp_path / "adapter"), create_model_card=False)
    found = look(folders.encoder, tmp_path / "adapter")
    assert found.healthy, found.causes
    assert statuses(found)["adapter_trained"] == Status.passed
    assert statuses(found)["outputs_differ"] == Status.passed


ARCHITECTURES = {
    "gpt2": (GPT2LMHeadModel, GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 2}, "c_attn"),
    "t5": (T5ForConditionalGeneration, T5Config, {"d_model": 32, "num_layers": 2}, "q"),
    "distilbert": (
        DistilBertForSequenceClassification,
        DistilBertConfig,
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "num_labels": 3},
        "q_lin",
    ),
    "qwen3": (
        Qwen3ForCausalLM,
        Qwen3Config,
        {"hidden_size": 32, "num_hidden_layers": 2, "tie_word_embeddings": True},
        "q_proj",
    ),
}
SIZES = {
    "t5": {"d_kv": 16, "d_ff": 64, "num_heads": 2, "decoder_start_token_id": 0},
    "qwen3": {"intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1,
              "head_dim": 16},
}  # fmt: skip
TASKS = {"t5": "SEQ_2_SEQ_LM", "distilbert": "SEQ_CLS"}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_other_architectures_whole_as_an_adapter_and_merged(look, tmp_path, name):
    kind, configure, sizes, target = ARCHITECTURES[name]
    words = models.tokenizer()
    config = configure(
        vocab_size=len(words), pad_token_id=0, bos_token_id=2, eos_token_id=3, **sizes,
        **SIZES.get(name, {}),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(0)
        model = kind(config)
        saved(model, tmp_path / "base")
        saved(shaken(model, 0.01), tmp_path / "tuned")
        base = kind.from_pretrained(tmp_path / "base")
        lora = LoraConfig(r=2, target_modules=[target], task_type=TASKS.get(name, "CAUSAL_LM"))
        adapted = shaken(get_peft_model(base, lora), 0.1)
        saved(adapted, tmp_path / "lora")
        saved(adapted.merge_and_unload(), tmp_path / "merged")
    for tuned in ("tuned", "lora", "merged"):
        found = look(tmp_path / "base", tmp_path / tuned)
        assert found.healthy, (tuned, found.causes)
        assert statuses(found)["outputs_differ"] == Status.passed
    assert statuses(found)["merged_once"] == Status.passed


def saved(model, folder):
    model.save_pretrained(folder)
    models.tokenizer().save_pretrained(folder)


def shaken(model, size):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * size)
    return model


def test_half_precision_and_shards(folders, look, tmp_path):
    model = models.load(models.LANGUAGE, folders.tuned_language).to(torch.bfloat16)
    with quiet_transformers():
        model.save_pretrained(tmp_path / "tuned", max_shard_size="20KB")
    assert len(list((tmp_path / "tuned").glob("*.safetensors"))) > 1
    for file in folders.language.glob("token*"):
        shutil.copy(file, tmp_path / "tuned")
    found = look(folders.language, tmp_path / "tuned")
    assert found.healthy, found.causes


def test_tied_weights_and_a_resized_vocabulary(look, tmp_path):
    base = models.write_language_model(tmp_path / "base", tied=True)
    model, words = models.load(models.LANGUAGE, base), models.tokenizer()
    words.add_tokens(["purple0", "purple1"])
    model.resize_token_embeddings(len(words), mean_resizing=False)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch = words(["purple0 red1 red2"], return_tensors="pt")["input_ids"]
    for _ in range(3):
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
    with quiet_transformers():
        model.save_pretrained(tmp_path / "tuned")
    words.save_pretrained(tmp_path / "tuned")
    found = look(base, tmp_path / "tuned")
    assert found.healthy, found.causes


def test_a_neighbour_that_is_another_experiment_is_left_alone(folders, look, tmp_path):
    models.copied(folders.tuned_language, tmp_path / "full")
    models.copied(folders.untrained, tmp_path / "lora")
    found = look(folders.language, tmp_path / "full")
    assert found.healthy, found.causes
    assert statuses(found)["merged_once"] == Status.not_applicable
    assert statuses(found)["adapter_trained"] == Status.not_applicable


def test_a_head_that_was_trained_beside_an_adapter_is_left_alone(folders, look, tmp_path):
    models.copied(folders.head_only, tmp_path / "head")
    models.copied(folders.lora_classifier, tmp_path / "lora")
    assert look(folders.body, tmp_path / "head").healthy


def test_bare_weights_of_every_kind(folders, look, tmp_path):
    state = models.state_dict_of(folders.tuned_body, tmp_path / "tuned.pt")
    wrapped = models.state_dict_of(folders.tuned_body, tmp_path / "tuned.ckpt", "state_dict")
    old = tmp_path / "old.bin"
    torch.save(torch.load(state), old, _use_new_zipfile_serialization=False)
    safe = tmp_path / "tuned.safetensors"
    save_file(load_file(folders.tuned_body / "model.safetensors"), safe)
    for file in (state, wrapped, old, safe):
        found = look(folders.body, file)
        assert found.healthy, (file.name, found.causes)
        assert statuses(found)["outputs_differ"] == Status.not_applicable
        assert statuses(found)["weights_moved"] == Status.passed


def test_the_folder_of_an_arm(folders, tmp_path, look):
    arm = tmp_path / "arm"
    models.copied(folders.merged, arm / "model")
    models.copied(folders.lora, arm / "adapter")
    lines = [
        {"kind": "step", "step": n, "loss": 1 / n, "grad_norm": 1.0, "rates": {"all": 1e-3 / n}}
        for n in range(1, 9)
    ]
    models.write_rows(arm / "history.jsonl", lines)
    found = look(folders.language, arm)
    assert found.healthy, found.causes
    assert statuses(found)["merged_once"] == statuses(found)["loss_log"] == Status.passed


def test_what_cannot_be_asked_says_why(folders):
    found = diagnose(folders.body, folders.tuned_body)
    reasons = {f.name: f.summary for f in found.findings if f.status == Status.not_applicable}
    assert reasons["metrics_reloaded"] == (
        "No --log was given, and none lies with the tuned folder."
    )
    assert reasons["varied_answers"] == "No --data was given."
    assert "adapter" in reasons["merged_once"]
