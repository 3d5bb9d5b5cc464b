"""Micro-batches by rows and by tokens, and what happens when memory runs out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graft.config.sections import ArmSection, BaseSection, TrainingSection
from graft.core.errors import OutOfMemoryError, RecipeError
from graft.core.files import read_json, read_jsonl
from graft.core.layout import RunPaths
from graft.core.ledger import Ledger
from graft.models.encoder import load_encoder
from graft.models.locate import locate_base
from graft.models.precision import autocast
from graft.tasks.encoder_reading import TokenisedText
from graft.tasks.pairs import PairExample, PairsTask
from graft.train.micro_batches import (
    DoesNotFit,
    MicroBatchLimit,
    halved,
    limit_of,
    out_of_memory,
    split,
)
from graft.train.step import accumulate
from tiny_models import WORDS, colour_pairs, write_encoder, write_jsonl

TASK = PairsTask()


def pair(row: int, first: int, second: int) -> PairExample:
    texts = [TokenisedText([5] * length, False) for length in (first, second)]
    return PairExample(str(row), texts[0], texts[1], 1.0, 0)


lengths = st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=40)


@given(lengths, st.integers(1, 300))
def test_by_tokens_every_row_comes_once_and_within_the_limit(
    texts: list[tuple[int, int]], limit: int
) -> None:
    examples = [pair(row, *both) for row, both in enumerate(texts)]
    parts = split(TASK, examples, MicroBatchLimit(1, limit))
    assert sorted(e.row for part in parts for e in part) == sorted(e.row for e in examples)
    assert all(len(part) == 1 or sum(map(TASK.tokens, part)) <= limit for part in parts)
    # No two neighbours would fit into one: the division is no finer than it must be.
    for one, other in pairwise(parts):
        assert sum(map(TASK.tokens, [*one, other[0]])) > limit
    in_order = [TASK.length(example) for part in parts for example in part]
    assert in_order == sorted(in_order)


@given(lengths, st.integers(1, 50))
def test_by_rows_the_order_stays(texts: list[tuple[int, int]], rows: int) -> None:
    examples = [pair(row, *both) for row, both in enumerate(texts)]
    parts = split(TASK, examples, MicroBatchLimit(rows))
    assert [example for part in parts for example in part] == examples
    assert {len(part) for part in parts[:-1]} <= {rows}
    assert 1 <= len(parts[-1]) <= rows


@given(lengths, st.integers(1, 400), st.booleans())
def test_halving_ends_at_single_rows(
    texts: list[tuple[int, int]], size: int, by_tokens: bool
) -> None:
    examples = [pair(row, *both) for row, both in enumerate(texts)]
    limit = MicroBatchLimit(1, size) if by_tokens else MicroBatchLimit(size)
    for _ in range(16):
        largest = max(split(TASK, examples, limit), key=lambda part: sum(map(TASK.tokens, part)))
        if len(largest) == 1:
            break
        limit = halved(TASK, ArmSection(), DoesNotFit(largest, ""), limit)
    else:
        pytest.fail("the micro-batches do not become smaller")
    with pytest.raises(OutOfMemoryError, match=f"row {largest[0].row} alone, "):
        halved(TASK, ArmSection(), DoesNotFit(largest, ""), limit)


def test_a_loss_that_compares_rows_cannot_be_halved() -> None:
    tried = DoesNotFit([pair(0, 5, 5), pair(1, 5, 5)], "can't allocate memory")
    with pytest.raises(OutOfMemoryError, match="the loss compares the rows"):
        halved(TASK, ArmSection(loss="cosent"), tried, MicroBatchLimit(2))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory", True),
        ("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes", True),
        ("std::bad_alloc", True),
        ("could not create a primitive", True),
        ("could not create a primitive descriptor for a matmul", False),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_only_errors_of_memory_count(said: str, expected: bool) -> None:
    assert out_of_memory(RuntimeError(said)) is expected
    assert not out_of_memory(ValueError(said))


def test_a_real_failure_of_the_allocator_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(caught.value)


@pytest.mark.parametrize("tokens", [1, 40, 10_000])
def test_the_gradient_is_that_of_the_whole_step(colour_encoder: Path, tokens: int) -> None:
    model = load_encoder(locate_base(str(colour_encoder)), BaseSection()).model
    frame = colour_pairs(12, 3).assign(row=lambda f: f.index.astype(str))
    frame.loc[3, "sentence1"] = "red1 " * 20
    examples = TASK.prepare(frame, model)

    def gradients(limit: MicroBatchLimit) -> tuple[Any, dict[str, torch.Tensor]]:
        model.zero_grad(set_to_none=True)
        result = accumulate(TASK, model, ArmSection(), examples, partial(autocast, "fp32"), limit)
        return result, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}

    whole, expected = gradients(MicroBatchLimit(12))
    parts, found = gradients(limit_of(TrainingSection(max_tokens_per_micro_batch=tokens)))
    assert parts.micro_batches == {1: 12, 10_000: 1}.get(tokens, parts.micro_batches)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_a_loss_that_compares_rows_takes_no_limit_in_tokens(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    from graft.runs.experiment import open_experiment

    arms = {"a": {"loss": "cosent", "training": {"max_tokens_per_micro_batch": 64}}, "b": {}}
    with pytest.raises(RecipeError, match="compares the rows of a micro-batch") as caught:
        open_experiment({**tiny, "arms": arms}, root=tmp_path)
    assert [p.where for p in caught.value.problems] == [
        "arms.a.training.max_tokens_per_micro_batch"
    ]


@pytest.mark.parametrize("value", [0, -5, 2.5, True, "many"])
def test_another_limit_is_one_problem(tiny: dict[str, Any], value: object) -> None:
    from graft.config.loading import load_recipe

    with pytest.raises(RecipeError) as caught:
        load_recipe({**tiny, "training": {"max_tokens_per_micro_batch": value}})
    (problem,) = caught.value.problems
    assert problem.where.endswith("training.max_tokens_per_micro_batch")
    assert repr(value) in problem.what
    assert problem.fix == "choose a whole number from 1 on, 'auto' or null"


TRAIN = """
import json, resource, sys
import psutil
from graft.runs import arms
from graft.runs.experiment import open_experiment
from graft.runs.pipeline import prepare_data
plain, root, spare = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
train = arms.train

