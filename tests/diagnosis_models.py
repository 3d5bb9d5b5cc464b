"""Base and tuned folders as the real libraries write them, and how to break them.

Each builder writes a folder and returns it. Models are tiny, made from a config in code, and
trained for a few real steps, so a tuned folder differs from its base as a tuned folder does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from graft.audits.folders.diagnosis import Diagnosis
from graft.core.findings import Finding, Status
from graft.models.encoder import quiet_transformers
from tiny_models import WORDS, colour_pairs, write_encoder

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LABELS = ("red", "blue", "green")
CLASSIFIERS, LANGUAGE = AutoModelForSequenceClassification, AutoModelForCausalLM
TARGETS = {CLASSIFIERS: ["query", "value"], LANGUAGE: ["q_proj", "v_proj"]}
STEPS = 40


# Bases


def write_body(folder: Path, seed: int = 0) -> Path:
    """A BertModel without a task head, with its tokenizer: what most fine-tuning starts from."""
    return _save(folder, _built(BertModel, _bert_config(), seed), tokenizer())


def write_classifier(folder: Path, seed: int = 0) -> Path:
    """A BertForSequenceClassification with three named labels, with its tokenizer."""
    config = _bert_config()
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {name: index for index, name in enumerate(LABELS)}
    return _save(folder, _built(BertForSequenceClassification, config, seed), tokenizer())


def write_language_model(folder: Path, seed: int = 0, tied: bool = False) -> Path:
    """A LlamaForCausalLM of two layers, with its tokenizer."""
    config = LlamaConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        pad_token_id=0,
        tie_word_embeddings=tied,
    )
    return _save(folder, _built(LlamaForCausalLM, config, seed), tokenizer())


def write_encoder_base(folder: Path, seed: int = 0) -> Path:
    """A Sentence-Transformers folder: BERT, mean pooling, normalisation."""
    return write_encoder(folder, [*SPECIAL, *WORDS], seed, max_tokens=32)


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of whole words."""
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    core = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = WhitespaceSplit()
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    special = dict(zip(names, SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=32, **special)


def _bert_config() -> BertConfig:
    return BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=len(LABELS),
    )


def _built(kind: Any, config: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config)


def _save(folder: Path, model: Any, words: Any) -> Path:
    with quiet_transformers():
        model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


# Tuned models


def tune_classifier(base: Path, folder: Path, seed: int = 1, only_head: bool = False) -> Path:
    """A classifier tuned from a body or a classifier: every tensor, or the new head alone."""
    model = load(CLASSIFIERS, base, num_labels=len(LABELS), seed=seed)
    model.config.id2label = dict(enumerate(LABELS))
    model.config.label2id = {name: index for index, name in enumerate(LABELS)}
    model.bert.requires_grad_(not only_head)
    train(model, seed)
    return _save(folder, model, tokenizer())


def tune_language_model(base: Path, folder: Path, seed: int = 1) -> Path:
    """A language model with every tensor tuned."""
    model = load(LANGUAGE, base)
    train(model, seed)
    return _save(folder, model, tokenizer())


