"""K10: adapters as plain PEFT writes them, and what becomes of them; from folders alone."""

from __future__ import annotations

import json

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

import diagnosis_models as models
from diagnosis_models import causes, change_json, change_tensors, copied, finding, status
from graft.core.errors import ModelError
from graft.core.findings import Status

LANGUAGE = models.LANGUAGE


@pytest.fixture
def lora(folders, tmp_path):
    return copied(folders.lora, tmp_path / "lora")


def saved(model, folder):
    with models.quiet_transformers():
        model.save_pretrained(folder)
    return folder


def shaken(base, config, kind=LANGUAGE):
    """A PEFT model whose adapter is everywhere other than at its start."""
    with models.quiet_transformers():
        model = get_peft_model(models.load(kind, base), config)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "module.", "base_model.model.", "base_model.model._orig_mod."]
)
def test_prefixed_keys_are_a_dead_adapter(folders, look, lora, prefix):
    models.prefix_keys(lora, prefix)
    found = look(folders.language, lora)
    assert causes(found)[0] == "prefixed_adapter"
    assert "outputs_equal" in causes(found)
    assert "8 of 8 keys" in found.causes[0].evidence
    assert finding(found, "adapter_trained").evidence["applied"] == "0 of 8"
    assert status(found, "weights_moved") == Status.passed


def test_keys_without_the_prefix_of_peft(folders, look, lora):
    lead = "base_model.model."
    change_tensors(lora, lambda old: {key.removeprefix(lead): old[key] for key in old})
    assert causes(look(folders.language, lora))[0] == "prefixed_adapter"


def test_an_adapter_that_was_never_trained(folders, look):
    found = look(folders.language, folders.untrained)
    assert causes(found) == ["adapter_zero", "nothing_moved", "outputs_equal"]


def test_an_adapter_of_which_one_layer_was_never_trained(folders, look, lora):
    change_tensors(
        lora,
        lambda old: {
            name: tensor * ("layers.0" not in name or "lora_A" in name)
            for name, tensor in old.items()
        },
    )
    found = look(folders.language, lora)
    assert causes(found) == ["adapter_partly_zero"]
    assert "2 of 4 pairs (model.layers.0)" in found.causes[0].evidence


@pytest.mark.parametrize("form", ["no tensor", "no file", "size zero"])
def test_an_empty_adapter(folders, look, lora, form):
    if form == "no file":
        (lora / "adapter_model.safetensors").unlink()
    else:
        size = form == "size zero"
        change_tensors(lora, lambda old: {key: torch.zeros(0) for key in old} if size else {})
    assert causes(look(folders.language, lora))[0] == "adapter_empty"


def test_an_adapter_that_lacks_a_layer(folders, look, lora):
    change_tensors(lora, lambda old: {n: t for n, t in old.items() if "layers.1" not in n})
    found = look(folders.language, lora)
    assert causes(found) == ["adapter_uncovered"]
    assert "4 tensors" in found.causes[0].evidence


@pytest.mark.filterwarnings("ignore:The following rank_pattern keys:RuntimeWarning")
def test_a_target_that_matches_nothing_is_a_note(folders, look, tmp_path):
    patterns = {"layers.9.q_proj": 4}
    targets = {"target_modules": ["q_proj", "qurey"], "task_type": "CAUSAL_LM"}
    config = LoraConfig(r=2, rank_pattern=patterns, **targets)
    found = look(folders.language, saved(shaken(folders.language, config), tmp_path / "a"))
    assert found.healthy, found.causes
    for name in ("qurey", "layers.9.q_proj"):
        assert name in finding(found, "adapter_trained").summary


def test_an_adapter_of_another_architecture(folders, look, tmp_path):
    found = look(folders.body, copied(folders.lora, tmp_path / "lora"))
    assert causes(found)[0] == "adapter_not_applied"


def test_an_adapter_of_another_width(look, folders, lora):
    change_json(lora, "adapter_config.json", r=4)
    found = look(folders.language, lora)
    assert causes(found)[0] == "adapter_shape"
    change_tensors(lora, lambda old: {n: t.repeat(1, 2) for n, t in old.items()})
    assert causes(look(folders.language, lora))[0] == "adapter_shape"


