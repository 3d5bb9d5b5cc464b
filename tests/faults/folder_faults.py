"""Faults that two folders show by themselves: what libraries wrote, read by `graft diagnose`."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer

import diagnosis_models as models
from faults.fusion_faults import ROWS, class_frames
from faults.graft_runs import NAME, below_the_head, graft_run, material
from faults.loop_faults import HEAD_FIRST, thaw_never_due
from faults.zoo import Planted, Registry, listening
from graft.audits.folders import diagnosis
from graft.core.findings import Status
from graft.models.encoder import quiet_transformers
from tiny_models import colour_pairs

fault = Registry()
TEMPLATE = "{% for m in messages %}[SEP] {{ m.role }} {{ m.content }} {% endfor %}"


@cache
def base(kind: str) -> Path:
    """Return the folder of a base: `body`, `classifier`, `language`, `tied` or `encoder`."""
    folder = material() / f"base-{kind}"
    if kind == "language":
        return models.write_language_model(folder)
    if kind == "tied":
        return models.write_language_model(folder, tied=True)
    write = {
        "body": models.write_body,
        "classifier": models.write_classifier,
        "encoder": models.write_encoder_base,
    }
    return write[kind](folder)


@cache
def tuned(kind: str) -> Path:
    """Return the folder of a healthy training of that base, or of an `adapter` of it."""
    folder = material() / f"tuned-{kind}"
    if kind == "adapter":
        return models.write_lora(base("language"), folder)
    if kind == "merged":
        return models.merge(base("language"), tuned("adapter"), folder)
    if kind in ("language", "tied"):
        return models.tune_language_model(base(kind), folder)
    if kind == "encoder":
        return models.tune_encoder(base(kind), folder)
    return models.tune_classifier(base(kind), folder)


def diagnosed(before: Path, after: Path, **given: Path) -> Planted:
    """Diagnose two folders and return what was asked."""
    with listening() as heard:
        diagnosis.diagnose(before, after, **given)
    return Planted(tuple(heard))


def labelled(folder: Path, count: int = 60) -> Path:
    """Return a file of texts of one colour each, with the colour as label."""
    return models.write_rows(folder / "rows.jsonl", models.colour_texts(count, seed=9))


def _copy(kind: str, folder: Path) -> Path:
    return models.copied(tuned(kind), folder / "tuned")


# Weights


@fault("FRZ-06", "weights_moved", status=Status.warned)
def head_alone_was_trained(folder: Path) -> Planted:
    """The encoder came frozen out of its loader: only the new head is trained."""
    after = models.tune_classifier(base("body"), folder / "tuned", only_head=True)
    return diagnosed(base("body"), after)


@fault("OPT-02", "weights_moved", "outputs_differ")
def a_copy_was_trained(folder: Path) -> Planted:
    """The optimizer holds the tensors of a copy; the model that is saved never moves."""
    model = models.load(models.LANGUAGE, base("language"))
    models.train(copy.deepcopy(model), seed=1)
    return diagnosed(base("language"), _saved(model, folder / "tuned"))


@fault("FRZ-08", "weights_moved", "outputs_differ", "agreement")
def continued_training_changes_nothing(folder: Path) -> Planted:
    """A classifier is loaded for inference and trained on with an optimizer that holds nothing."""
    model = models.load(models.CLASSIFIERS, tuned("classifier"))
    model.requires_grad_(False)
    model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: output.requires_grad_(True)
    )
    batch = models.tokenizer()(["red1 red2", "blue1 blue2"], return_tensors="pt")
    optimizer = torch.optim.AdamW([{"params": []}], lr=1e-3)
    for _ in range(3):
        labels = torch.tensor([0, 1])
        model(input_ids=batch["input_ids"], labels=labels).loss.backward()
        optimizer.step()
    return diagnosed(tuned("classifier"), _saved(model, folder / "tuned"), data=labelled(folder))


@fault("OPT-05", "outputs_differ")
def rounded_away(folder: Path) -> Planted:
    """The weights are bfloat16 and every update is smaller than their last bit."""
    before = _saved(models.load(models.LANGUAGE, base("language")).bfloat16(), folder / "base")
    model = models.load(models.LANGUAGE, before).bfloat16()
    models.train(model, seed=1, steps=3, rate=1e-8)
    return diagnosed(before, _saved(model, folder / "tuned"))


@fault("OPT-07", "weights_moved", "loss_log")
def weights_that_are_no_numbers(folder: Path) -> Planted:
    """The loss overflows early, and training goes on to its end on weights that are NaN."""
    model = models.load(models.LANGUAGE, base("language"))
    models.train(model, seed=1, steps=6, rate=1e30)
    after = _saved(model, folder / "tuned")
    log = models.healthy_log()
    for record in log[6:]:
        record["loss"] = float("nan")
    models.write_trainer_state(after, log)
    return diagnosed(base("language"), after)


@fault("EVL-06", "two_trainings")
def two_runs_whose_thaw_never_came(folder: Path) -> Planted:
    """Two runs thaw the encoder by a condition that is never true; diagnosed from their folders."""
    arms = (below_the_head(1), below_the_head(1, training={"head_learning_rate": 2e-2}))
    graft_run(
        folder, *arms, rows=class_frames(), during=thaw_never_due(), **ROWS, training=HEAD_FIRST
    )
    runs = folder / "runs" / NAME
    return diagnosed(runs / "tuned", runs / "other")


# Names and files


@fault("LOD-02", "same_model")
def task_prefix_in_every_key(folder: Path) -> Planted:
    """A wrapper saved its state dict with `module.` before every name."""
    return diagnosed(base("language"), models.prefix_keys(_copy("language", folder), "module."))


@fault("LOD-06", "same_model")
def saved_from_a_compiled_model(folder: Path) -> Planted:
    """The state dict of a compiled model is saved as it is, with `_orig_mod.` before every name."""
    model = models.load(models.LANGUAGE, tuned("language"))
    after = _saved(model, folder / "tuned")
    state = torch.compile(model).state_dict()
    kept = {k: v.clone() for k, v in state.items() if not k.endswith("inv_freq")}
    save_file(kept, after / "model.safetensors", metadata={"format": "pt"})
    return diagnosed(base("language"), after)


@fault("LOD-08", "outputs_differ")
def head_never_saved(folder: Path) -> Planted:
    """The body is saved with the config of a classifier: every load draws a new head."""
    after = _copy("classifier", folder)
    models.change_tensors(
        after, lambda old: {k: v for k, v in old.items() if not k.startswith("classifier.")}
    )
    return diagnosed(base("classifier"), after)


@fault("LOD-10", "tied_weights")
def tied_matrices_apart(folder: Path) -> Planted:
    """The output matrix is trained apart from the embedding that the config ties it to."""
    model = models.load(models.LANGUAGE, base("tied"))
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    models.train(model, seed=1)
    after = _saved(model, folder / "tuned")
    state = load_file(after / "model.safetensors")
    state["lm_head.weight"] = model.lm_head.weight.detach().clone()
    save_file(state, after / "model.safetensors", metadata={"format": "pt"})
    return diagnosed(base("tied"), after)


@fault("LOD-13", "number_formats", status=Status.warned)
def quantised_in_name_only(folder: Path) -> Planted:
    """The config says four bits, and the file holds float32."""
    asked = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    after = models.change_json(_copy("language", folder), "config.json", quantization_config=asked)
    return diagnosed(base("language"), after)


@fault("RES-05", "files_whole")
def a_shard_is_missing(folder: Path) -> Planted:
    """The disk filled up while the shards were written: the index names one that is not there."""
    model = models.load(models.LANGUAGE, tuned("language"))
    after = folder / "tuned"
    with quiet_transformers():
        model.save_pretrained(after, max_shard_size="20KB")
    models.tokenizer().save_pretrained(after)
    sorted(after.glob("model-*.safetensors"))[-1].unlink()
    return diagnosed(base("language"), after)


@fault("SAV-03", "vocabulary_size")
def tokens_without_embeddings(folder: Path) -> Planted:
    """Tokens were added to the tokenizer, and the resized embedding was not saved."""
    after = _copy("language", folder)
    words = models.tokenizer()
    words.add_tokens([f"new{index}" for index in range(5)])
    words.save_pretrained(after)
    return diagnosed(base("language"), after)


@fault("EVL-08", "architecture_unchanged", "metrics_reloaded")
def config_of_another_training(folder: Path) -> Planted:
    """The weights lie beside the config of another training, with another activation."""
    after = models.change_json(_copy("classifier", folder), "config.json", hidden_act="relu6",
                               num_attention_heads=1)  # fmt: skip
    log = models.healthy_log()
    log[-1]["eval_accuracy"] = 1.0
    models.write_trainer_state(after, log)
    scrambled = models.change_tensors(after, lambda old: {
        k: (v.roll(1, 0) if k == "classifier.weight" else v) for k, v in old.items()})  # fmt: skip
    return diagnosed(base("classifier"), scrambled, data=labelled(folder))


# Adapters


@fault("SAV-01", "adapter_trained")
def adapter_file_without_tensors(folder: Path) -> Planted:
    """The adapter's file holds no tensor: the state dict was taken on a rank that owned none."""
    after = _copy("adapter", folder)
    return diagnosed(base("language"), models.change_tensors(after, lambda old: {}))