def with_less_memory(job):
    if not spare:
        return train(job)
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + spare * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    ledger = train(job)
    resource.setrlimit(resource.RLIMIT_AS, before)
    return ledger

arms.train = with_less_memory
experiment = open_experiment(plain, root=root)
arms.train_arm(experiment, "standard", prepare_data(experiment), frozenset())
"""


@pytest.fixture
def tiny(colour_encoder: Path, pair_files: tuple[Path, Path]) -> dict[str, Any]:
    train, test = pair_files
    return {
        "name": "tiny",
        "base": {"model": str(colour_encoder)},
        "data": {"train": str(train), "test": str(test)},
        "arms": {"standard": {}},
    }


class Crowded(PairsTask):
    """Pairs in a memory that holds no more than `room` rows; counts how often it overflowed."""

    def __init__(self, room: int, stop_at: int | None = None) -> None:
        self.room, self.stop_at, self.passes, self.overflows = room, stop_at, 0, 0

    def loss(self, model: Any, batch: Any, arm: ArmSection) -> tuple[torch.Tensor, int]:
        found = super().loss(model, batch, arm)
        self.passes += model.training
        if model.training and self.passes == self.stop_at:
            raise KeyboardInterrupt
        if model.training and len(batch.labels) > self.room:
            self.overflows += 1
            raise MemoryError
        return found


def test_a_step_that_is_taken_again_draws_the_same_dropout(colour_encoder: Path) -> None:
    model = load_encoder(locate_base(str(colour_encoder)), BaseSection()).model
    model.train()
    frame = colour_pairs(16, 3).assign(row=lambda f: f.index.astype(str))
    examples = TASK.prepare(frame, model)

    def gradients(task: PairsTask, rows: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(1)
        model.zero_grad(set_to_none=True)
        limit = MicroBatchLimit(rows)
        result = accumulate(task, model, ArmSection(), examples, partial(autocast, "fp32"), limit)
        assert result.limit == MicroBatchLimit(4)
        return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}

    expected, found = gradients(TASK, 4), gradients(Crowded(4), 16)
    assert all(torch.equal(found[name], gradient) for name, gradient in expected.items())


def test_the_smaller_limit_is_kept_in_ledger_and_checkpoints(
    tiny: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from dataclasses import replace

    from graft.runs.arms import train_arm
    from graft.runs.experiment import open_experiment
    from graft.runs.pipeline import prepare_data

    tiny["training"] = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 2}
    experiment = open_experiment(tiny, root=tmp_path)
    rows = prepare_data(experiment)
    first, second = Crowded(4, stop_at=27), Crowded(4)
    with pytest.raises(KeyboardInterrupt):
        train_arm(replace(experiment, task=first), "standard", rows, frozenset())
    paths = train_arm(replace(experiment, task=second), "standard", rows, frozenset())
    assert (first.overflows, second.overflows) == (2, 0)
    ledger = read_json(paths.ledger, Ledger)
    assert len(ledger.resumed_at) == 1
    message = "out of memory with micro-batches of at most 16 rows, at most 4 rows from here"
    assert [change.message.startswith(message) for change in ledger.changes] == [True]
    assert message in caplog.text
    steps = [record for record in read_jsonl(paths.history) if record["kind"] == "step"]
    assert {r["micro_batches"] for r in steps if r["rows"] == 16} == {4}
    assert sum(phase.executed_steps for phase in ledger.phases) == len(steps)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [None, 30_000])
def test_a_run_that_does_not_fit_ends_as_one_that_does(tmp_path: Path, limit: int | None) -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    encoder = write_encoder(tmp_path, vocabulary, seed=0, max_tokens=64, layers=10)
    for file in encoder.rglob("config.json"):
        config = json.loads(file.read_text(encoding="utf-8"))
        if "hidden_dropout_prob" in config:
            config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
            file.write_text(json.dumps(config), encoding="utf-8")
    frame = colour_pairs(480, 1)
    for column in ("sentence1", "sentence2"):
        frame[column] = (frame[column] + " ") * 20
        frame[column] += frame.index.map(lambda row: WORDS[row % 72])
    recipe = {
        "name": "tiny",
        "base": {"model": str(encoder)},
        "data": {"train": str(write_jsonl(frame, tmp_path / "rows.jsonl"))},
        "training": {
            "num_train_epochs": 1,
            "per_device_train_batch_size": 256,
            "max_tokens_per_micro_batch": limit,
            "precision": "fp32",
            "eval_strategy": "no",
            "learning_rate": 1e-3,
        },
        "arms": {"standard": {}},
    }
    ledgers, names = [], ("whole", "small")
    for name, spare in zip(names, (0, 100), strict=True):
        command = [
            sys.executable,
            "-c",
            TRAIN,
            json.dumps(recipe),
            str(tmp_path / name),
            str(spare),
        ]
        # Large blocks go back to the system when they are freed: the limit is on addresses, and
        # those that the allocator keeps would be free for tensors only, or not at all.
        returned = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **returned}
        )
        assert done.returncode == 0, done.stderr[-2000:]
        ledgers.append(read_json(RunPaths(tmp_path / name / "tiny" / "standard").ledger, Ledger))
    whole, small = ledgers
    assert whole.changes == ()
    assert "out of memory with micro-batches of at most" in small.changes[0].message
    assert small.phases[0].executed_steps == whole.phases[0].executed_steps == 2
    assert small.phases[0].rows_sha256 == whole.phases[0].rows_sha256
    moved = [[t.relative_change for t in ledger.phases[0].tensors] for ledger in ledgers]
    assert moved[1] == pytest.approx(moved[0], rel=1e-2, abs=1e-6)
    losses = [
        [record["loss"] for record in read_jsonl(file) if record["kind"] == "step"]
        for file in (tmp_path / name / "tiny" / "standard" / "history.jsonl" for name in names)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
