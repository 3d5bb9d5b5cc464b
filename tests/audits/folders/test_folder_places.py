"""What lies in a place, and what is said when it is no model."""

from __future__ import annotations

import gzip
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import diagnosis_models as models
from diagnosis_models import causes, status
from graft.audits.folders.places import Kind, open_place
from graft.core.errors import ModelError
from graft.core.findings import Status


def test_every_kind_is_recognised(folders, tmp_path):
    kinds = {
        folders.body: Kind.transformers,
        folders.encoder: Kind.sentence_transformers,
        folders.lora: Kind.adapter,
        folders.body / "model.safetensors": Kind.weights,
        models.state_dict_of(folders.body, tmp_path / "a.pth"): Kind.weights,
    }
    assert {place: open_place(place).kind for place in kinds} == kinds


def test_tensors_are_read_as_they_lie_in_the_file(folders):
    held = load_file(folders.body / "model.safetensors")
    place = open_place(folders.body)
    assert set(place.tensors) == set(held)
    for name, stored in place.tensors.items():
        assert torch.equal(stored.read(), held[name])
        assert (stored.shape, stored.count) == (tuple(held[name].shape), held[name].numel())


def test_a_checkpoint_inside_is_no_part_of_the_model(folders, tmp_path):
    models.copied(folders.body, tmp_path / "out")
    models.copied(folders.tuned_body, tmp_path / "out" / "checkpoint-500")
    assert set(open_place(tmp_path / "out").tensors) == set(open_place(folders.body).tensors)


def test_old_names_of_a_layer_norm_are_read_as_those_of_today(folders, tmp_path):
    tensors = load_file(folders.body / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    save_file(old, tmp_path / "old.safetensors")
    assert set(open_place(tmp_path / "old.safetensors").tensors) == set(tensors)


def packed(folders, folder):
    (folder / "model.pt.gz").write_bytes(gzip.compress(b"weights"))
    return folder / "model.pt.gz"


def truncated(folders, folder):
    whole = (folders.body / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    return folder / "model.safetensors"


def torn(folders, folder):
    models.state_dict_of(folders.body, folder / "a.pt")
    (folder / "a.pt").write_bytes((folder / "a.pt").read_bytes()[:5000])
    return folder / "a.pt"


def a_whole_module(folders, folder):
    torch.save(torch.nn.Linear(2, 2), folder / "module.pt")
    return folder / "module.pt"


def no_tensors(folders, folder):
    torch.save({"epoch": 3}, folder / "state.pt")
    return folder / "state.pt"


def only_checkpoints(folders, folder):
    models.copied(folders.body, folder / "checkpoint-10")
    return folder


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (packed, "format that is not read"),
        (truncated, "cannot be read as safetensors"),
        (torn, "cannot be read as a state dict"),
        (a_whole_module, "save the state dict alone"),
        (no_tensors, "without tensors"),
        (only_checkpoints, "one of the models in it: checkpoint-10"),
        (lambda folders, folder: folder, "holds no weight file"),
        (lambda folders, folder: folder / "none", "does not exist"),
    ],
)
def test_what_is_no_model_is_refused_with_what_to_do(folders, tmp_path, make, words):
    with pytest.raises(ModelError, match=words) as caught:
        open_place(make(folders, tmp_path))
    assert all(problem.fix for problem in caught.value.problems)


def test_a_broken_config_is_refused(folders, tmp_path):
    models.copied(folders.body, tmp_path / "tuned")
    (tmp_path / "tuned" / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="is no JSON"):
        open_place(tmp_path / "tuned")


@pytest.fixture
def sharded(folders, tmp_path):
    """The tuned language model in several shards."""
    model = models.load(models.LANGUAGE, folders.tuned_language)
    with models.quiet_transformers():
        model.save_pretrained(tmp_path / "tuned", max_shard_size="20KB")
    models.tokenizer().save_pretrained(tmp_path / "tuned")
    return tmp_path / "tuned"


def test_a_missing_shard_is_a_finding_and_names_it(folders, look, sharded):
    lost = sorted(sharded.glob("*.safetensors"))[-1]
    lost.unlink()
    found = look(folders.language, sharded)
    assert causes(found)[0] == "half_written"
    assert lost.name in found.causes[0].evidence


def test_a_missing_shard_is_seen_without_an_index(folders, look, sharded):
    sorted(sharded.glob("*.safetensors"))[-1].unlink()
    (sharded / "model.safetensors.index.json").unlink()
    assert causes(look(folders.language, sharded))[0] == "half_written"


def test_a_tensor_that_the_index_places_elsewhere_is_a_finding(folders, look, sharded):
    index = sharded / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["model.layers.7.mlp.weight"] = next(iter(content["weight_map"].values()))
    index.write_text(json.dumps(content))
    found = look(folders.language, sharded)
    assert status(found, "files_whole") == Status.failed
