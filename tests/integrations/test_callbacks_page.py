"""Every piece of Python on the page about callbacks runs, on tiny models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer
from transformers import LlamaForCausalLM, TrainingArguments
from trl import SFTConfig

import foreign_models as foreign
from graft.core.files import read_json
from graft.core.findings import Findings
from graft.core.layout import RunPaths

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "callbacks.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def names(tmp_path, bert, encoder, llama):
    """What the page leaves to its reader."""
    settings = {**foreign.QUIET, "max_steps": 2, "per_device_train_batch_size": 4}
    out = str(tmp_path / "out")
    language = SFTConfig(out, activation_checkpointing=False, bf16=False, **settings)
    return {
        "model": foreign.classifier(bert),
        "arguments": TrainingArguments(out, **settings),
        "rows": foreign.classification_rows(bert),
        "encoder": SentenceTransformer(str(encoder), device="cpu"),
        "encoder_arguments": foreign.sentence_trainer(out, encoder, **settings).args,
        "pairs": foreign.sentence_pairs(),
        "language_model": LlamaForCausalLM.from_pretrained(llama),
        "sft_arguments": language,
        "chats": foreign.conversations(),
        "tokenizer": foreign.chat_tokenizer(),
        "module": foreign.ColourModule(bert),
        "loader": foreign.colour_loader(bert),
        "base_folder": bert,
    }


def quiet(block):
    """Return the block with a Lightning trainer that writes nothing else and needs no device."""
    wanted = 'accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=2'
    return block.replace("max_epochs=2", wanted)


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) == 6
    for block in BLOCKS:
        exec(compile(quiet(block), str(PAGE), "exec"), names)
    assert read_json(tmp_path / "audit" / "audits.json", Findings).blocking == ()
    assert (tmp_path / "audit" / "report.html").is_file()


def test_the_page_names_every_file_that_is_written():
    paths = RunPaths(Path())
    files = (paths.plan, paths.ledger, paths.history, paths.load, paths.supervision,
             paths.options, paths.saves, paths.probes, paths.audits)  # fmt: skip
    text = PAGE.read_text("utf-8")
    assert [path.name for path in files if f"`{path.name}`" not in text] == []