@fault("FRZ-07", "adapter_trained", "outputs_differ")
def adapter_still_zero(folder: Path) -> Planted:
    """No gradient ever reached the adapter: every B is zero as on the first day."""
    after = models.write_lora(base("language"), folder / "tuned", trained=False)
    return diagnosed(base("language"), after)


@fault("LOD-07", "adapter_trained")
def adapter_with_a_prefix_too_many(folder: Path) -> Planted:
    """Every key of the adapter carries the prefix of a wrapper."""
    after = models.prefix_keys(_copy("adapter", folder), "_orig_mod.")
    return diagnosed(base("language"), after)


@fault("LOD-09", "adapter_trained")
def adapter_of_another_base(folder: Path) -> Planted:
    """The adapter was trained on another base, which its config names."""
    other = models.write_language_model(folder / "other", seed=5)
    return diagnosed(base("language"), models.write_lora(other, folder / "tuned"))


@fault("LOD-12", "adapter_trained")
def adapter_on_a_part_of_its_targets(folder: Path) -> Planted:
    """The config names three kinds of modules, and the file holds matrices for two of them."""
    after = _copy("adapter", folder)
    models.change_json(after, "adapter_config.json", target_modules=["q_proj", "v_proj", "o_proj"])
    return diagnosed(base("language"), after)


