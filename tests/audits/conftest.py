"""A healthy tiny run of each method, written to files and read back as evidence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from graft.audits.evidence import (
    DataEvidence,
    RunEvidence,
    read_data_evidence,
    read_evidence,
)
from graft.core.experiment import ExperimentIndex, RunEntry
from graft.core.files import append_jsonl, sha256_file, sha256_text, write_json
from graft.core.layout import ExperimentPaths, RunPaths
from graft.core.ledger import FeatureRecord, Ledger, PhaseRecord, TensorRecord
from graft.core.options import OptionInForce, OptionUse
from graft.core.origins import LoadReport, Origin, TensorOrigin
from graft.core.plan import PlannedGroup, PlannedPhase, PlannedTensor, ResolvedPlan
from graft.core.probes import (
    AccumulationProbe,
    Gap,
    GradientProbe,
    Probes,
    Reading,
    Spread,
)
from graft.core.roles import Role, Split
from graft.core.supervision import Supervision
from graft.core.tables import DataReport, LeakageReport, SplitReport, TableColumn

TRAIN, TEST, STEPS = 20, 24, 4  # as many validation rows as test rows
BASE = {
    "embeddings.word_embeddings.weight": (10, 4),
    "embeddings.LayerNorm.weight": (4,),
    "encoder.layer.0.attention.self.query.weight": (4, 4),
    "encoder.layer.0.attention.self.value.weight": (4, 4),
    "encoder.layer.1.attention.self.query.weight": (4, 4),
    "encoder.layer.1.attention.self.value.weight": (4, 4),
}
ADAPTED = [name.removesuffix(".weight") for name in BASE if "self" in name]
SCALE = 2.0


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a folder with a healthy experiment of a method, or without an arm; made once each."""

    @cache
    def make(method: str) -> Path:
        folder = tmp_path_factory.mktemp(f"healthy-{method}")
        paths = _experiment(folder)
        if method:
            _write_arm(paths, folder / "base", "tuned", method, seed=1)
            _write_arm(paths, folder / "base", "other", "full", seed=2)
        return folder

    return make


@pytest.fixture
def experiment(written: Callable[[str], Path], tmp_path: Path) -> ExperimentPaths:
    """An experiment with data and base predictions, but no arm yet."""
    shutil.copytree(written(""), tmp_path, dirs_exist_ok=True)
    return ExperimentPaths(tmp_path / "demo")


def _experiment(folder: Path) -> ExperimentPaths:
    paths = ExperimentPaths(folder / "demo")
    write_json(paths.data_report, _data_report())
    sizes = {"train": TRAIN, "validation": TEST, "test": TEST}
    names = [f"{split}:{i}" for split, rows in sizes.items() for i in range(rows)]
    splits = pd.DataFrame({"row": names, "split": [name.split(":")[0] for name in names]})
    splits.to_parquet(paths.splits)
    _predict(paths, "base", seed=0)
    write_json(paths.run("base").spread, Spread(24, 0.4, 8.0, 16))
    write_json(paths.options, OptionUse(("seed",), (), ()))
    entries = [RunEntry(name, Role.arm, name, trained=True) for name in ("tuned", "other")]
    index = ExperimentIndex(
        "demo", "pairs", "tiny", "base", "spearman", 1, tuple(entries), (), "", {}, ""
    )
    write_json(paths.index, index)
    return paths


@pytest.fixture
def healthy(
    experiment: ExperimentPaths, written: Callable[[str], Path], tmp_path: Path
) -> Callable[[str], RunEvidence]:
    """Return the evidence of a healthy run by its method, beside a second healthy arm."""

    def make(method: str) -> RunEvidence:
        shutil.copytree(written(method), tmp_path, dirs_exist_ok=True)
        return read_evidence(experiment, "tuned", tmp_path / "base", spearman, method)

    return make


@pytest.fixture
def healthy_data(
    experiment: ExperimentPaths, healthy: Callable[[str], RunEvidence]
) -> DataEvidence:
    """The evidence on the rows after two healthy arms."""
    healthy("full")
    return read_data_evidence(experiment)


def spearman(frame: pd.DataFrame) -> float | None:
    return float(frame["score"].rank().corr(frame["label"].rank()))


def _data_report() -> DataReport:
    def split(name: str, rows: int) -> SplitReport:
        return SplitReport(name, rows, (f"{name}.jsonl",), 0, 0, (), {}, {}, (), sha256_text(name))

    policy = ("exact", "group")
    leakage = tuple(
        LeakageReport(name, TEST, 0, 0, 0, 3, 0, None, None, (), TEST, policy)
        for name in ("test", "validation")
    )
    splits = (split("train", TRAIN), split("validation", TEST), split("test", TEST))
    # Pairs read no table; with one, every check of the data has something to look at.
    table = (TableColumn("age", "number", TRAIN, 12, False, 0.6),)
    return DataReport(splits, leakage, "by file", {"label": "label"}, (), table=table)


