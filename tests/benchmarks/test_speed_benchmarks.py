"""The speed benchmarks measure what they say; no test judges a time."""

from __future__ import annotations

import dataclasses
import math
import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
from speed.floor import operations
from speed.graft_training import ARM, frame, opened
from speed.growth import further_row
from speed.jobs import ChildError, Job, measure
from speed.pairing import jobs_of, one_pair
from speed.quality import cosines
from speed.rows import Rows
from speed.watch import Positions, Watch, resident_bytes
from speed.works import WORKS, shortened

from graft.config.sections import BaseSection
from graft.models.encoder import load_encoder
from graft.models.locate import locate_base
from graft.runs.arms import prepare_arm
from tiny_models import build_tiny_encoder, colour_pairs

TRAIN, TEST = 40, 24
LAYERS = 3


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("speed"), layers=LAYERS)


def rows_for(kind: str) -> Rows:
    train, test = (
        colour_pairs(count, seed)[["sentence1", "sentence2", "label"]].astype({"label": float})
        for count, seed in ((TRAIN, 1), (TEST, 2))
    )
    if kind == "pairs":
        return Rows(train, test)
    columns = {"sentence1": "text"}
    texts = (part.rename(columns=columns).astype({"label": int}) for part in (train, test))
    return Rows(*(part[["text", "label"]] for part in texts))


def job_for(name: str, base: Path, place: Path) -> Job:
    work = shortened(WORKS[name])
    return jobs_of(work, base, rows_for(work.settings["kind"]), place)["auto"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["standard", "lora", "head", "top2", "encode"])
def test_both_sides_measure_the_same_work(name: str, base: Path, tmp_path: Path) -> None:
    work = shortened(WORKS[name])
    work = dataclasses.replace(work, goals={"auto": 1.0})
    rows = rows_for(work.settings["kind"])
    pair = one_pair(jobs_of(work, base, rows, tmp_path), index=1)

    peer, graft = pair.peer, pair.graft["auto"]
    for side in (peer, graft):
        assert side.seconds > 0
        assert side.imported_bytes > 0
        assert 0 < side.start_bytes <= side.peak_bytes
        assert side.done.tokens > 0
    # Three words and two special tokens a text, whoever counts them.
    given = len(rows.train) * (2 if work.settings["kind"] == "pairs" else 1)
    assert peer.done.tokens == 5 * given * work.settings.get("epochs", 1)
    if name == "encode":
        mean, smallest = pair.cosines["auto"]
        assert 0.99 < smallest <= mean < 1.0001
        return
    assert graft.done.tokens <= peer.done.tokens  # equal texts of a batch are computed once
    steps = math.ceil(TRAIN / work.settings["batch"]) * work.settings["epochs"]
    assert peer.done.steps == graft.done.steps == steps
    assert graft.done.step_seconds < graft.seconds
    for side in (peer, graft):
        assert side.done.quality is not None
        assert -1 <= side.done.quality <= 1


@pytest.mark.slow
def test_a_child_that_fails_says_why(base: Path, tmp_path: Path) -> None:
    job = dataclasses.replace(job_for("head", base, tmp_path), train=str(tmp_path / "none.parquet"))
    with pytest.raises(ChildError, match=r"none\.parquet"):
        measure(job)


def resident(size: int) -> mmap.mmap:
    """Return memory of the kernel's own; what malloc gives may have been resident before."""
    found = mmap.mmap(-1, size)
    np.frombuffer(found, dtype=np.uint8)[:] = 1
    return found


def test_the_peak_is_that_of_the_block() -> None:
    resident(60 * 2**20).close()
    before_watch = resident_bytes()
    watch = Watch()
    with watch:
        resident(40 * 2**20).close()
    assert 39 * 2**20 < watch.peak_bytes - watch.start_bytes < 55 * 2**20
    assert abs(watch.imported_bytes - before_watch) < 8 * 2**20
    assert watch.seconds > 0


def test_positions_tell_padding_from_tokens() -> None:
    table = torch.nn.Embedding(10, 2)
    positions = Positions(table, pad=0)
    table(torch.tensor([[5, 6, 7], [8, 0, 0]]))
    table(torch.tensor([[9]]))
    positions.stop()
    table(torch.tensor([[9]]))
    assert (positions.tokens, positions.padding, positions.calls) == (5, 2, 2)


def linear_weights(base: Path, layers: list[int]) -> int:
    model = load_encoder(locate_base(str(base)), BaseSection(model=str(base))).model
    names = tuple(f"0.model.encoder.layer.{layer}." for layer in layers)
    return sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.startswith(names)
    )


@pytest.mark.parametrize("name", ["standard", "head", "top2"])
def test_the_floor_counts_what_is_trained(name: str, base: Path, tmp_path: Path) -> None:
    job = job_for(name, base, tmp_path)
    rows = frame(job)
    prepared = prepare_arm(opened(job, rows, tmp_path / "runs"), ARM, rows)
    once, each_epoch = operations(prepared.model, prepared.plan)

    whole = linear_weights(base, list(range(LAYERS)))
    if name == "standard":
        assert (once, each_epoch) == (0, 6 * whole)  # the embedding below is trained too
    elif name == "head":
        assert (once, each_epoch) == (2 * whole, 0)
    else:
        lower, top = linear_weights(base, [0]), linear_weights(base, [1, 2])
        query = 32 * 32  # nothing before it is trained: no gradient goes through it
        assert (once, each_epoch) == (2 * lower, 6 * top - 2 * query)


def test_a_further_row_costs_the_same_where_time_is_linear() -> None:
    assert further_row([(10, 2.0 + 10 * 0.5), (40, 2.0 + 40 * 0.5), (160, 82.0)]) == [0.5, 0.5]


def test_cosines_are_those_of_each_row() -> None:
    one = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert cosines(one, 3 * one) == (1.0, 1.0)
    assert cosines(one, one[:, ::-1]) == (0.0, 0.0)