def test_a_head_that_was_not_saved(folders, look, tmp_path):
    lora = copied(folders.lora_classifier, tmp_path / "lora")
    change_tensors(lora, lambda old: {n: t for n, t in old.items() if "classifier" not in n})
    found = look(folders.body, lora)
    assert causes(found)[0] == "head_not_saved"
    assert "classifier" in found.causes[0].evidence


def test_a_head_that_nobody_asked_to_save(folders, look, tmp_path):
    config = LoraConfig(r=2, target_modules=["query"])
    model = shaken(folders.body, config, models.CLASSIFIERS)
    found = look(folders.body, saved(model, tmp_path / "lora"))
    assert causes(found) == ["random_at_load"]
    assert "classifier.bias, classifier.weight" in found.causes[0].evidence


def test_an_adapter_without_a_task_on_a_whole_classifier(folders, look, tmp_path):
    config = LoraConfig(r=2, target_modules=["query", "dense"])
    model = shaken(folders.tuned_classifier, config, models.CLASSIFIERS)
    assert look(folders.tuned_classifier, saved(model, tmp_path / "lora")).healthy


def test_new_tokens_that_were_not_saved(folders, look, lora):
    words = models.tokenizer()
    words.add_tokens(["purple0"])
    words.save_pretrained(lora)
    assert "tokens_not_saved" in causes(look(folders.language, lora))


def test_an_adapter_that_names_another_base(folders, look, lora, tmp_path):
    other = models.write_language_model(tmp_path / "other", seed=9)
    change_json(lora, "adapter_config.json", base_model_name_or_path=str(other))
    assert causes(look(folders.language, lora)) == ["other_base"]
    same = copied(folders.language, tmp_path / "same")
    change_json(lora, "adapter_config.json", base_model_name_or_path=str(same))
    assert look(folders.language, lora).healthy


def test_an_adapter_on_a_base_that_holds_it_already(folders, look, lora, tmp_path):
    merged = copied(folders.merged, tmp_path / "merged")
    change_json(lora, "adapter_config.json", base_model_name_or_path=str(merged))
    found = look(folders.language, lora)
    assert causes(found) == ["other_base", "merged_again"]


def test_ranks_and_alphas_by_pattern(folders, look, tmp_path):
    config = LoraConfig(
        r=2,
        lora_alpha=4,
        target_modules=["q_proj", "v_proj"],
        rank_pattern={"q_proj": 4},
        alpha_pattern={"layers.0.self_attn.v_proj": 32},
        use_rslora=True,
        task_type="CAUSAL_LM",
    )
    model = shaken(folders.language, config)
    adapter = saved(model, tmp_path / "adapter")
    merged = saved(model.merge_and_unload(), tmp_path / "merged")
    found = look(folders.language, merged)
    assert found.healthy, found.causes
    assert status(found, "merged_once") == Status.passed
    assert look(folders.language, adapter).healthy


