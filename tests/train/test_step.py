"""Exact accumulation and the refusal of numbers that are none."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from graft.config.sections import ArmSection, BaseSection
from graft.core.errors import NonFiniteError
from graft.models.encoder import load_encoder
from graft.models.locate import locate_base
from graft.models.precision import autocast
from graft.tasks.pairs import PairsTask
from graft.train.step import StepResult, accumulate
from tiny_models import colour_pairs

TASK = PairsTask()


def gradients(encoder: Path, size: int, rows: int, loss: str) -> tuple[StepResult, dict[str, Any]]:
    model = load_encoder(locate_base(str(encoder)), BaseSection()).model
    frame = colour_pairs(rows, 3).assign(row=lambda f: f.index.astype(str))
    arm = ArmSection.model_validate(
        {"loss": loss, "training": {"per_device_train_batch_size": size, "max_grad_norm": None}}
    )
    examples = TASK.prepare(frame, model)
    result = accumulate(TASK, model, arm, examples, partial(autocast, "fp32"))
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return result, found


@pytest.mark.parametrize("loss", ["cosine_similarity", "contrastive"])
@pytest.mark.parametrize(("size", "rows"), [(4, 16), (5, 16), (16, 16), (1, 3)])
def test_micro_batches_of_any_size_give_the_gradient_of_one_batch(
    colour_encoder: Path, loss: str, size: int, rows: int
) -> None:
    whole, expected = gradients(colour_encoder, rows, rows, loss)
    parts, found = gradients(colour_encoder, size, rows, loss)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    assert parts.grad_norm == pytest.approx(whole.grad_norm, rel=1e-4)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_no_number_stops_before_the_update(colour_encoder: Path) -> None:
    model = load_encoder(locate_base(str(colour_encoder)), BaseSection()).model
    frame = colour_pairs(4, 3).assign(row=lambda f: f.index.astype(str), label=float("nan"))
    with pytest.raises(NonFiniteError, match="the loss is nan"):
        accumulate(TASK, model, ArmSection(), TASK.prepare(frame, model),
                   partial(autocast, "fp32"))  # fmt: skip


def test_the_gradient_is_clipped_to_the_limit(colour_encoder: Path) -> None:
    model = load_encoder(locate_base(str(colour_encoder)), BaseSection()).model
    frame = colour_pairs(8, 3).assign(row=lambda f: f.index.astype(str))
    arm = ArmSection.model_validate({"training": {"max_grad_norm": 1e-3}})
    result = accumulate(TASK, model, arm, TASK.prepare(frame, model), partial(autocast, "fp32"))
    clipped = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    assert result.grad_norm > 1e-3
    assert float(torch.stack(clipped).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_padding_changes_nothing(colour_encoder: Path) -> None:
    model = load_encoder(locate_base(str(colour_encoder)), BaseSection()).model
    frame = colour_pairs(6, 3).assign(row=lambda f: f.index.astype(str))
    frame.loc[0, "sentence1"] = "red1 " * 20
    examples = TASK.prepare(frame, model)
    with torch.inference_mode():
        together = TASK.predict(model, TASK.collate(examples))["score"]
        alone = [TASK.predict(model, TASK.collate([e]))["score"][0] for e in examples]
    assert together == pytest.approx(alone, abs=1e-6)


def test_the_public_route_scores_what_the_loop_scores(colour_encoder: Path) -> None:
    model = load_encoder(locate_base(str(colour_encoder)), BaseSection()).model
    frame = colour_pairs(10, 3).assign(row=lambda f: f.index.astype(str))
    with torch.inference_mode():
        ours = TASK.predict(model, TASK.collate(TASK.prepare(frame, model)))["score"]
    theirs = TASK.predict_folder(colour_encoder, frame, None)["score"]
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_the_error_names_arm_step_and_rows(tmp_path: Path, colour_encoder: Path) -> None:
    from graft.runs.pipeline import run
    from tiny_models import write_jsonl

    file = write_jsonl(colour_pairs(40, 1), tmp_path / "rows.jsonl")
    recipe = {
        "name": "t",
        "base": {"model": str(colour_encoder)},
        "data": {"train": str(file)},
        "training": {
            "learning_rate": 1e30,
            "max_grad_norm": None,
            "precision": "fp32",
            "eval_strategy": "no",
        },
        "arms": {"standard": {}},
        "baselines": ["base"],
    }
    with pytest.raises(NonFiniteError, match=re.escape("standard, step ")) as caught:
        run(recipe, root=tmp_path / "runs")
    assert "Rows of the batch: train:" in str(caught.value)
    assert "the weights were not updated" in str(caught.value)
