"""A whole run folder, written from the core types with generated numbers and hostile texts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from class_report_folder import build as build_classes
from graft.core.costs import RunCost
from graft.core.experiment import ExperimentIndex, RunEntry
from graft.core.files import sha256_text, write_json, write_text
from graft.core.findings import Finding, Findings, Status
from graft.core.layout import ExperimentPaths, RunPaths
from graft.core.ledger import Ledger, PhaseRecord, StateChange, TensorRecord
from graft.core.options import OptionInForce, OptionUse
from graft.core.origins import LoadReport, Origin, TensorOrigin
from graft.core.plan import PlannedGroup, PlannedPhase, PlannedTensor, ResolvedPlan
from graft.core.probes import AccumulationProbe, Gap, GradientProbe, Probes
from graft.core.roles import Role, Split
from graft.core.saves import Save, Saves
from graft.core.scores import Score, ScoreBook, Scores
from graft.core.seeds import generator
from graft.core.supervision import Supervision
from graft.core.tables import DataReport, LeakageReport, LeakedRow, SplitReport, TextLengths
from graft.core.verdicts import (
    Comparison,
    GateResult,
    PairedDifference,
    PublishedFigure,
    Verdict,
)
from graft.metrics.pairs import PAIR_MEASURES

SCRIPT = "<script>alert(1)</script>"
ROWS, STEPS, WARMUP = 240, 300, 30
CATEGORIES = ("interests", "lifestyle", "dealbreakers_and_interests", "values", SCRIPT)
PAIR_TYPES = ("llm_judged_incompatible", "incompatible", "dealbreaker", "subtle_mismatch")
RUNS = (
    RunEntry("majority", Role.baseline, "Majority class", False),
    RunEntry("tfidf", Role.baseline, "TF-IDF cosine", False),
    RunEntry("base", Role.baseline, "Untouched base", False),
    RunEntry("standard", Role.arm, "Standard fine-tuning", True),
    RunEntry("lora", Role.arm, "LoRA, rank 8", True),
)
# What passes in every arm: check and name of the finding.
PASSED = (
    ("K1", "trainable_set"), ("K2", "first_gradient"), ("K2", "finite_loss"),
    ("K2", "gradient_direction"), ("K3", "movement"), ("K4", "rates"), ("K5", "supervision"),
    ("K5", "truncation"), ("K6", "rows_seen"), ("K6", "order"), ("K6", "train_rows"),
    ("K7", "base_tensors"), ("K7", "adapter_base"), ("K8", "predictions"), ("K8", "tensors"),
    ("K9", "differs_from_base"), ("K9", "outputs_differ"), ("K11", "reading"),
    ("K12", "alone"), ("K12", "again"), ("K12", "frozen_modes"), ("K13", "collapse"),
    ("K13", "label_permutation"), ("K16", "options_read"), ("K16", "options_in_force"),
)  # fmt: skip
# Mean scores of negatives and positives, and their spread, per run.
SHAPES = {
    "majority": (1.0, 1.0, 0.0),
    "tfidf": (0.32, 0.3, 0.18),
    "base": (0.55, 0.47, 0.19),
    "standard": (0.03, 0.96, 0.12),
    "lora": (0.16, 0.83, 0.2),
}


def _rows() -> pd.DataFrame:
    chance = generator(7, "rows")
    likes = ("museums", "lazy Sundays", "theatre & opera", "career ambition", "hiking", "cooking")
    first = [
        f"boy: I love {chance.choice(likes)} and {chance.choice(likes)} (row {i})"
        for i in range(ROWS)
    ]
    second = [
        f"girl: I can't stand {chance.choice(likes)}, but I enjoy {chance.choice(likes)}"
        for _ in range(ROWS)
    ]
    first[3], second[5] = f"boy: {SCRIPT}", "girl: </script><b>bold</b> $x$ %{y}"
    label = (np.arange(ROWS) % 5 < 3).astype(float)
    kinds = [str(chance.choice(PAIR_TYPES)) if not answer else "compatible" for answer in label]
    return pd.DataFrame(
        {
            "row": [f"eval-{i}" for i in range(ROWS)],
            "sentence1": first,
            "sentence2": second,
            "label": label,
            "leaked": np.arange(ROWS) % 7 == 2,
            "category": [CATEGORIES[i] for i in chance.integers(len(CATEGORIES), size=ROWS)],
            "pair_type": kinds,
        }
    )


def _predictions(rows: pd.DataFrame, run: str) -> pd.DataFrame:
    low, high, spread = SHAPES[run]
    noise = generator(7, "scores", run).normal(0, spread, len(rows))
    score = np.where(rows["label"] == 1, high, low) + noise
    threshold = (low + high) / 2 if run not in ("base", "majority") else 0.2
    return rows.assign(score=np.clip(score, -1, 1), threshold=threshold)


def _scores(run: str, role: Role, rows: pd.DataFrame, subset: str, split: Split) -> Scores:
    columns = {name: rows[name].to_numpy() for name in ("score", "label", "threshold")}
    items = []
    for kind in PAIR_MEASURES:
        value = kind.compute(columns)
        half = None if value is None else 0.3 * abs(value) / np.sqrt(len(rows) / 10)
        low, high = (
            (None, None)
            if half is None
            else (float(value - half), min(float(value + half), kind.metric.high or 1e9))
        )
        items.append(
            Score(
                kind.metric.name,
                value,
                low,
                high,
                len(rows),
                "" if value is not None else "one label only",
            )
        )
    if subset == "all" and SHAPES[run][2]:
        items += [
            Score("cluster_purity", 0.61, None, None, len(rows) * 2, "UMAP is not resampled"),
            Score("cluster_count", 9.0, None, None, len(rows) * 2),
            Score("noise_share", 0.08, None, None, len(rows) * 2),
        ]
    return Scores(run, role, split, subset, tuple(items))


def _book(entry: RunEntry, rows: pd.DataFrame) -> ScoreBook:
    parts = [("all", rows), ("clean", rows[~rows["leaked"]])]
    parts += [(f"{c}={v}", g) for c in ("category", "pair_type") for v, g in rows.groupby(c)]
    books = [_scores(entry.name, entry.role, part, name, Split.test) for name, part in parts]
    validation = _scores(entry.name, entry.role, rows.head(60), "all", Split.validation)
    return ScoreBook((validation, *books))


def _tensors(method: str) -> tuple[PlannedTensor, ...]:
    tensors = [
        PlannedTensor("embeddings.word.weight", (30522, 384), 11_720_448, "embeddings", None)
    ]
    for layer in range(6):
        frozen = method == "lora"
        joins = None if frozen else (0 if layer > 2 else 1)
        group = "frozen" if frozen else ("upper" if layer > 2 else "lower")
        for part in ("query", "value"):
            name = f"encoder.layer.{layer}.attention.{part}"
            tensors.append(PlannedTensor(f"{name}.weight", (384, 384), 147_456, group, joins))
            if frozen:
                tensors.append(PlannedTensor(f"{name}.lora_A", (8, 384), 3072, "adapter", 0))
                tensors.append(PlannedTensor(f"{name}.lora_B", (384, 8), 3072, "adapter", 0))
    return tuple(tensors)


def _plan(method: str) -> ResolvedPlan:
    tensors = _tensors(method)
    steps = np.arange(STEPS)
    peak = 2e-4 if method == "lora" else 2e-5
    shape = np.minimum((steps + 1) / WARMUP, 0.5 * (1 + np.cos(np.pi * steps / STEPS)))
    rates = {"adapter": tuple(float(r) for r in peak * shape)}
    groups = (PlannedGroup("adapter", peak, 0.01, -1),)
    if method == "full":
        late = np.where(steps < STEPS // 2, 0, 0.3 * peak * shape)
        rates = {"upper": rates["adapter"], "lower": tuple(float(r) for r in late)}
        groups = (PlannedGroup("upper", peak, 0.01, -1), PlannedGroup("lower", 0.3 * peak, 0.01, 2))

    def count(phase: int) -> int:
        return sum(t.count for t in tensors if t.joins is not None and t.joins <= phase)

    half = STEPS // 2
    names = (tuple(rates)[:1], tuple(rates))
    phases = tuple(
        PlannedPhase(i, 2 * i, 2 * i + 1, i * half, half, count(i), names[i]) for i in range(2)
    )
    return ResolvedPlan(
        method, tensors, groups, phases, (), 22_786_944, count(1), STEPS // 4, STEPS, WARMUP,
        "warm-up, then cosine", rates,
    )  # fmt: skip


def _ledger(plan: ResolvedPlan) -> Ledger:
    phases = []
    for phase in plan.phases:
        trained = plan.trainable_in(phase.index)
        records = [
            TensorRecord(
                t.name, "parameter", t.count, t.name in trained, t.name in trained,
                t.name in trained or None, 0.4 if t.name in trained else None,
                0.012 if t.name in trained else 0.0, 0.98 if t.name in trained else 0.0, 1.0, True,
                sha256_text(t.name), sha256_text(t.name + ("x" if t.name in trained else "")),
            )
            for t in plan.tensors
        ]  # fmt: skip
        records.append(
            TensorRecord("embeddings.position_ids", "buffer", 512, False, False, None, None, 0.0,
                         0.0, 0.99, True, sha256_text("b"), sha256_text("b"))
        )  # fmt: skip
        stretch = slice(phase.first_step, phase.first_step + phase.steps)
        applied = {group: plan.rates[group][stretch] for group in phase.groups}
        phases.append(
            PhaseRecord(phase.index, phase.first_step, phase.steps, 2400, 1200, sha256_text("rows"),
                        (sha256_text("1"), sha256_text("2")), ("embeddings",), applied, 0,
                        tuple(records))
        )  # fmt: skip
    changes = (StateChange(150, 2, "[TWO-PHASE] thawed group lower; rates × 0.3"),)
    return Ledger(
        tuple(phases), changes if plan.method == "full" else (), 412_345, 0, "bf16", "float32",
        best_step=225, best_metric=0.871,
    )  # fmt: skip


def _write_training(run: RunPaths, entry: RunEntry) -> None:
    plan = _plan("lora" if entry.name == "lora" else "full")
    _write_observed(run)
    write_json(run.plan, plan)
    write_json(run.ledger, _ledger(plan))
    origins = tuple(
        TensorOrigin(
            t.name,
            Origin.new if "lora" in t.name else Origin.file,
            "model.safetensors",
            t.shape,
            None if "lora" in t.name else True,
        )
        for t in plan.tensors
    )
    files = {"model.safetensors": sha256_text("weights")}
    write_json(
        run.load,
        LoadReport("demo/all-MiniLM-L6-v2", "embedded", files, origins, (), (), (), (), 22_713_216),
    )
    chance = generator(7, "history", entry.name)
    lines = []
    for step in range(1, STEPS + 1):
        value = 0.25 * np.exp(-step / 60) + 0.03 + 0.02 * chance.random()
        lines.append(
            {
                "kind": "step",
                "step": step,
                "epoch": 4 * step / STEPS,
                "loss": float(value),
                "grad_norm": 1.0,
                "rates": {},
                "rows": 16,
                "seconds": 0.1,
            }
        )
        if step % 25 == 0:
            top = 0.87 if entry.name == "standard" else 0.83
            spearman = top - 1.0 * np.exp(-step / 50) - (0.02 if step > 225 else 0)
            lines.append(
                {
                    "kind": "evaluation",
                    "step": step,
                    "epoch": 4 * step / STEPS,
                    "metrics": {"validation_spearman": float(spearman)},
                    "best": step <= 225,
                }
            )
    write_text(run.history, "".join(json.dumps(line) + "\n" for line in lines))


def _write_observed(run: RunPaths) -> None:
    options = (
        OptionInForce("training.learning_rate", 2e-5, 2e-5, True, "of the optimizer's groups"),
        OptionInForce("training.weight_decay", 0.01, 0.0, False, f"of the groups {SCRIPT}"),
        OptionInForce("training.precision", "bf16", "float32", None, "number format of a product"),
        OptionInForce("training.max_steps", None, STEPS, True, "steps of the plan"),
        OptionInForce("training.gradient_checkpointing", False, False, True, "of the modules"),
    )
    asked = (*(item.option for item in options), "training.warmup_ration")
    write_json(run.options, OptionUse(asked, asked[-1:], options))
    seen = Supervision(
        "pairs", 1200, 1200, 0, 41_223, 7, 256, 3, 1, {"0": 480, "1": 720},
        examples={"truncated_rows": tuple(f"train-{i}" for i in range(7)), "empty_rows": (SCRIPT,)},
    )  # fmt: skip
    write_json(run.supervision, seen)
    probes = Probes(
        GradientProbe(0.2513, 0.4127, 0.4119, 0.001), AccumulationProbe(4, 0.25131, 0.2513, 2e-6),
        Gap(24, 3.1e-7, 0.21, ("eval-3", "eval-9")), Gap(24, 0.0, 0.21), (),
        {"training_modules": "the model was predicted by another process"},
    )  # fmt: skip
    write_json(run.probes, probes)


def _pair(
    books: dict[str, ScoreBook], run: str, reference: str, subset: str, metric: str
) -> PairedDifference:
    new, old = (books[name].on(Split.test, subset)[metric] for name in (run, reference))
    gap = new.value - old.value
    half = 0.11 * abs(gap) + 0.04
    verdict = Verdict.not_shown if abs(gap) < half else Verdict.better if gap > 0 else Verdict.worse
    p = 0.31 if verdict == Verdict.not_shown else 0.0001
    return PairedDifference(
        metric,
        run,
        reference,
        subset,
        new.n,
        new.value,
        old.value,
        gap,
        gap - half,
        gap + half,
        p,
        p,
        p,
        p,
        1.4 * half,
        verdict,
        "One sentence.",
    )


def _comparison(books: dict[str, ScoreBook]) -> Comparison:
    arms = ("standard", "lora")
    headline = tuple(_pair(books, arm, "base", "all", "spearman") for arm in arms)
    pairs = tuple(
        _pair(books, arm, reference, subset, metric)
        for metric in ("spearman", "roc_auc", "f1")
        for arm, reference in (
            ("standard", "base"),
            ("lora", "base"),
            ("lora", "standard"),
            ("lora", "tfidf"),
        )
        for subset in ("all", "clean")
    )
    value = books["standard"].on(Split.test)["spearman"].value
    wrong = books["lora"].on(Split.test)["false_positives"].value
    gates = (
        GateResult("standard", "spearman", 0.55, None, value, True),
        GateResult("lora", "false_positives", None, 3.0, wrong, False),
    )
    published = (PublishedFigure("standard", "spearman", 0.853, value, value >= 0.853),)
    return Comparison(
        "spearman", 0.05, headline, pairs, gates, published, "Example publication 2024"
    )


def _data(rows: pd.DataFrame) -> DataReport:
    leaked = rows[rows["leaked"]]
    items = tuple(
        LeakedRow(
            "test",
            r.row,
            ("exact", "shared_texts_all"),
            (f"train-{i}",),
            (r.sentence1, r.sentence2),
        )
        for i, r in enumerate(leaked.itertuples())
    )
    leakage = LeakageReport(
        "test",
        ROWS,
        30,
        4,
        2,
        120,
        len(items),
        None,
        None,
        items,
        ROWS - len(items),
        ("exact", "normalised", "near"),
    )
    clean = LeakageReport("validation", 60, 0, 0, 0, 3, 0, None, None, (), 60, ("exact",))
    lengths = (TextLengths("sentence1", 0, 17.2, 31.0, 55, 256, 0), TextLengths("sentence2", 0))
    splits = tuple(
        SplitReport(
            name,
            n,
            (f"{name}.jsonl",),
            3,
            1,
            (17,),
            {"0": 2 * n // 5, "1": n - 2 * n // 5},
            {},
            lengths,
            sha256_text(name),
        )
        for name, n in (("train", 1200), ("validation", 60), ("test", ROWS))
    )
    return DataReport(
        splits,
        (clean, leakage),
        "Given by the files; validation is 5 % of train.",
        {"text": "sentence1"},
        ("subcategory",),
        notes=(f"A note with {SCRIPT}",),
    )


def passed(check: str, name: str, where: str) -> Finding:
    ask = f"Is {name.replace('_', ' ')} of this run as the plan of it says?"
    counts = {"tensors": {"total": 24, "first": ["encoder.layer.0.attention.query.weight"]}}
    return Finding(check, name, ask, Status.passed, "24 of 24 are.", counts, where)


def _findings() -> Findings:
    ask = "Did every trainable tensor move, and nothing else?"
    return Findings(
        (
            *(passed(check, name, arm) for arm in ("standard", "lora") for check, name in PASSED),
            Finding(
                "K3",
                "weight_change",
                ask,
                Status.passed,
                "24 of 24 tensors moved.",
                {"moved": 24},
                "standard",
            ),
            Finding(
                "K3",
                "weight_change",
                ask,
                Status.passed,
                "24 of 24 tensors moved.",
                {"moved": 24},
                "lora",
            ),
            Finding(
                "K8",
                "round_trip",
                "Does the saved model score as the trained one did?",
                Status.failed,
                f"Merged LoRA scores −0.219, not 0.827 {SCRIPT}.",
                {"tensor": "</script>", "gap": 1.046},
                "lora",
                "Merge with the scale alpha / r.",
            ),
            Finding(
                "K6",
                "leakage",
                "Does the training split give test rows away?",
                Status.failed,
                "34 of 240 rows.",
                {"rows": ["eval-2"]},
                "data",
                "Use the repaired split.",
            ).accept(f"published split, kept {SCRIPT}"),
            Finding(
                "K11",
                "export",
                "Does the export score the same?",
                Status.not_run,
                "No export was asked for.",
                {},
                "lora",
            ),
            Finding(
                "K15",
                "rank_equality",
                "Do all ranks hold the same weights?",
                Status.not_applicable,
                "One process.",
                {},
                "standard",
            ),
            Finding(
                "K13",
                "degenerate",
                "Is it better than guessing?",
                Status.warned,
                "Class entropy 0.41.",
                {},
                "lora",
            ),
            Finding(
                "K12",
                "invariances",
                "Does padding change the score?",
                Status.error,
                "Out of memory.",
                {},
                "lora",
            ),
        )
    )


def _write_run(paths: ExperimentPaths, entry: RunEntry, rows: pd.DataFrame) -> ScoreBook:
    run = paths.run(entry.name)
    run.predictions(Split.test).parent.mkdir(parents=True)
    predictions = _predictions(rows, entry.name)
    predictions.to_parquet(run.predictions(Split.test))
    book = _book(entry, predictions)
    write_json(run.scores, book)
    if entry.trained:
        _write_training(run, entry)
        adapter = 284_000 if entry.name == "lora" else None
        write_json(
            run.cost, RunCost(192.4, 6.1, 1_420_000_000, None, 90_900_000, adapter, "CPU, 2 cores")
        )
    if entry.name in ("base", "standard", "lora"):
        part = 0.0 if entry.name == "base" else 3.0
        chance = generator(7, "map", entry.name)
        angle = rows["category"].map({c: i for i, c in enumerate(CATEGORIES)}).to_numpy()
        pd.DataFrame(
            {
                "text": rows["sentence1"], "category": rows["category"], "row": rows["row"],
                "x": part * np.cos(angle) + chance.normal(size=ROWS),
                "y": part * np.sin(angle) + chance.normal(size=ROWS),
                "cluster": angle - (np.arange(ROWS) % 11 == 0) * (angle + 1),
            }
        ).to_parquet(run.embeddings(Split.test))  # fmt: skip
    return book


def build(root: Path) -> Path:
    """Write the whole experiment below `root`."""
    paths, rows = ExperimentPaths(root), _rows()
    write_json(
        paths.index,
        ExperimentIndex(
            "dating pairs", "pairs", "demo/all-MiniLM-L6-v2", "base", "spearman", 42, RUNS,
            ("category", "pair_type"), sha256_text("recipe"),
            {"torch": "2.13.0", "transformers": "5.1.0", "graft": "0.1.0"}, "CPU, 2 cores, 8 GB",
        ),
    )  # fmt: skip
    books = {entry.name: _write_run(paths, entry, rows) for entry in RUNS}
    write_json(paths.comparison, _comparison(books))
    write_json(paths.data_report, _data(rows))
    write_json(paths.findings, _findings())
    write_text(
        paths.recipe,
        f"name: dating pairs\nnote: '{SCRIPT} </script>'\nbase: demo/all-MiniLM-L6-v2\n",
    )
    return root


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder that tests read and do not change."""
    return build(tmp_path_factory.mktemp("written") / "dating pairs")


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of the run folder that a test may change."""
    return Path(shutil.copytree(written, tmp_path / "experiment"))


def build_training(root: Path) -> Path:
    """Write what a callback writes about a training of another trainer."""
    run = RunPaths(root)
    _write_training(run, RunEntry("standard", Role.arm, "", True))
    chance = generator(7, "foreign")
    lines = [
        {"kind": "step", "step": step, "grad_norm": 1.0, "rates": {"upper": 2e-5}}
        | ({"loss": float(0.7 * np.exp(-step / 90) + 0.02 * chance.random())} if step % 10 == 0
           else {"loss": None} if step % 2 else {})
        for step in range(1, STEPS + 1)
    ]  # fmt: skip
    lines += [
        {"kind": "evaluation", "step": step, "metrics": {"eval_loss": 50 / step, "eval_runtime": 1}}
        for step in (100, 200, 300)
    ]
    write_text(run.history, "".join(json.dumps(line) + "\n" for line in lines))
    names = tuple(f"encoder.layer.{layer}.attention.query.weight" for layer in range(6))
    folders = tuple(
        Save(f"/somewhere/out/checkpoint-{step}", step, 104, 24, missing, (), ())
        for step, missing in ((100, ()), (200, names), (300, ()))
    )
    evaluations = {"100": 0.5, "200": 0.25, "300": 0.17}
    saves = Saves(folders, "/somewhere/out/checkpoint-300", "eval_loss", evaluations, False, True)
    write_json(run.saves, saves)
    found = [passed(check, name, "trainer") for check, name in PASSED]
    found[4] = replace(
        found[4], status=Status.failed, summary=f"2 tensors did not move {SCRIPT}.", fix="Look."
    )
    found[6] = replace(found[6], status=Status.warned, summary="7 of 1,200 rows are cut.")
    idle = Finding("K14", "resume", "Was it resumed?", Status.not_applicable, "It was not.", {}, "")
    write_json(run.audits, Findings((*found, replace(idle, where="trainer"))))
    return root


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a foreign training, which tests read and do not change."""
    return build_training(tmp_path_factory.mktemp("trained") / "graft audit")


@pytest.fixture
def training_folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "graft audit"))


@pytest.fixture(scope="session")
def build_folder() -> Callable[[Path], Path]:
    """The builder itself."""
    return build


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a classification of two classes."""
    folder = tmp_path_factory.mktemp("two") / "match"
    return build_classes(folder, ("0", "1"), "roc_auc")


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a classification of more classes than charts can show."""
    names = tuple(f"intent_{i:02d}_of_a_customer" for i in range(26))
    return build_classes(tmp_path_factory.mktemp("many") / "match", names, "balanced_accuracy")
