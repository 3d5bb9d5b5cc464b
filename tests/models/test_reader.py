"""A base reads the same without its weights as with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer

from graft.config.sections import BaseSection
from graft.core.errors import ModelError
from graft.models.encoder import load_encoder
from graft.models.locate import LocatedBase
from graft.models.reader import load_reader
from tiny_models import WORDS

TEXTS = [" ".join(WORDS[:count]) for count in (1, 3, 30, 60)] + ["RED1 Blue2", "what?"]


@pytest.fixture
def folder(colour_encoder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(colour_encoder, tmp_path / "base"))


@pytest.mark.parametrize("limit", [None, 7, 64])
@pytest.mark.parametrize("plain", [False, True])
def test_it_reads_as_the_encoder_does(folder: Path, limit: int | None, plain: bool) -> None:
    if plain:
        (folder / "modules.json").unlink()
    base, section = LocatedBase("base", folder, "folder"), BaseSection(max_seq_length=limit)
    reader, encoder = load_reader(base, section), load_encoder(base, section).model
    assert reader.max_seq_length == encoder.max_seq_length
    assert reader.tokenizer(TEXTS)["input_ids"] == encoder.tokenizer(TEXTS)["input_ids"]
    assert all(parameter.is_meta for parameter in reader.parameters())


def test_it_puts_texts_in_lower_case_where_the_encoder_does(folder: Path) -> None:
    module = Transformer(str(folder), do_lower_case=True, max_seq_length=9)
    SentenceTransformer(modules=[module], device="cpu").save(str(folder), create_model_card=False)
    base = LocatedBase("base", folder, "folder")
    reader, encoder = load_reader(base, BaseSection()), load_encoder(base, BaseSection()).model
    assert reader.max_seq_length == encoder.max_seq_length == 9
    assert reader.tokenizer(TEXTS)["input_ids"] == encoder.tokenizer(TEXTS)["input_ids"]


def test_what_would_be_random_is_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    del tensors["embeddings.LayerNorm.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"embeddings\.LayerNorm\.weight .* would be random"):
        load_reader(LocatedBase("base", folder, "folder"), BaseSection())


@pytest.mark.parametrize("name", ["tokenizer.json", "modules.json"])
def test_a_broken_file_is_an_error_with_a_fix(folder: Path, name: str) -> None:
    (folder / name).write_text("{broken", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_reader(LocatedBase("base", folder, "folder"), BaseSection())