def _predict(
    paths: ExperimentPaths,
    run: str,
    seed: int,
    kind: str = "predictions",
    split: Split = Split.test,
) -> pd.DataFrame:
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, TEST)
    frame = pd.DataFrame({"row": [f"{split}:{i}" for i in range(TEST)]})
    frame["label"] = [float(i % 2) for i in range(TEST)]
    frame["score"] = 0.6 * frame["label"] + noise + (1e-7 if kind == "in_memory" else 0)
    frame["threshold"] = 0.123
    target = getattr(paths.run(run), kind)(split)
    target.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(target)
    return frame


def _write_arm(paths: ExperimentPaths, base: Path, run: str, method: str, seed: int) -> None:
    files = paths.run(run)
    _write_weights(base, files.root, method, seed)
    plan = _plan(method)
    write_json(files.plan, plan)
    write_json(files.load, _load(base, method))
    write_json(files.ledger, _ledger(plan))
    for step in range(1, 2 * STEPS + 1):
        append_jsonl(files.history, {"step": step, "loss": 1.0 / step})
    validated = _predict(paths, run, seed + 100, split=Split.validation)
    metrics = {"validation_spearman": spearman(validated)}
    append_jsonl(files.history, {"step": 2 * STEPS, "metrics": metrics})
    _write_probes(files, method, seed)
    _predict(paths, run, seed)
    _predict(paths, run, seed, "in_memory")
    if method == "lora":
        _predict(paths, run, seed, "of_adapter")


def _write_weights(base: Path, root: Path, method: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in BASE.items()}
    base.mkdir(exist_ok=True)
    positions = {"embeddings.position_ids": torch.arange(5)}
    save_file(tensors | positions, base / "model.safetensors")
    generator.manual_seed(seed)
    adapter: dict[str, torch.Tensor] = {}
    for name, value in list(tensors.items()):
        module = name.removesuffix(".weight")
        if method == "full":
            tensors[name] = value + torch.randn(value.shape, generator=generator)
        elif method == "lora" and module in ADAPTED:
            a, b = torch.randn(2, 4, generator=generator), torch.randn(4, 2, generator=generator)
            adapter[f"base_model.model.{module}.lora_A.weight"] = a
            adapter[f"base_model.model.{module}.lora_B.weight"] = b
            tensors[name] = value + SCALE * (b @ a)
    (root / "model").mkdir(parents=True, exist_ok=True)
    save_file(tensors, root / "model" / "model.safetensors")
    if method == "head":
        head = root / "model" / "2_Dense"
        head.mkdir(exist_ok=True)
        (head / "config.json").write_text("{}")
        save_file({"linear.weight": torch.randn(4, 4)}, head / "model.safetensors")
    if method == "lora":
        (root / "adapter").mkdir(exist_ok=True)
        save_file(adapter, root / "adapter" / "adapter_model.safetensors")
        config = {"r": 2, "lora_alpha": 4, "use_rslora": False, "fan_in_fan_out": False}
        (root / "adapter" / "adapter_config.json").write_text(json.dumps(config))