@fault("SAV-02", "adapter_trained")
def head_not_saved_with_the_adapter(folder: Path) -> Planted:
    """The new head of a classifier is trained with the adapter and left out of its file."""
    after = models.write_lora(base("body"), folder / "tuned", kind=models.CLASSIFIERS)
    models.change_tensors(after, lambda old: {k: v for k, v in old.items() if "lora_" in k})
    return diagnosed(base("body"), after)


@fault("MRG-01", "merged_once")
def merged_folder_is_the_base(folder: Path) -> Planted:
    """The merge unloads the adapter, so the merged folder is the base again."""
    model = models.load(models.LANGUAGE, base("language"))
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    after = _saved(adapted.unload(), folder / "tuned")
    return diagnosed(base("language"), after, adapter=tuned("adapter"))


@fault("MRG-03", "merged_once")
def merged_in_eight_bits(folder: Path) -> Planted:
    """The merged weights are those of an eight-bit base plus the adapter."""
    rounded = models.change_tensors(
        models.copied(base("language"), folder / "rounded"),
        lambda old: {k: v.to(torch.float8_e4m3fn).float() for k, v in old.items()},
    )
    after = models.merge(rounded, tuned("adapter"), folder / "tuned")
    return diagnosed(base("language"), after, adapter=tuned("adapter"))


@fault("MRG-04", "merged_once")
def merged_without_its_scale(folder: Path) -> Planted:
    """A conversion merges B·A and forgets alpha / r."""
    scaled = models.copied(tuned("adapter"), folder / "scaled")
    models.change_json(scaled, "adapter_config.json", lora_alpha=2)
    after = models.merge(base("language"), scaled, folder / "tuned")
    return diagnosed(base("language"), after, adapter=tuned("adapter"))


@fault("MRG-05", "merged_once")
def merged_folder_holds_it_twice(folder: Path) -> Planted:
    """The adapter is merged into a folder that holds it already."""
    after = models.merge(base("language"), tuned("adapter"), folder / "tuned", times=2)
    return diagnosed(base("language"), after, adapter=tuned("adapter"))


# Reading


@fault("DAT-05", "reading_unchanged", status=Status.warned)
def limit_lowered_in_the_tokenizer(folder: Path) -> Planted:
    """The tokenizer of the tuned folder cuts at eight tokens, that of the base at 32."""
    after = _copy("language", folder)
    words = AutoTokenizer.from_pretrained(after)
    words.model_max_length = 8
    words.save_pretrained(after)
    return diagnosed(base("language"), after)


@fault("DAT-08", "reading_unchanged")
def template_of_another_family(folder: Path) -> Planted:
    """The tuned folder carries another chat template than the one that was trained with."""
    before = models.copied(base("language"), folder / "base")
    for place, template in ((before, TEMPLATE), (_copy("language", folder), "{{ messages }}")):
        words = AutoTokenizer.from_pretrained(place)
        words.chat_template = template
        words.save_pretrained(place)
    return diagnosed(before, folder / "tuned")