def tune_encoder(base: Path, folder: Path, seed: int = 1) -> Path:
    """A Sentence-Transformers folder tuned on pairs of colours."""
    with quiet_transformers():
        model = SentenceTransformer(str(base), device="cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rows = colour_pairs(48, seed)
    target = torch.tensor(rows["label"].to_numpy(np.float32))
    model.train()
    for _ in range(STEPS):
        one, two = (
            model(model.preprocess(list(rows[side])))["sentence_embedding"]
            for side in ("sentence1", "sentence2")
        )
        ((one * two).sum(1) - target).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    with quiet_transformers():
        model.save(str(folder), create_model_card=False)
    return folder


def write_lora(base: Path, folder: Path, kind: Any = LANGUAGE, trained: bool = True) -> Path:
    """An adapter as plain PEFT writes it; untrained, its B matrices are zero."""
    task = "SEQ_CLS" if kind is CLASSIFIERS else "CAUSAL_LM"
    config = LoraConfig(r=2, lora_alpha=8, target_modules=TARGETS[kind], task_type=task)
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(3)
        model = get_peft_model(load(kind, base, num_labels=len(LABELS)), config)
        if trained:
            train(model, seed=3)
        model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def merge(base: Path, adapter: Path, folder: Path, kind: Any = LANGUAGE, times: int = 1) -> Path:
    """The base with the adapter added into its weights, `times` times."""
    with quiet_transformers():
        model = load(kind, base, num_labels=len(LABELS))
        for _ in range(times):
            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    return _save(folder, model, AutoTokenizer.from_pretrained(base))


def load(kind: Any, base: Path, num_labels: int = 0, seed: int = 0) -> Any:
    """The model of a folder; a head that the folder lacks is drawn from `seed`."""
    extra = {"num_labels": num_labels} if kind is CLASSIFIERS and num_labels else {}
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(seed)
        return kind.from_pretrained(base, local_files_only=True, **extra)


def train(model: Any, seed: int, steps: int = STEPS, rate: float = 3e-3) -> None:
    """Train what is trainable: on the colour of a text, or on the text itself."""
    rows = colour_texts(48, seed)
    batch = tokenizer()([row["text"] for row in rows], padding=True, return_tensors="pt")
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    colours = torch.tensor([LABELS.index(row["label"]) for row in rows])
    target = inputs["input_ids"] if model.config.model_type == "llama" else colours
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.train()
        for _ in range(steps):
            model(**inputs, labels=target).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval()


# Rows and logs


def colour_texts(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows with `text` and `label`: four words of one colour, and the colour."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        colour = index % len(LABELS)
        words = rng.choice(WORDS[24 * colour : 24 * (colour + 1)], 4)
        rows.append({"text": " ".join(map(str, words)), "label": LABELS[colour]})
    return rows


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """One JSON object a line."""
    path.write_text("".join(f"{json.dumps(dict(row))}\n" for row in rows), encoding="utf-8")
    return path


def healthy_log(steps: int = 20) -> list[dict[str, Any]]:
    """What the Transformers trainer logs: warm-up of two steps, then linear decay."""
    return [
        {
            "step": step,
            "loss": 1.0 / step + 0.1,
            "grad_norm": 0.5 + 1 / step,
            "learning_rate": 5e-5 * min(step / 2, (steps - step) / (steps - 2)),
            "epoch": step / 10,
        }
        for step in range(1, steps + 1)
    ]


def write_trainer_state(folder: Path, log: list[dict[str, Any]], **changes: Any) -> Path:
    """`trainer_state.json` as the Transformers trainer writes it into a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    last = max((record["step"] for record in log), default=0)
    state = {"global_step": last, "max_steps": last, "log_history": log}
    state |= {"best_metric": None, "best_model_checkpoint": None, **changes}
    path = folder / "trainer_state.json"
    path.write_text(json.dumps(state), encoding="utf-8")
    return path


# How to break a folder


def copied(folder: Path, target: Path) -> Path:
    """A copy of the folder."""
    return Path(shutil.copytree(folder, target))


def change_tensors(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> Path:
    """Rewrite the one weight file of the folder with what `change` makes of its tensors."""
    [file] = folder.glob("*.safetensors")
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    save_file(change(tensors), file, metadata={"format": "pt"})
    return folder


def prefix_keys(folder: Path, prefix: str) -> Path:
    """Put `prefix` before every key of the weight file."""
    return change_tensors(folder, lambda old: {f"{prefix}{key}": old[key] for key in old})


def change_json(folder: Path, file: str, **changes: Any) -> Path:
    """Set keys of a JSON file; None takes a key out."""
    path = folder / file
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(kept, indent=2), encoding="utf-8")
    return folder


def state_dict_of(folder: Path, target: Path, wrapper: str = "") -> Path:
    """The tensors of a folder as a bare state dict, in `wrapper` if one is named."""
    with quiet_transformers():
        state = AutoModel.from_pretrained(folder).state_dict()
    torch.save({wrapper: state} if wrapper else state, target)
    return target


# What a diagnosis says


def finding(diagnosis: Diagnosis, name: str) -> Finding:
    """The one finding of a check."""
    [found] = [f for f in diagnosis.findings if f.name == name]
    return found


def status(diagnosis: Diagnosis, name: str) -> Status:
    """The status of the one finding of a check."""
    return finding(diagnosis, name).status


def causes(diagnosis: Diagnosis) -> list[str]:
    """The keys of the causes, in order."""
    return [cause.key for cause in diagnosis.causes]
