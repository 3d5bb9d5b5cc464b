"""Encoders of series on disk: where each tensor is from, what is refused, what is fitted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from graft.config.sections import ArmSection, BaseSection
from graft.config.series import EncoderSection
from graft.core.errors import ModelError
from graft.core.facts import RowFacts
from graft.core.files import sha256_file
from graft.core.origins import Origin
from graft.models.locate import LocatedBase, locate_base
from graft.models.series import modeling_series
from graft.models.series.building import fit_scaler, new_encoder, series_config
from graft.models.series.folders import (
    code_hash,
    load_series_classifier,
    load_series_encoder,
    save_series,
)
from graft.models.series.modeling_series import SeriesClassifier
from graft.tasks.series import SeriesTask
from series_models import build_series_encoder, wave_facts, wave_rows

ROWS = wave_rows(24, 3)
ARM: dict[str, Any] = {"loss": "cross_entropy"}


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_series_encoder(tmp_path_factory.mktemp("encoder"))


def built(base: Path, **arm: Any) -> tuple[SeriesClassifier, Any]:
    section = ArmSection.model_validate({**ARM, **arm})
    model, report = SeriesTask(wave_facts()).build(section, located(base), 7, ROWS)
    assert isinstance(model, SeriesClassifier)
    return model, report


def located(folder: Path) -> LocatedBase:
    return locate_base(str(folder))


def test_every_tensor_of_the_encoder_is_from_the_file_bit_for_bit(saved: Path) -> None:
    encoder, report = load_series_encoder(located(saved), BaseSection())
    assert {t.name.removeprefix("encoder.") for t in report.tensors} == set(encoder.state_dict())
    assert all(t.origin == Origin.file and t.identical for t in report.tensors)
    assert report.files == {"model.safetensors": sha256_file(saved / "model.safetensors")}
    assert not encoder.training


def test_without_pretraining_nothing_is_of_the_base_but_its_shape(saved: Path) -> None:
    pretrained, _ = built(saved)
    fresh, report = built(saved, control="random_init")
    assert {tensor.origin for tensor in report.tensors} == {Origin.new}
    assert fresh.config.to_dict() == pretrained.config.to_dict()
    assert not torch.equal(fresh.encoder.embedding.weight, pretrained.encoder.embedding.weight)
    values = np.concatenate(list(ROWS["series"]))
    center = torch.from_numpy(np.nanmean(values, axis=0))
    torch.testing.assert_close(fresh.encoder.scaler.center, center, rtol=1e-4, atol=1e-5)
    assert torch.equal(fresh.head.weight, pretrained.head.weight)


@pytest.mark.parametrize("pooling", ["base", "mean", "last", "attention"])
def test_the_arm_pools_as_it_says(saved: Path, pooling: str) -> None:
    model, report = built(saved, classifier={"pooling": pooling})
    assert model.config.pooling == ("mean" if pooling == "base" else pooling)
    new = {t.name for t in report.tensors if t.origin == Origin.new}
    own = {"pooling.score.weight"} if pooling == "attention" else set()
    assert new == {"head.weight", "head.bias", *own}


def _edited(saved: Path, folder: Path, edit: Callable[[dict[str, Any]], Any]) -> LocatedBase:
    copy = Path(shutil.copytree(saved, folder / "copy"))
    tensors = load_file(copy / "model.safetensors")
    edit(tensors)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    return located(copy)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t.pop("norm.weight"), "norm.weight .* is in no file and would be random"),
        (lambda t: t.update({"extra": torch.ones(2)}), "extra is in the file but not in the model"),
        (
            lambda t: t.update({"norm.weight": torch.ones(3)}),
            r"norm.weight has shape \[3\], the model needs \[16\]",
        ),
        (lambda t: t.pop("scaler.center"), "scaler.center"),
    ],
)
def test_a_tensor_that_is_missing_or_left_over_is_an_error(
    saved: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], Any], words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        load_series_encoder(_edited(saved, tmp_path, edit), BaseSection())


def test_what_the_recipe_allows_is_said_and_loaded(saved: Path, tmp_path: Path) -> None:
    base = _edited(saved, tmp_path, lambda t: t.update({"extra": torch.ones(2)}))
    _, report = load_series_encoder(base, BaseSection(allow=("extra",)))
    assert report.unexpected == ("encoder.extra",)
    assert report.allowed == ("extra",)


def test_a_classifier_is_a_base_if_its_head_may_go(saved: Path, tmp_path: Path) -> None:
    model, _ = built(saved)
    save_series(model, tmp_path / "model")
    with pytest.raises(ModelError, match=r"head.weight is in the file but not in the model"):
        load_series_encoder(located(tmp_path / "model"), BaseSection())
    allowed = BaseSection(allow=("head",))
    encoder, report = load_series_encoder(located(tmp_path / "model"), allowed)
    assert torch.equal(encoder.embedding.weight, model.encoder.embedding.weight)
    assert all(t.identical for t in report.tensors)


def test_the_folder_of_another_model_is_refused(colour_encoder: Path, saved: Path) -> None:
    with pytest.raises(ModelError, match="model of type 'bert', not 'graft_series'"):
        load_series_encoder(located(colour_encoder), BaseSection())
    with pytest.raises(ModelError, match="holds an encoder without a head"):
        load_series_classifier(saved)


def test_a_config_of_no_known_kind_is_refused(saved: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(saved, tmp_path / "copy"))
    plain = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**plain, "kind": "perceptron"}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_series_encoder(located(copy), BaseSection())


@pytest.mark.parametrize(
    ("channels", "fits"),
    [
        (("wave", "walk"), True),
        (("channel_1", "channel_2"), True),
        (("walk", "wave"), False),
        (("wave", "walk", "run"), False),
        (("channel_1",), False),
    ],
)
def test_channels_are_those_of_the_base_in_their_order(
    saved: Path, channels: tuple[str, ...], fits: bool
) -> None:
    task = SeriesTask(RowFacts(classes=wave_facts().classes, channels=channels))
    section = ArmSection.model_validate(ARM)
    if fits:
        task.build(section, located(saved), 7, ROWS)
        return
    with pytest.raises(ModelError, match=r"reads the channels \['wave', 'walk'\], the rows have"):
        task.build(section, located(saved), 7, ROWS)


def test_the_saved_code_is_the_code_that_computes(saved: Path, tmp_path: Path) -> None:
    code = Path(modeling_series.__file__)
    assert (saved / code.name).read_bytes() == code.read_bytes()
    assert code_hash(saved) == code_hash()
    assert code_hash(tmp_path) == "missing"
    copy = Path(shutil.copytree(saved, tmp_path / "copy"))
    (copy / code.name).write_text("raise RuntimeError('code of a folder is never run')\n")
    load_series_encoder(located(copy), BaseSection())
    assert code_hash(copy) != code_hash()


def test_saving_twice_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = build_series_encoder(tmp_path / "again")
    for file in saved.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.mark.parametrize("kind", ["channel", "robust", "series", "none"])
def test_normalisation_is_fitted_to_what_is_there(kind: str) -> None:
    section = EncoderSection(normalisation=kind, width=8)
    encoder = new_encoder(series_config(section, ("a", "b", "c")), [np.zeros((1, 3))], seed=1)
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(5, 2, 4000), np.full(4000, 3.0), np.full(4000, np.nan)], axis=1)
    values[:10, 0] = np.nan
    values[10:200, 0] = 500.0  # outliers, which only the robust one passes over
    fit_scaler(encoder, [values[:1000], values[1000:]])
    center, scale = encoder.scaler.center.tolist(), encoder.scaler.scale.tolist()
    if kind in ("series", "none"):
        assert (center, scale) == ([0, 0, 0], [1, 1, 1])
        return
    assert (center[1:], scale[1:]) == ([3, 0], [1, 1])
    if kind == "robust":
        assert center[0] == pytest.approx(5, abs=0.3)
        assert scale[0] == pytest.approx(2, rel=0.2)
    else:
        assert center[0] == pytest.approx(float(np.nanmean(values[:, 0])), rel=1e-5)
        assert scale[0] == pytest.approx(float(np.nanstd(values[:, 0])), rel=1e-5)