def _write_probes(files: RunPaths, method: str, seed: int) -> None:
    labels = {"0": TRAIN // 2, "1": TRAIN // 2}
    write_json(files.supervision, Supervision("pairs", TRAIN, TRAIN, 0, 400, 0, 32, 0, 0, labels))
    gap = Gap(4, 1e-7, 0.5, ("test:0",))
    probes = Probes(
        gradient=GradientProbe(0.4, 0.1, 0.1001, 1e-3),
        accumulation=AccumulationProbe(2, 0.4, 0.4, 1e-6),
        alone=gap,
        again=gap,
        padded=gap,
    )
    write_json(files.probes, probes)
    reading = Reading({"pooling": "mean"}, {f"test:{i}": (1, seed + i, 2) for i in range(4)})
    write_json(files.reading, reading)
    write_json(files.served, reading)
    write_json(files.spread, Spread(24, 0.3, 9.0, 16))
    asked = ("training.learning_rate", "method")
    force = (OptionInForce("training.learning_rate", 1e-3, 1e-3, True, "optimizer"),)
    write_json(files.options, OptionUse(asked, (), force))


def _added(method: str) -> dict[str, tuple[int, ...]]:
    if method == "head":
        return {"2.linear.weight": (4, 4)}
    if method == "lora":
        return {
            f"{module}.lora_{half}.default.weight": shape
            for module in ADAPTED
            for half, shape in (("A", (2, 4)), ("B", (4, 2)))
        }
    return {}


def _plan(method: str) -> ResolvedPlan:
    """Full: layer 1 from the start, the rest after epoch 1. Others: what they add, throughout."""
    joins: dict[str, int | None] = dict.fromkeys(BASE)
    if method == "full":
        joins = {name: 0 if "layer.1" in name else 1 for name in BASE}
    joins |= dict.fromkeys(_added(method), 0)
    shapes = BASE | _added(method)
    group = {0: "top", 1: "bottom", None: "frozen"}
    rise = [0.0] + [1 - step / 8 for step in range(7)]
    later = [0.0] * STEPS + [0.0, 1.0, 0.6, 0.3]
    two = method == "full"
    damped = [rate * (0.3 if step >= STEPS and two else 1) for step, rate in enumerate(rise)]
    rates = {"top": tuple(1e-3 * rate for rate in damped)}
    phases = [PlannedPhase(0, 0, 0 if two else 1, 0, STEPS if two else 2 * STEPS, 32, ("top",))]
    groups = [PlannedGroup("top", 1e-3, 0.0, -1)]
    if two:
        rates["bottom"] = tuple(1e-4 * rate for rate in later)
        phases.append(PlannedPhase(1, 1, 1, STEPS, STEPS, 100, ("top", "bottom")))
        groups.append(PlannedGroup("bottom", 1e-4, 0.0, 1))
    else:
        groups.append(PlannedGroup("frozen", 1e-3, 0.0, 0))
    tensors = tuple(
        PlannedTensor(name, shape, int(np.prod(shape)), group[joins[name]], joins[name])
        for name, shape in shapes.items()
    )
    return ResolvedPlan(
        method=method,
        tensors=tensors,
        groups=tuple(groups),
        phases=tuple(phases),
        tied=(),
        total_parameters=sum(tensor.count for tensor in tensors),
        trainable_parameters=sum(t.count for t in tensors if t.joins is not None),
        steps_per_epoch=STEPS,
        total_steps=2 * STEPS,
        warmup_steps=1,
        schedule="linear",
        rates=rates,
    )


def _load(base: Path, method: str) -> LoadReport:
    tensors = [
        TensorOrigin(name, Origin.file, f"model.safetensors:{name}", shape, True)
        for name, shape in BASE.items()
    ]
    source = {"head": "head: new, starts as the identity", "lora": "adapter: new"}
    tensors += [
        TensorOrigin(name, Origin.new, source[method], shape, None)
        for name, shape in _added(method).items()
    ]
    files = {"model.safetensors": sha256_file(base / "model.safetensors")}
    return LoadReport("tiny", "folder", files, tuple(tensors), (), (), (), (), 100)


def _ledger(plan: ResolvedPlan) -> Ledger:
    phases = []
    for phase in plan.phases:
        epochs = phase.last_epoch - phase.first_epoch + 1
        end = phase.first_step + phase.steps
        trained = plan.trainable_in(phase.index)
        records = [_record(t.name, t.count, t.name in trained, phase.index) for t in plan.tensors]
        records.append(_record("embeddings.position_ids", 5, False, phase.index, "buffer"))
        orders = tuple(
            sha256_text(f"epoch {epoch}")
            for epoch in range(phase.first_epoch, phase.last_epoch + 1)
        )
        phases.append(
            PhaseRecord(
                index=phase.index,
                first_step=phase.first_step,
                executed_steps=phase.steps,
                rows=TRAIN * epochs,
                distinct_rows=TRAIN,
                rows_sha256=sha256_text("".join(orders)),
                epoch_orders=orders,
                epoch_rows=(TRAIN,) * epochs,
                eval_modules=("embeddings",),
                applied_rates={g: plan.rates[g][phase.first_step : end] for g in phase.groups},
                optimizer_extra=0,
                tensors=tuple(records),
                features=None if phase.index else _stored(),
                features_problem="nothing is frozen" if phase.index else "",
            )
        )
    return Ledger(tuple(phases), (), 1000, 0, "auto", "fp32", resumed_at=(6,))


def _stored() -> FeatureRecord:
    return FeatureRecord("the embedding and 1 of 2 layers", 40, 6400, "fp32", "0" * 64, 0.1, 1e-7)


def _record(
    name: str, count: int, trained: bool, phase: int, kind: str = "parameter"
) -> TensorRecord:
    first = 0.0 if "lora_A" in name else 0.5
    return TensorRecord(
        name=name,
        kind=kind,
        count=count,
        requires_grad=trained,
        in_optimizer=trained,
        gradient=True if trained else None,
        first_gradient=first if trained else None,
        relative_change=0.01 if trained else 0.0,
        changed_share=1.0 if trained else 0.0,
        nonzero_share=1.0,
        finite=True,
        sha256_before=sha256_text(f"{name} {phase}"),
        sha256_after=sha256_text(f"{name} {phase + 1}" if trained else f"{name} {phase}"),
    )