@pytest.mark.parametrize("kind", ["dora", "ia3"])
def test_other_adapters_are_read_as_far_as_can_be(folders, look, tmp_path, kind):
    targets = {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
    dora = LoraConfig(r=2, use_dora=True, **targets)
    config = dora if kind == "dora" else IA3Config(feedforward_modules=[], **targets)
    found = look(folders.language, saved(shaken(folders.language, config), tmp_path / "a"))
    assert found.healthy, found.causes
    assert status(found, "adapter_trained") == Status.passed
    for name in ("weights_moved", "merged_once"):
        assert status(found, name) == Status.not_applicable
    with models.quiet_transformers():
        fresh = get_peft_model(models.load(LANGUAGE, folders.language), config)
    assert causes(look(folders.language, saved(fresh, tmp_path / "fresh")))[0] == "adapter_zero"


def test_an_adapter_on_bare_weights_is_matched_by_names(folders, look, lora, tmp_path):
    weights = folders.language / "model.safetensors"
    assert look(weights, lora).healthy
    prefixed = models.prefix_keys(lora, "_orig_mod.")
    assert causes(look(weights, prefixed)) == ["prefixed_adapter"]
    other = copied(folders.lora_classifier, tmp_path / "other")
    assert causes(look(weights, other))[0] == "adapter_not_applied"


def test_training_that_went_on_from_an_adapter(folders, look, lora, tmp_path):
    assert "nothing_moved" in causes(look(folders.lora, copied(folders.lora, tmp_path / "same")))
    change_tensors(lora, lambda old: {name: tensor * 1.1 for name, tensor in old.items()})
    assert look(folders.lora, lora).healthy


def test_base_and_adapter_in_the_wrong_order(folders, look):
    with pytest.raises(ModelError, match="give the base first"):
        look(folders.lora, folders.language)


# Merging


def test_an_adapter_that_was_merged_twice(folders, look, tmp_path):
    tuned = copied(folders.merged_twice, tmp_path / "tuned")
    copied(folders.lora, tmp_path / "lora")
    found = look(folders.language, tuned)
    assert causes(found) == ["merged_again"]
    assert "4 of 4 matrices were merged 2 times" in found.causes[0].evidence
    assert finding(found, "merged_once").evidence["adapter_found"] == "beside it"


def test_an_adapter_that_was_never_merged(folders, look, tmp_path):
    tuned = copied(folders.language, tmp_path / "tuned")
    copied(folders.lora, tuned / "adapter")
    assert causes(look(folders.language, tuned)) == [
        "never_merged",
        "nothing_moved",
        "outputs_equal",
    ]


@pytest.mark.parametrize("ways", ["given", "in the model", "in adapter/"])
def test_an_adapter_is_found_where_people_put_it(folders, look, tmp_path, ways):
    tuned = copied(folders.merged, tmp_path / "tuned")
    given = copied(folders.lora, tmp_path / "given") if ways == "given" else None
    if ways == "in adapter/":
        copied(folders.lora, tuned / "adapter")
    if ways == "in the model":
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            (tuned / name).write_bytes((folders.lora / name).read_bytes())
    found = look(folders.language, tuned, adapter=given)
    assert found.healthy, found.causes
    assert status(found, "merged_once") == status(found, "adapter_trained") == Status.passed


def test_another_scale_and_another_change(folders, look, tmp_path):
    lora = copied(folders.lora, tmp_path / "lora")
    change_json(lora, "adapter_config.json", lora_alpha=16)
    found = look(folders.language, folders.merged, adapter=lora)
    assert causes(found) == ["merged_scale"]
    found = look(folders.language, folders.tuned_language, adapter=folders.lora)
    assert causes(found) == ["merged_otherwise"] * 2


def test_an_adapter_that_half_precision_swallows(folders, look, tmp_path):
    lora = copied(folders.lora, tmp_path / "lora")
    change_tensors(
        lora, lambda old: {n: t * (1e-4 if "lora_B" in n else 1) for n, t in old.items()}
    )
    with models.quiet_transformers():
        model = PeftModel.from_pretrained(models.load(LANGUAGE, folders.language), str(lora))
        model = model.merge_and_unload().to(torch.bfloat16)
        model.save_pretrained(tmp_path / "tuned")
    models.tokenizer().save_pretrained(tmp_path / "tuned")
    found = look(folders.language, tmp_path / "tuned")
    assert set(causes(found)) & {"lost_in_rounding", "merged_otherwise", "never_merged"}


def test_the_config_of_the_adapter_is_what_peft_writes(folders):
    """The keys that the checks read exist under these names in this version of PEFT."""
    config = json.loads((folders.lora / "adapter_config.json").read_text())
    used = {"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"}
    used |= {"target_modules", "modules_to_save", "base_model_name_or_path", "fan_in_fan_out"}
    assert used <= set(config)
    assert all(
        key.startswith("base_model.model.")
        for key in load_file(folders.lora / "adapter_model.safetensors")
    )
