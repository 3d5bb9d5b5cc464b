"""Two folders, tensor by tensor: names, shapes, formats, and what is expected of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from graft.audits.frozen import FrozenReport, Movement, compare_folders, violations
from graft.core.errors import InputError, ModelError
from graft.core.jsonable import from_plain, to_plain

NAMES = ("embeddings.weight", "layer.0.query.weight", "layer.0.query.bias", "layer.1.query.weight")


def tensors(prefix=""):
    generator = torch.Generator().manual_seed(1)
    return {f"{prefix}{name}": torch.randn(3, 4, generator=generator) for name in NAMES}


def save(folder: Path, content: dict[str, torch.Tensor]) -> Path:
    folder.mkdir(parents=True)
    save_file(content, folder / "model.safetensors")
    return folder


@pytest.fixture
def base(tmp_path):
    return save(tmp_path / "base", tensors())


def movements(report):
    return {tensor.name: tensor.movement for tensor in report.tensors}


def test_a_copy_is_frozen_through_and_through(base):
    report = compare_folders(base, base)
    assert (report.updated, report.frozen) == (0, 4)
    assert {module.movement for module in report.modules} == {Movement.frozen}
    assert all(t.changed_share == t.relative_change == 0 for t in report.tensors)
    assert from_plain(FrozenReport, to_plain(report)) == report


@given(st.sets(st.sampled_from(NAMES)))
def test_exactly_what_changed_is_updated(tmp_path_factory, changed):
    folder = tmp_path_factory.mktemp("frozen")
    after = {name: t + (name in changed) for name, t in tensors().items()}
    report = compare_folders(save(folder / "base", tensors()), save(folder / "tuned", after))
    assert {name for name, m in movements(report).items() if m == Movement.updated} == changed
    for module in report.modules:
        own = [name for name in NAMES if name.rpartition(".")[0] == module.name]
        assert module.tensors == len(own)
        assert module.updated == len(changed.intersection(own))


def test_one_element_is_enough(base, tmp_path):
    after = tensors()
    after["embeddings.weight"][0, 0] += 1e-6
    [tensor] = [
        t for t in compare_folders(base, save(tmp_path / "t", after)).tensors
        if t.movement == Movement.updated
    ]  # fmt: skip
    assert tensor.changed_share == pytest.approx(1 / 12)
    assert 0 < tensor.relative_change < 1e-5


@pytest.mark.parametrize("prefix", ["bert.", "model.", "0.auto_model."])
def test_prefixes_do_not_matter(base, tmp_path, prefix):
    report = compare_folders(base, save(tmp_path / "t", tensors(prefix)))
    assert report.frozen == 4
    assert not report.missing
    assert not report.new
    assert violations(report, frozen=[f"{prefix}layer.0"]) == ()


def test_missing_new_and_reshaped_tensors_are_named(base, tmp_path):
    after = tensors()
    del after["embeddings.weight"]
    after["head.weight"] = torch.zeros(2)
    after["layer.0.query.bias"] = torch.zeros(5)
    report = compare_folders(base, save(tmp_path / "t", after))
    assert report.missing == ("embeddings.weight",)
    assert report.new == ("head.weight",)
    assert report.mismatched == ("layer.0.query.bias: [3, 4] and [5]",)
    assert len(report.tensors) == 2


def test_another_number_format_is_no_update(base, tmp_path):
    half = {name: tensor.bfloat16() for name, tensor in tensors().items()}
    report = compare_folders(base, save(tmp_path / "t", half))
    assert report.updated == 0
    assert report.converted[0].endswith("float32 and bfloat16")


def test_nan_is_equal_to_itself_and_new_nan_is_an_update(tmp_path):
    before = tensors()
    before["embeddings.weight"][0, 0] = float("nan")
    place = save(tmp_path / "b", before)
    assert compare_folders(place, place).updated == 0
    report = compare_folders(save(tmp_path / "c", tensors()), place)
    assert movements(report)["embeddings.weight"] == Movement.updated
    to_plain(report)


def test_module_folders_of_sentence_transformers_count(base, tmp_path):
    for name, value in (("one", 0.0), ("two", 1.0)):
        folder = save(tmp_path / name, tensors())
        dense = save(folder / "2_Dense", {"linear.weight": torch.full((2, 2), value)})
        (dense / "config.json").write_text("{}", encoding="utf-8")
    report = compare_folders(tmp_path / "one", tmp_path / "two")
    assert movements(report)["2_Dense.linear.weight"] == Movement.updated
    assert report.updated == 1


def test_a_file_does_too(base):
    assert compare_folders(base / "model.safetensors", base).frozen == 4


def test_expectations_name_every_tensor_that_breaks_them(base, tmp_path):
    after = tensors()
    after["layer.0.query.weight"] += 1
    report = compare_folders(base, save(tmp_path / "t", after))
    assert violations(report, ["embeddings"], ["layer.0.query.weight"]) == ()
    assert len(violations(report, ["layer.0"], ["layer.1", "embeddings"])) == 3


def test_patterns_that_match_nothing_are_all_refused(base):
    report = compare_folders(base, base)
    with pytest.raises(InputError) as caught:
        violations(report, ["layer.7"], ["layer.8"])
    assert len(caught.value.problems) == 2


def test_folders_that_cannot_be_compared(base, tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        compare_folders(base, tmp_path / "none")
    with pytest.raises(ModelError, match="shares no tensor name"):
        compare_folders(base, save(tmp_path / "other", {"a.b": torch.zeros(1)}))
    adapter = {"base_model.model.layer.0.query.lora_A.weight": torch.zeros(1, 4)}
    with pytest.raises(ModelError, match="merge it into its base"):
        compare_folders(base, save(tmp_path / "adapter", adapter))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\xff" * 20)
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        compare_folders(broken, base)
