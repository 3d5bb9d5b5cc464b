"""A base model that is not whole: the tensor or file is named, exit 3, nothing is trained."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

TENSOR = "encoder.layer.1.output.dense.weight"


@pytest.fixture
def broken(tmp_path, tiny_encoder):
    """A copy of the tiny encoder to be damaged."""
    folder = tmp_path / "broken"
    shutil.copytree(tiny_encoder, folder)
    return folder


def change(folder, edit):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def refused(graft, recipe, base, runs):
    answer = graft("run", recipe, "--set", f"base.model={base}", "--runs", runs)
    assert answer.code == 3, answer.stderr
    assert not answer.stdout
    assert not runs.exists()
    return answer.stderr


def test_a_missing_tensor_is_named(graft, recipe, broken, tmp_path):
    change(broken, lambda tensors: tensors.pop(TENSOR))
    said = refused(graft, recipe, broken, tmp_path / "runs")
    assert TENSOR in said
    assert "in no file" in said


def test_a_wrong_shape_is_named(graft, recipe, broken, tmp_path):
    change(broken, lambda tensors: tensors.update({TENSOR: torch.zeros(3, 3)}))
    said = refused(graft, recipe, broken, tmp_path / "runs")
    assert TENSOR in said
    assert "[3, 3]" in said


def test_a_left_over_tensor_is_named(graft, recipe, broken, tmp_path):
    change(broken, lambda tensors: tensors.update({"extra.weight": torch.zeros(2)}))
    assert "extra.weight" in refused(graft, recipe, broken, tmp_path / "runs")


def test_truncated_safetensors_are_refused(graft, recipe, broken, tmp_path):
    path = broken / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    said = refused(graft, recipe, broken, tmp_path / "runs")
    assert "model.safetensors" in said
    assert "cannot be read" in said


def test_no_weights_are_refused(graft, recipe, broken, tmp_path):
    (broken / "model.safetensors").unlink()
    assert "holds no *.safetensors" in refused(graft, recipe, broken, tmp_path / "runs")


def test_a_broken_config_is_refused(graft, recipe, broken, tmp_path):
    (broken / "config.json").write_text(json.dumps({"model_type": "nothing"}), encoding="utf-8")
    assert "config.json" in refused(graft, recipe, broken, tmp_path / "runs")


def test_a_folder_without_a_model_is_refused(graft, recipe, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "config.json" in refused(graft, recipe, empty, tmp_path / "runs")