@fault("DAT-23", "reading_unchanged")
def tokenizer_of_another_training(folder: Path) -> Planted:
    """The tokenizer in the tuned folder gives the same words other ids."""
    after = _copy("language", folder)
    content = json.loads((after / "tokenizer.json").read_text(encoding="utf-8"))
    ids = content["model"]["vocab"]
    words = [word for word in ids if not word.startswith("[")]
    rolled = dict(zip(words, np.roll([ids[word] for word in words], 1).tolist(), strict=True))
    content["model"]["vocab"] = ids | rolled
    (after / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return diagnosed(base("language"), after)


@fault("DAT-13", "label_order")
def labels_renamed_in_another_order(folder: Path) -> Planted:
    """The label names were collected into a set, whose order is another one in the tuned config."""
    names = dict(enumerate(("blue", "green", "red")))
    after = models.change_json(
        _copy("classifier", folder),
        "config.json",
        id2label={str(index): name for index, name in names.items()},
        label2id={name: index for index, name in names.items()},
    )
    return diagnosed(base("classifier"), after)


@fault("DAT-13", "varied_answers")
def trained_in_another_order(folder: Path) -> Planted:
    """Training numbered the labels in another order than the config that is saved with it."""
    after = models.change_tensors(
        _copy("classifier", folder),
        lambda old: {
            k: (v.roll(1, 0) if k.startswith("classifier.") else v) for k, v in old.items()
        },
    )
    return diagnosed(base("classifier"), after, data=labelled(folder))


@fault("DAT-25", "varied_answers")
def majority_class_alone(folder: Path) -> Planted:
    """The rows are nearly all of one class, and the classifier answers with it for everything."""
    model = models.load(models.CLASSIFIERS, base("classifier"))
    words = models.tokenizer()([row["text"] for row in models.colour_texts(48, 1)],
                               padding=True, return_tensors="pt")  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(20):
        labels = torch.zeros(48, dtype=torch.long)
        model(input_ids=words["input_ids"], labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return diagnosed(base("classifier"), _saved(model, folder / "tuned"), data=labelled(folder))


# Embeddings


@fault("EMB-01", "texts_apart")
def pulled_together(folder: Path) -> Planted:
    """The encoder is trained on positives alone, which all texts together satisfy."""
    with quiet_transformers():
        model = SentenceTransformer(str(base("encoder")), device="cpu")
    rows = colour_pairs(48, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(30):
        one, two = (
            model(model.preprocess(list(rows[side])))["sentence_embedding"]
            for side in ("sentence1", "sentence2")
        )
        (1 - (one * two).sum(1)).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    with quiet_transformers():
        model.save(str(folder / "tuned"), create_model_card=False)
    return diagnosed(base("encoder"), folder / "tuned", data=_pairs(folder))


@fault("EMB-02", "pooling_unchanged")
def pooled_by_the_first_token(folder: Path) -> Planted:
    """The tuned folder pools by the first token; it was trained with the mean."""
    after = _copy("encoder", folder)
    models.change_json(after, "1_Pooling/config.json", pooling_mode="cls")
    return diagnosed(base("encoder"), after)


@fault("EMB-07", "pooling_unchanged", status=Status.warned)
def prompts_gone(folder: Path) -> Planted:
    """The base has a prompt for queries, and the tuned folder has none."""
    before = models.copied(base("encoder"), folder / "base")
    prompts = {"query": "red1 ", "document": ""}
    models.change_json(before, "config_sentence_transformers.json", prompts=prompts)
    return diagnosed(before, _copy("encoder", folder))


# The trainer's log


@fault("SAV-06", "kept_checkpoint")
def worst_checkpoint_by_the_log(folder: Path) -> Planted:
    """The trainer keeps the checkpoint with the lowest accuracy and calls it the best."""
    after, log = _copy("classifier", folder), models.healthy_log()
    for step, value in ((5, 0.4), (10, 0.9), (15, 0.8)):
        log[step - 1]["eval_accuracy"] = value
    models.write_trainer_state(
        after, log, best_metric=0.4, best_model_checkpoint="out/checkpoint-5", best_global_step=5
    )
    return diagnosed(base("classifier"), after)


@fault("OPT-11", "rate_log")
def warm_up_to_the_end(folder: Path) -> Planted:
    """The warm-up is longer than the training, so the rate rises to the last step."""
    after, log = _copy("classifier", folder), models.healthy_log()
    for record in log:
        record["learning_rate"] = 5e-5 * record["step"] / 100
    models.write_trainer_state(after, log)
    return diagnosed(base("classifier"), after)


@fault("RES-01", "rate_log")
def rate_jumps_after_a_resume(folder: Path) -> Planted:
    """Taken up in the middle, the schedule begins again at its peak."""
    after, log = _copy("classifier", folder), models.healthy_log()
    for record in log[12:]:
        record["learning_rate"] = log[record["step"] - 11]["learning_rate"]
    models.write_trainer_state(after, log)
    return diagnosed(base("classifier"), after)


def _saved(model: Any, folder: Path) -> Path:
    with quiet_transformers():
        model.save_pretrained(folder)
    models.tokenizer().save_pretrained(folder)
    return folder


def _pairs(folder: Path) -> Path:
    rows = colour_pairs(40, 4)[["sentence1", "sentence2", "label"]].to_dict("records")
    return models.write_rows(folder / "pairs.jsonl", rows)
