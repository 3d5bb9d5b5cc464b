"""What every kind of task promises to the loop, the evaluation and the audits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from graft.config.sections import ArmSection
from graft.core.origins import Origin
from graft.evaluate.predictions import predict
from graft.models.embedding import plain_passes
from graft.models.feature_files import FeaturePlace
from graft.models.features import FeatureStore
from graft.models.freeze import assign_groups
from graft.models.locate import LocatedBase, locate_base
from graft.tasks.classification import ClassificationTask
from graft.tasks.pairs import PairsTask
from graft.tasks.protocol import Task
from graft.tasks.series import SeriesTask
from graft.train.modes import named_parameters, tied_names, unused_names
from series_models import build_series_encoder, wave_facts, wave_rows
from tiny_models import colour_facts, colour_pairs, colour_rows


@dataclass(frozen=True)
class Case:
    """A task with rows that it can learn from, and the arm that reads them."""

    name: str
    task: Task
    rows: pd.DataFrame
    arm: dict[str, Any] = field(default_factory=dict)
    encoder: str = "text"

    def section(self, **more: Any) -> ArmSection:
        return ArmSection.model_validate({**self.arm, **more})


def _pairs() -> pd.DataFrame:
    return colour_pairs(24, 3).assign(row=lambda frame: frame.index.astype(str))


def _classes(name: str, classes: int = 2, **classifier: Any) -> Case:
    arm = {"loss": "cross_entropy", "classifier": classifier}
    task = ClassificationTask(colour_facts(classes))
    return Case(name, task, colour_rows(24, 3, classes), arm)


def _series(kind: str, classes: int = 3, **classifier: Any) -> Case:
    arm = {"loss": "cross_entropy", "classifier": classifier}
    task = SeriesTask(wave_facts(classes))
    return Case(f"series, {kind}", task, wave_rows(24, 3, classes), arm, kind)


# Texts are read by encoders that take adapters and whose outputs can be stored.
OF_TEXTS = (
    Case("pairs", PairsTask(), _pairs()),
    _classes("joint"),
    _classes("joint, three classes", 3),
    _classes("cls", pooling="cls"),
    _classes("towers", texts="towers"),
    _classes("table", 3, table=True, class_weight="balanced"),
    _classes("towers and table", texts="towers", table=True, label_smoothing=0.1),
)
OF_SERIES = (
    _series("lstm", pooling="last"),
    _series("gru", 2, pooling="attention", label_smoothing=0.1),
    _series("tcn", class_weight="balanced"),
    _series("transformer", 2),
)
METHODS = [
    *((case, method) for case in OF_TEXTS for method in ("full", "lora", "head")),
    *((case, method) for case in OF_SERIES for method in ("full", "head")),
]
each_case = pytest.mark.parametrize("case", (*OF_TEXTS, *OF_SERIES), ids=lambda case: case.name)
each_text = pytest.mark.parametrize("case", OF_TEXTS, ids=lambda case: case.name)
each_method = pytest.mark.parametrize(
    ("case", "method"), METHODS, ids=[f"{case.name}, {method}" for case, method in METHODS]
)


@pytest.fixture(scope="session")
def bases(
    colour_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], LocatedBase]:
    """Return the base that a case reads its rows with."""

    @cache
    def base(encoder: str) -> LocatedBase:
        if encoder == "text":
            return locate_base(str(colour_encoder))
        folder = tmp_path_factory.mktemp(encoder)
        return locate_base(str(build_series_encoder(folder, encoder)))

    return base


@pytest.fixture
def base(case: Case, bases: Callable[[str], LocatedBase]) -> LocatedBase:
    return bases(case.encoder)


def _built(case: Case, base: LocatedBase, **more: Any) -> nn.Module:
    """Return the model of the case, its trainable new parts moved off their first values."""
    model, _ = case.task.build(case.section(**more), base, 7, case.rows)
    with torch.no_grad():
        for index, (name, parameter) in enumerate(model.named_parameters()):
            if "lora_B" in name or name in case.task.new_head(model, case.section(**more)):
                drawn = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index))
                parameter.add_(drawn, alpha=0.03)
    model.eval()
    return model


def _loss(case: Case, model: nn.Module, part: Any) -> tuple[float, int, dict[str, torch.Tensor]]:
    """Return the loss of the examples, their units, and the gradient of what they reach."""
    model.zero_grad(set_to_none=True)
    loss, units = case.task.loss(model, case.task.collate(part), case.section())
    torch.autograd.backward(loss)
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return float(loss.detach()), units, gradients


@each_case
def test_a_rowwise_loss_has_the_same_sum_and_gradient_however_it_is_divided(
    case: Case, base: LocatedBase
) -> None:
    model = _built(case, base)
    assert case.task.rowwise(case.section())
    examples = list(case.task.prepare(case.rows, model))
    whole, units, gradient = _loss(case, model, examples)
    parts = [_loss(case, model, examples[a:b]) for a, b in ((0, 1), (1, 14), (14, 24))]
    assert units == sum(part[1] for part in parts) == len(case.rows)
    assert whole == pytest.approx(sum(part[0] for part in parts), rel=1e-5)
    for name, expected in gradient.items():
        summed = sum(part[2][name] for part in parts if name in part[2])
        torch.testing.assert_close(summed, expected, rtol=1e-3, atol=1e-4)


@each_case
def test_predictions_are_one_entry_a_row_and_do_not_depend_on_the_batch(
    case: Case, base: LocatedBase
) -> None:
    model = _built(case, base)
    examples = case.task.prepare(case.rows, model)
    together = predict(case.task, model, examples, 24)
    alone = predict(case.task, model, examples, 1)
    with plain_passes():
        padded = predict(case.task, model, examples, 24)
    for name, values in together.items():
        assert values.shape == (len(case.rows),)
        np.testing.assert_allclose(values, alone[name], atol=1e-5)
        np.testing.assert_allclose(values, padded[name], atol=1e-5)


@pytest.mark.parametrize("method", ["full", "head"])
@each_case
def test_a_saved_folder_predicts_and_reads_as_the_model_in_memory(
    case: Case, base: LocatedBase, tmp_path: Path, method: str
) -> None:
    model = _built(case, base, method=method)
    examples = case.task.prepare(case.rows, model)
    expected = predict(case.task, model, examples, 24)
    case.task.save(model, tmp_path / "model")
    served = case.task.predict_folder(tmp_path / "model", case.rows, None)
    _agree(case, served, expected)
    reading = case.task.reading(model, examples)
    assert case.task.served_reading(tmp_path / "model", case.rows) == reading


def _agree(case: Case, served: Any, expected: dict[str, Any]) -> None:
    plain = {name: values for name, values in served.items() if values.ndim == 1}
    assert set(plain) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(plain[name], values, atol=1e-5)
    embeddings = {name: values for name, values in served.items() if values.ndim == 2}
    assert set(case.task.embedded) <= set(embeddings)
    assert all(len(values) == len(case.rows) for values in embeddings.values())


@each_text
def test_an_adapter_beside_the_base_and_one_merged_into_it_predict_the_same(
    case: Case, base: LocatedBase, tmp_path: Path
) -> None:
    model = _built(case, base, method="lora")
    examples = case.task.prepare(case.rows, model)
    expected = predict(case.task, model, examples, 24)
    case.task.save_adapter(model, tmp_path / "adapter", base)
    _agree(case, case.task.predict_folder(base.folder, case.rows, tmp_path / "adapter"), expected)
    merged = case.task.merge(case.section(method="lora"), base, tmp_path / "adapter")
    _agree(case, _with_embeddings(case, predict(case.task, merged, examples, 24)), expected)
    case.task.save(merged, tmp_path / "model")
    _agree(case, case.task.predict_folder(tmp_path / "model", case.rows, None), expected)


def _with_embeddings(case: Case, columns: dict[str, Any]) -> dict[str, Any]:
    return {**columns, **dict.fromkeys(case.task.embedded, np.zeros((len(case.rows), 1)))}


@each_method
def test_the_load_report_names_every_tensor_and_only_new_parts_are_new(
    case: Case, base: LocatedBase, method: str
) -> None:
    section = case.section(method=method)
    model, report = case.task.build(section, base, 7, case.rows)
    names = set(named_parameters(model))
    assert names <= {tensor.name.replace(".base_layer.", ".") for tensor in report.tensors} | names
    new = {tensor.name for tensor in report.tensors if tensor.origin == Origin.new}
    head = case.task.new_head(model, section)
    assert head <= new
    assert all("lora_" in name or name in head for name in new)
    assert all(t.identical for t in report.tensors if t.origin == Origin.file)


@each_method
def test_what_is_trained_is_what_the_method_says(
    case: Case, base: LocatedBase, method: str
) -> None:
    section = case.section(method=method)
    model, _ = case.task.build(section, base, 7, case.rows)
    head = case.task.new_head(model, section)
    probe = case.task.collate(case.task.prepare(case.rows[1:3], model))
    unused = unused_names(case.task, model, section, probe)
    groups = assign_groups(section, named_parameters(model), tied_names(model), head, unused)
    trained = {tensor.name for tensor in groups.tensors if tensor.joins is not None}
    adapter = {name for name in named_parameters(model) if "lora_" in name}
    expected = {
        "full": set(named_parameters(model)) - unused,
        "lora": adapter | head,
        "head": set(head),
    }
    assert trained == expected[method]


@each_text
def test_the_outputs_of_a_frozen_encoder_are_stored_and_give_the_same(
    case: Case, base: LocatedBase, tmp_path: Path
) -> None:
    model = _built(case, base, method="head")
    head = case.task.new_head(model, case.section())
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in head)
    examples = case.task.prepare(case.rows, model)
    store = case.task.store_frozen(model, examples, FeaturePlace(tmp_path / "f", "fp32", 10**9))
    assert isinstance(store, FeatureStore)
    assert store.record.prefix == "the whole backbone"
    calls = 0

    def counted(*_: Any) -> None:
        nonlocal calls
        calls += 1

    expected = predict(case.task, model, examples, 24)
    handle = model[0].register_forward_hook(counted)
    with store.active():
        found = predict(case.task, model, examples, 24)
    handle.remove()
    assert calls == 0
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)


@each_case
def test_the_census_counts_every_row_once(case: Case, base: LocatedBase) -> None:
    model = _built(case, base)
    examples = case.task.prepare(case.rows, model)
    census = case.task.supervision(examples, model)
    assert census.rows == census.units == sum(census.labels.values()) == len(case.rows)
    assert census.tokens == sum(map(case.task.tokens, examples))
    assert (census.rows_without_loss, census.empty_rows, census.truncated_rows) == (0, 0, 0)
