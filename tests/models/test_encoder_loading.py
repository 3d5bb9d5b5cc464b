"""Loading is never silent: what a damaged base folder leads to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from graft.config.sections import BaseSection
from graft.core.errors import ModelError
from graft.core.origins import Origin
from graft.models.encoder import add_identity_head, load_encoder, reinitialise
from graft.models.locate import LocatedBase, locate_base
from tiny_models import build_tiny_encoder


@pytest.fixture
def base(colour_encoder: Path, tmp_path: Path) -> LocatedBase:
    """A copy of the tiny encoder that a test may damage."""
    folder = tmp_path / "base"
    shutil.copytree(colour_encoder, folder)
    return LocatedBase("base", folder, "folder")


def edit(base: LocatedBase, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = base.folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


QUERY = "encoder.layer.0.attention.self.query.weight"


def test_a_whole_folder_loads_bit_for_bit(base: LocatedBase) -> None:
    report = load_encoder(base, BaseSection()).report
    assert report.missing == report.unexpected == ()
    assert all(tensor.origin is Origin.file and tensor.identical for tensor in report.tensors)
    assert report.parameters == sum(torch.Size(tensor.shape).numel() for tensor in report.tensors)


def test_a_missing_tensor_is_named_and_refused(base: LocatedBase) -> None:
    edit(base, lambda tensors: tensors.pop(QUERY))
    with pytest.raises(ModelError, match=rf"{QUERY} \[32, 32\] is in no file and would be random"):
        load_encoder(base, BaseSection())


def test_a_missing_tensor_can_be_allowed_and_is_then_new(base: LocatedBase) -> None:
    edit(base, lambda tensors: tensors.pop("pooler.dense.weight"))
    report = load_encoder(base, BaseSection(allow=("pooler",))).report
    assert report.missing == ("pooler.dense.weight",)
    assert [t.name for t in report.tensors if t.origin is Origin.new] == ["pooler.dense.weight"]


def test_a_tensor_of_another_shape_is_named_with_both_shapes(base: LocatedBase) -> None:
    edit(base, lambda tensors: tensors.update({QUERY: torch.zeros(16, 32)}))
    with pytest.raises(ModelError, match=r"has shape \[16, 32\], the model needs \[32, 32\]"):
        load_encoder(base, BaseSection())


def test_a_tensor_that_would_be_dropped_is_refused(base: LocatedBase) -> None:
    edit(base, lambda tensors: tensors.update({"classifier.weight": torch.zeros(2, 32)}))
    with pytest.raises(ModelError, match=r"classifier\.weight is in the file but not in the model"):
        load_encoder(base, BaseSection())
    allowed = load_encoder(base, BaseSection(allow=("classifier",))).report
    assert allowed.unexpected == ("classifier.weight",)


def test_every_problem_is_told_at_once(base: LocatedBase) -> None:
    def damage(tensors: dict[str, torch.Tensor]) -> None:
        tensors.pop(QUERY)
        tensors["extra"] = torch.zeros(1)

    edit(base, damage)
    with pytest.raises(ModelError) as caught:
        load_encoder(base, BaseSection())
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("prefix", ["bert.", "module."])
def test_a_prefix_is_taken_off_only_if_it_is_the_models(base: LocatedBase, prefix: str) -> None:
    path = base.folder / "model.safetensors"
    tensors = {f"{prefix}{name}": tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    if prefix == "bert.":
        assert load_encoder(base, BaseSection()).report.missing == ()
    else:
        with pytest.raises(ModelError, match="would be random"):
            load_encoder(base, BaseSection())


@pytest.mark.parametrize(
    ("file", "content", "part"),
    [
        ("model.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}", "cannot be read"),
        ("model.safetensors", None, "holds no"),
        ("config.json", b"{", "describes no known model"),
        ("config.json", b'{"model_type": "nothing"}', "describes no known model"),
    ],
)
def test_damaged_files_are_named(
    base: LocatedBase, file: str, content: bytes | None, part: str
) -> None:
    if content is None:
        (base.folder / file).unlink()
    else:
        (base.folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=part):
        load_encoder(base, BaseSection())


def test_a_truncated_file_is_refused(base: LocatedBase) -> None:
    path = base.folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cannot be read"):
        load_encoder(base, BaseSection())


def test_a_plain_transformers_folder_gets_mean_pooling(base: LocatedBase) -> None:
    for name in ("modules.json", "config_sentence_transformers.json"):
        (base.folder / name).unlink()
    shutil.rmtree(base.folder / "1_Pooling")
    shutil.rmtree(base.folder / "2_Normalize")
    model = load_encoder(base, BaseSection()).model
    assert model[1].pooling_mode == "mean"


def test_places_that_were_tried_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=r"is no folder .*not the embedded model.*the hub"):
        locate_base("nobody/nothing", tmp_path)


def test_the_embedded_model_is_found_and_its_hash_is_checked() -> None:
    located = locate_base("all-MiniLM-L6-v2")
    assert located.found == "embedded"


def test_a_folder_comes_before_the_embedded_model(base: LocatedBase, tmp_path: Path) -> None:
    shutil.copytree(base.folder, tmp_path / "all-MiniLM-L6-v2")
    assert locate_base("all-MiniLM-L6-v2", tmp_path).found == "folder"


def test_an_identity_head_changes_nothing(base: LocatedBase) -> None:
    model = load_encoder(base, BaseSection()).model
    before = model.encode(["red1 blue2", "green3"])
    assert add_identity_head(model) == "2"
    assert abs(model.encode(["red1 blue2", "green3"]) - before).max() < 1e-6


def test_the_random_control_keeps_nothing_of_the_base(base: LocatedBase) -> None:
    model = load_encoder(base, BaseSection()).model
    before = {n: p.clone() for n, p in model.named_parameters() if p.dim() > 1}
    reinitialise(model, seed=1)
    after = dict(model.named_parameters())
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_two_seeds_build_two_models(tmp_path: Path) -> None:
    first = build_tiny_encoder(tmp_path / "a", seed=1) / "model.safetensors"
    second = build_tiny_encoder(tmp_path / "b", seed=2) / "model.safetensors"
    assert first.read_bytes() != second.read_bytes()
    assert json.loads((first.parent / "config.json").read_text())["hidden_size"] == 32
